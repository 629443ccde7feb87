//! Products together with what comes before or after them, on cubecl backends.

use burn::tensor::{Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{
    LINEAR_F32, MATMUL_Q4, MATMUL_Q8, MATVEC_Q4_ADDED, MATVEC_Q4_GATED, MATVEC_Q4_NORMED,
    MATVEC_Q8_ADDED, MATVEC_Q8_GATED, MATVEC_Q8_NORMED, Shader, run,
};
use crate::cost::{self, MATVEC_TOKENS};
use crate::product::{self, Activation, Around, Ends, LinearEnd, ProductOps, Results};
use crate::{QuantKind, QuantWeight};

fn matvec(around: Around, kind: QuantKind) -> &'static Shader {
    match (around, kind) {
        (Around::Added, QuantKind::Q4) => &MATVEC_Q4_ADDED,
        (Around::Added, QuantKind::Q8) => &MATVEC_Q8_ADDED,
        (Around::Normed(_), QuantKind::Q4) => &MATVEC_Q4_NORMED,
        (Around::Normed(_), QuantKind::Q8) => &MATVEC_Q8_NORMED,
        (Around::Gated(_), QuantKind::Q4) => &MATVEC_Q4_GATED,
        (Around::Gated(_), QuantKind::Q8) => &MATVEC_Q8_GATED,
    }
}

/// As `shaders/shared/activation.wgsl` counts them.
pub(super) fn activation_word(activation: Option<Activation>) -> u32 {
    match activation {
        None => 0,
        Some(Activation::Gelu) => 1,
        Some(Activation::QuickGelu) => 2,
        Some(Activation::Relu) => 3,
    }
}

/// Of a gated product in the place of an activation, as `shaders/shared/linear.wgsl` has it.
const GATED: u32 = 4;

/// The last words of a linear layer's `info`, and the shape of its results.
fn end_words(ends: Ends, [tokens, rows]: [usize; 2]) -> ([u32; 4], Shape) {
    let activation = match ends.results {
        Results::Gated => GATED,
        Results::Whole | Results::Parts(_) => activation_word(ends.activation),
    };
    let (width, shape) = match ends.results {
        Results::Whole => (rows, Shape::new([tokens, rows])),
        Results::Parts(parts) => (rows / parts, Shape::new([parts, tokens, rows / parts])),
        Results::Gated => (rows, Shape::new([tokens, rows / 2])),
    };
    let words = [
        ends.has_bias.into(),
        activation,
        ends.has_residual.into(),
        width as u32,
    ];
    (words, shape)
}

/// Rows of an image for which a whole tile is worth it.
const F32_TOKENS: usize = 32;

/// Whether a product with a weight of floats takes one launch of `linear_f32`, and is worth it.
pub(crate) fn takes_f32(x: &Tensor<2>, weight: &Tensor<2>) -> bool {
    let ([tokens, _], [rows, cols]) = (x.dims(), weight.dims());
    // Counted as int8: a little less is loaded there.
    let most = cost::most_tokens(QuantKind::Q8, rows, cols);
    super::fits(x) && super::fits(weight) && (F32_TOKENS..=most).contains(&tokens)
}

/// Whether these are the rows of a decoding step, where the shaders can take them.
pub(crate) fn is_step(x: &Tensor<2>) -> bool {
    let [tokens, _] = x.dims();
    super::fits(x) && (1..=MATVEC_TOKENS).contains(&tokens)
}

/// Whether these are the rows of a prompt or an image, where the shaders can take them.
pub(crate) fn is_prompt(x: &Tensor<2>) -> bool {
    super::fits(x) && x.dims()[0] > MATVEC_TOKENS
}

/// Whether the rows of a prompt or an image take one launch.
pub(crate) fn is_one_launch(x: &Tensor<2>, w: &QuantWeight) -> bool {
    is_prompt(x) && x.dims()[0] <= cost::most_tokens(w.kind(), w.rows(), w.cols())
}

/// The product of `x` and `w` with what a linear layer does with it, in as many launches as keep each of them
/// short.
pub(crate) fn linear(x: Tensor<2>, w: &QuantWeight, end: LinearEnd, results: Results) -> Tensor<2> {
    let [tokens, _] = x.dims();
    let most = cost::most_tokens(w.kind(), w.rows(), w.cols());
    if tokens <= most {
        return product::linear(x, w, end, results);
    }
    let parts = (0..tokens).step_by(most).map(|first| {
        let part = |x: &Tensor<2>| x.clone().narrow(0, first, most.min(tokens - first));
        let end = LinearEnd {
            bias: end.bias.clone(),
            activation: end.activation,
            residual: end.residual.as_ref().map(part),
        };
        product::linear(part(&x), w, end, results)
    });
    Tensor::cat(parts.collect(), 0)
}

impl ProductOps for CubeBackend {
    fn linear_f32(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        residual: CubeTensor,
        ends: Ends,
    ) -> CubeTensor {
        let [bias, residual, x, weight] = [bias, residual, x, weight].map(into_contiguous);
        let (tokens, cols) = (x.meta.shape()[0], x.meta.shape()[1]);
        let rows = weight.meta.shape()[0];
        let word = |n: usize| n as u32;
        let sizes = [word(tokens), word(rows), word(cols), 0];
        let (words, shape) = end_words(ends, [tokens, rows]);
        let info = [sizes, words].concat();
        let tiles = |n: usize| n.div_ceil(LINEAR_F32.tile as usize) as u64;
        run(
            &LINEAR_F32,
            vec![bias, residual, x, weight],
            shape,
            (info, 3),
            tiles(tokens) * tiles(rows),
            cost::product(QuantKind::Q8, [tokens, rows, cols])
                .asked
                .operations,
        )
    }

    fn linear(
        x: CubeTensor,
        packed: CubeTensor,
        scales: CubeTensor,
        bias: CubeTensor,
        residual: CubeTensor,
        ends: Ends,
        (kind, rows): (QuantKind, usize),
    ) -> CubeTensor {
        let (tokens, cols) = (x.meta.shape()[0], x.meta.shape()[1]);
        let shader = match kind {
            QuantKind::Q4 => &MATMUL_Q4,
            QuantKind::Q8 => &MATMUL_Q8,
        };
        let word = |n: usize| n as u32;
        let sizes = [word(tokens), word(rows), word(cols), 0];
        let (words, shape) = end_words(ends, [tokens, rows]);
        let info = [sizes, words].concat();
        let tiles = |n: usize| n.div_ceil(shader.tile as usize) as u64;
        let [bias, residual, x] = [bias, residual, x].map(into_contiguous);
        run(
            shader,
            vec![bias, residual, x, packed, scales],
            shape,
            (info, 3),
            tiles(tokens) * tiles(rows),
            cost::product(kind, [tokens, rows, cols]).asked.operations,
        )
    }

    fn product(
        x: CubeTensor,
        packed: CubeTensor,
        scales: CubeTensor,
        extra: CubeTensor,
        around: Around,
        (kind, rows): (QuantKind, usize),
    ) -> CubeTensor {
        let (tokens, cols) = (x.meta.shape()[0], x.meta.shape()[1]);
        let (results, eps) = match around {
            Around::Added => (rows, 0.0),
            Around::Normed(eps) => (rows, eps),
            Around::Gated(eps) => (rows / 2, eps),
        };
        let shader = matvec(around, kind);
        let word = |n: usize| n as u32;
        let sizes = [word(tokens), word(rows), word(cols), 0];
        let info = [sizes, [eps.to_bits(), 0, 0, 0]].concat();
        let groups = results.div_ceil(shader.tile as usize) as u64 * tokens as u64;
        let inputs = vec![packed, scales, into_contiguous(x), into_contiguous(extra)];
        run(
            shader,
            inputs,
            Shape::new([tokens, results]),
            (info, 3),
            groups,
            cost::product(kind, [tokens, rows, cols]).asked.operations,
        )
    }
}
