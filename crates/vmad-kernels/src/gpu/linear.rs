//! Products with packed weights, linear layers and embedding look-ups on cubecl backends.

use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{run, word};
use super::shaders::{
    ACTIVATION_GELU, ACTIVATION_NONE, ACTIVATION_QUICK_GELU, ACTIVATION_RELU, GATHER_Q4, GATHER_Q8,
    GatherParams, LINEAR_F32, LinearParams, MATMUL_Q4, MATMUL_Q8, MATVEC_Q4, MATVEC_Q4_GATED,
    MATVEC_Q4_NORM, MATVEC_Q4_RESIDUAL, MATVEC_Q8, MATVEC_Q8_GATED, MATVEC_Q8_NORM,
    MATVEC_Q8_RESIDUAL, MatvecParams, OUTPUT_GATED, OUTPUT_ROWS, Shader,
};
use crate::backend::LinearOps;
use crate::cost;
use crate::types::{Activation, EpilogueFlags, Fusion, OutputLayout, QuantLayout};
use crate::weight::QuantKind;

/// The code of an activation in WGSL.
pub(super) fn activation_code(activation: Option<Activation>) -> u32 {
    match activation {
        None => ACTIVATION_NONE,
        Some(Activation::Gelu) => ACTIVATION_GELU,
        Some(Activation::QuickGelu) => ACTIVATION_QUICK_GELU,
        Some(Activation::Relu) => ACTIVATION_RELU,
    }
}

/// The parameters of a linear layer and the shape of its result.
fn linear_params(flags: EpilogueFlags, [tokens, rows, cols]: [usize; 3]) -> (LinearParams, Shape) {
    let (output_layout, part_rows, shape) = match flags.layout {
        OutputLayout::Whole => (OUTPUT_ROWS, rows, Shape::new([tokens, rows])),
        OutputLayout::Parts(parts) => {
            let width = rows / parts;
            (OUTPUT_ROWS, width, Shape::new([parts, tokens, width]))
        }
        OutputLayout::Gated => (OUTPUT_GATED, rows, Shape::new([tokens, rows / 2])),
    };
    let params = LinearParams {
        n_tokens: word(tokens),
        n_rows: word(rows),
        n_cols: word(cols),
        has_bias: flags.has_bias.into(),
        activation: activation_code(flags.activation),
        has_residual: flags.has_residual.into(),
        output_layout,
        part_rows: word(part_rows),
    };
    (params, shape)
}

/// Launches a tiled product; `inputs` are bias, residual, x and the weight.
fn tiled(
    shader: &'static Shader<LinearParams>,
    inputs: &[CubeTensor],
    flags: EpilogueFlags,
    kind: QuantKind,
    sizes: [usize; 3],
) -> CubeTensor {
    let [tokens, rows, _] = sizes;
    let (params, shape) = linear_params(flags, sizes);
    let tiles = |n: usize| n.div_ceil(shader.tile()) as u64;
    let operations = cost::product(kind, sizes).actual.operations;
    let groups = tiles(tokens) * tiles(rows);
    run(shader, inputs, shape, &params, groups, operations)
}

/// Launches a product of a decoding step; `inputs` are the weight, x and what the fusion needs.
fn matvec(
    shader: &'static Shader<MatvecParams>,
    inputs: &[CubeTensor],
    [tokens, rows, cols]: [usize; 3],
    (results, eps): (usize, f32),
    kind: QuantKind,
) -> CubeTensor {
    let params = MatvecParams {
        n_tokens: word(tokens),
        n_rows: word(rows),
        n_cols: word(cols),
        eps,
    };
    let groups = results.div_ceil(shader.tile()) as u64 * tokens as u64;
    let operations = cost::product(kind, [tokens, rows, cols]).actual.operations;
    let shape = Shape::new([tokens, results]);
    run(shader, inputs, shape, &params, groups, operations)
}

impl LinearOps for CubeBackend {
    fn matvec_quant(
        x: CubeTensor,
        packed: CubeTensor,
        scales: CubeTensor,
        QuantLayout { kind, rows, cols }: QuantLayout,
    ) -> CubeTensor {
        let shader = match kind {
            QuantKind::Q4 => &MATVEC_Q4,
            QuantKind::Q8 => &MATVEC_Q8,
        };
        let tokens = x.meta.shape()[0];
        let inputs = [packed, scales, into_contiguous(x)];
        matvec(shader, &inputs, [tokens, rows, cols], (rows, 0.0), kind)
    }

    fn matvec_fused(
        x: CubeTensor,
        packed: CubeTensor,
        scales: CubeTensor,
        extra: CubeTensor,
        fusion: Fusion,
        QuantLayout { kind, rows, cols }: QuantLayout,
    ) -> CubeTensor {
        let (shader, results, eps) = match (fusion, kind) {
            (Fusion::Residual, QuantKind::Q4) => (&MATVEC_Q4_RESIDUAL, rows, 0.0),
            (Fusion::Residual, QuantKind::Q8) => (&MATVEC_Q8_RESIDUAL, rows, 0.0),
            (Fusion::Norm(eps), QuantKind::Q4) => (&MATVEC_Q4_NORM, rows, eps),
            (Fusion::Norm(eps), QuantKind::Q8) => (&MATVEC_Q8_NORM, rows, eps),
            (Fusion::NormGated(eps), QuantKind::Q4) => (&MATVEC_Q4_GATED, rows / 2, eps),
            (Fusion::NormGated(eps), QuantKind::Q8) => (&MATVEC_Q8_GATED, rows / 2, eps),
        };
        let tokens = x.meta.shape()[0];
        let inputs = [packed, scales, into_contiguous(x), into_contiguous(extra)];
        matvec(shader, &inputs, [tokens, rows, cols], (results, eps), kind)
    }

    fn linear_quant(
        x: CubeTensor,
        packed: CubeTensor,
        scales: CubeTensor,
        bias: CubeTensor,
        residual: CubeTensor,
        flags: EpilogueFlags,
        QuantLayout { kind, rows, cols }: QuantLayout,
    ) -> CubeTensor {
        let shader = match kind {
            QuantKind::Q4 => &MATMUL_Q4,
            QuantKind::Q8 => &MATMUL_Q8,
        };
        let tokens = x.meta.shape()[0];
        let [bias, residual, x] = [bias, residual, x].map(into_contiguous);
        let inputs = [bias, residual, x, packed, scales];
        tiled(shader, &inputs, flags, kind, [tokens, rows, cols])
    }

    fn linear_f32(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        residual: CubeTensor,
        flags: EpilogueFlags,
    ) -> CubeTensor {
        let (tokens, cols) = (x.meta.shape()[0], x.meta.shape()[1]);
        let sizes = [tokens, weight.meta.shape()[0], cols];
        let inputs = [bias, residual, x, weight].map(into_contiguous);
        // Counted as int8, which loads a little less.
        tiled(&LINEAR_F32, &inputs, flags, QuantKind::Q8, sizes)
    }

    fn gather_quant(
        packed: CubeTensor,
        scales: CubeTensor,
        ids: CubeTensor,
        QuantLayout { kind, rows, cols }: QuantLayout,
    ) -> CubeTensor {
        let shader = match kind {
            QuantKind::Q4 => &GATHER_Q4,
            QuantKind::Q8 => &GATHER_Q8,
        };
        let tokens = ids.meta.shape()[0];
        let params = GatherParams {
            n_tokens: word(tokens),
            n_rows: word(rows),
            n_cols: word(cols),
        };
        run(
            shader,
            &[packed, scales, into_contiguous(ids)],
            Shape::new([tokens, cols]),
            &params,
            shader.groups(tokens * cols),
            0.0,
        )
    }
}
