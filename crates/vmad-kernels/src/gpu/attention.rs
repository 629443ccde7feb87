//! Attention on cubecl backends.

use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{run, word};
use super::shaders::{
    ATTENTION, ATTENTION_BIAS, ATTENTION_COMBINE, ATTENTION_DECODE, ATTENTION_RELATIVE,
    AttentionParams, CombineParams, HeadStrides, RELATIVE_POSITIONS, RelativePositionsParams,
    Shader,
};
use crate::backend::AttentionOps;
use crate::cost;
use crate::reference::AttentionSizes;
use crate::types::Visibility;

/// Tiled shaders by the widest value that they have registers for.
type ByWidth = [(usize, &'static Shader<AttentionParams>)];

/// The widest heads that the shaders support.
pub(crate) const MAX_HEAD_WIDTH: usize = ATTENTION[ATTENTION.len() - 1].0;

const _: () = assert!(MAX_HEAD_WIDTH == super::shaders::MAX_HEAD_WIDTH as usize);

/// The sizes of queries, keys and values.
fn sizes_of([q, k, v]: &[CubeTensor; 3]) -> AttentionSizes {
    let (q, k) = (q.meta.shape(), k.meta.shape());
    AttentionSizes {
        batch: q[0],
        n_heads: q[1],
        n_kv_heads: k[1],
        n_q: q[2],
        n_k: k[2],
        d_head: q[3],
        d_value: v.meta.shape()[3],
    }
}

/// The parameters that all shaders have.
fn params_of(
    sizes: AttentionSizes,
    [q, k, v]: &[CubeTensor; 3],
    visibility: Visibility,
) -> AttentionParams {
    AttentionParams {
        n_q: word(sizes.n_q),
        n_k: word(sizes.n_k),
        n_heads: word(sizes.n_heads),
        d_head: word(sizes.d_head),
        d_value: word(sizes.d_value),
        heads_per_kv: word(sizes.n_heads / sizes.n_kv_heads),
        scale: (sizes.d_head as f32).powf(-0.5),
        first_visible: word(visibility.first),
        visible_step: word(visibility.step),
        batch: word(sizes.batch),
        n_parts: 1,
        q_strides: strides(q),
        k_strides: strides(k),
        v_strides: strides(v),
        ..AttentionParams::default()
    }
}

/// Arithmetic operations with every key visible.
fn operations(sizes: AttentionSizes) -> f64 {
    cost::attention(sizes, 1.0).actual.operations
}

fn output(sizes: AttentionSizes) -> Shape {
    Shape::new([sizes.batch, sizes.n_q, sizes.n_heads, sizes.d_value])
}

/// A tensor of four dimensions whose last has stride 1.
fn dense(x: CubeTensor) -> CubeTensor {
    match x.meta.strides()[3] == 1 || x.meta.shape()[3] == 1 {
        true => x,
        false => into_contiguous(x),
    }
}

/// Strides of the first three dimensions, zero along dimensions of size 1.
fn strides(x: &CubeTensor) -> HeadStrides {
    let along = |d: usize| match x.meta.shape()[d] {
        1 => 0,
        _ => word(x.meta.strides()[d]),
    };
    HeadStrides {
        batch: along(0),
        head: along(1),
        row: along(2),
    }
}

fn tiled(
    shaders: &'static ByWidth,
    qkv: [CubeTensor; 3],
    bias: Option<CubeTensor>,
    visibility: Visibility,
) -> CubeTensor {
    let qkv = qkv.map(dense);
    let bias = bias.map(dense);
    let sizes = sizes_of(&qkv);
    let at = shaders.partition_point(|(width, _)| *width < sizes.d_value);
    let (_, shader) = shaders[at];
    let mut params = params_of(sizes, &qkv, visibility);
    if let Some(bias) = &bias {
        params.bias_strides = strides(bias);
        // Relative positions hold a number for each row and one for each column of the grid of keys.
        params.side = word(bias.meta.shape()[3] / 2);
    }
    let tiles = sizes.n_q.div_ceil(shader.tile());
    let groups = (tiles * sizes.n_heads * sizes.batch) as u64;
    let inputs: Vec<CubeTensor> = qkv.into_iter().chain(bias).collect();
    let operations = operations(sizes);
    run(shader, &inputs, output(sizes), &params, groups, operations)
}

/// Every key is visible to every query.
fn all_of(k: &CubeTensor) -> Visibility {
    Visibility {
        first: k.meta.shape()[2],
        step: 0,
    }
}

impl AttentionOps for CubeBackend {
    fn attention(
        q: CubeTensor,
        k: CubeTensor,
        v: CubeTensor,
        visibility: Visibility,
    ) -> CubeTensor {
        tiled(&ATTENTION, [q, k, v], None, visibility)
    }

    fn attention_decode(
        q: CubeTensor,
        k: CubeTensor,
        v: CubeTensor,
        visibility: Visibility,
    ) -> CubeTensor {
        let qkv = [q, k, v].map(dense);
        let sizes = sizes_of(&qkv);
        let shader = &ATTENTION_DECODE;
        let n_parts = sizes.n_k.div_ceil(shader.tile());
        let rows = sizes.batch * sizes.n_q * sizes.n_heads;
        let params = AttentionParams {
            n_parts: word(n_parts),
            ..params_of(sizes, &qkv, visibility)
        };
        let shape = match n_parts {
            1 => output(sizes),
            _ => Shape::new([rows, n_parts, 2 + sizes.d_value]),
        };
        let (groups, operations) = ((rows * n_parts) as u64, operations(sizes));
        let parts = run(shader, &qkv, shape, &params, groups, operations);
        if n_parts == 1 {
            return parts;
        }
        let params = CombineParams {
            n_rows: word(rows),
            d_value: word(sizes.d_value),
            n_parts: word(n_parts),
        };
        let shader = &ATTENTION_COMBINE;
        let groups = shader.groups(rows * sizes.d_value);
        run(shader, &[parts], output(sizes), &params, groups, 0.0)
    }

    fn attention_bias(q: CubeTensor, k: CubeTensor, v: CubeTensor, bias: CubeTensor) -> CubeTensor {
        let all = all_of(&k);
        tiled(&ATTENTION_BIAS, [q, k, v], Some(bias), all)
    }

    fn attention_relative(
        q: CubeTensor,
        k: CubeTensor,
        v: CubeTensor,
        relative: CubeTensor,
    ) -> CubeTensor {
        let all = all_of(&k);
        tiled(&ATTENTION_RELATIVE, [q, k, v], Some(relative), all)
    }

    fn relative_positions(q: CubeTensor, rows: CubeTensor, columns: CubeTensor) -> CubeTensor {
        let q = dense(q);
        let shape = q.meta.shape();
        let [batch, n_heads, n, d] = [shape[0], shape[1], shape[2], shape[3]];
        let side = n.isqrt();
        let output = [batch, n_heads, n, 2 * side];
        let results: usize = output.iter().product();
        let params = RelativePositionsParams {
            n_results: word(results),
            side: word(side),
            d_head: word(d),
            n_heads: word(n_heads),
            q_strides: strides(&q),
        };
        let shader = &RELATIVE_POSITIONS;
        let groups = shader.groups(results);
        let operations = 2.0 * results as f64 * d as f64;
        let inputs = [q, into_contiguous(rows), into_contiguous(columns)];
        let output = Shape::new(output);
        run(shader, &inputs, output, &params, groups, operations)
    }
}
