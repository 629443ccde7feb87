//! Attention on cubecl backends.

use burn::tensor::{Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{
    ATTENTION_32, ATTENTION_64, ATTENTION_128, ATTENTION_BIAS_32, ATTENTION_BIAS_64,
    ATTENTION_BIAS_128, ATTENTION_COMBINE, ATTENTION_DECODE, ATTENTION_RELATIVE_32,
    ATTENTION_RELATIVE_64, ATTENTION_RELATIVE_128, RELATIVE_POSITIONS, Shader, dense, run, strides,
};
use crate::attention::AttentionOps;
use crate::cost::{self, DECODE_QUERIES};
use crate::reference::AttentionSizes;

/// A shader of each of [`WIDTHS`].
type Widths = [&'static Shader; WIDTHS.len()];

const PLAIN: Widths = [&ATTENTION_32, &ATTENTION_64, &ATTENTION_128];
const BIAS: Widths = [&ATTENTION_BIAS_32, &ATTENTION_BIAS_64, &ATTENTION_BIAS_128];
const RELATIVE: Widths = [
    &ATTENTION_RELATIVE_32,
    &ATTENTION_RELATIVE_64,
    &ATTENTION_RELATIVE_128,
];

/// Columns of values that the shaders have room for.
const WIDTHS: [usize; 3] = [32, 64, 128];

/// The widest heads that the shaders have room for.
const MAX_WIDTH: usize = WIDTHS[WIDTHS.len() - 1];

/// Whether the shaders can take these queries and values.
pub(crate) fn fits(q: &Tensor<4>, v: &Tensor<4>) -> bool {
    let [.., d_head] = q.dims();
    let [.., d_value] = v.dims();
    super::fits(q) && d_head <= MAX_WIDTH && d_value <= MAX_WIDTH
}

/// Sizes of a launch.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    n_heads: usize,
    n_kv_heads: usize,
    n_q: usize,
    n_k: usize,
    d_head: usize,
    d_value: usize,
}

impl Sizes {
    fn of(q: &CubeTensor, k: &CubeTensor, v: &CubeTensor) -> Self {
        let (q, k) = (q.meta.shape(), k.meta.shape());
        Self {
            batch: q[0],
            n_heads: q[1],
            n_kv_heads: k[1],
            n_q: q[2],
            n_k: k[2],
            d_head: q[3],
            d_value: v.meta.shape()[3],
        }
    }

    /// The first words of `info`: n_q, n_k, n_heads, workgroups along x (which [`run`] fills in); d_head,
    /// d_value, query heads of a key head, scale; keys that the first query sees, keys more of each other,
    /// batch, parts of the keys.
    fn words(self, [seen, step]: [usize; 2], n_parts: usize) -> Vec<u32> {
        let scale = (self.d_head as f32).powf(-0.5);
        let repeats = self.n_heads / self.n_kv_heads;
        let word = |n: usize| n as u32;
        vec![
            word(self.n_q),
            word(self.n_k),
            word(self.n_heads),
            0,
            word(self.d_head),
            word(self.d_value),
            word(repeats),
            scale.to_bits(),
            word(seen),
            word(step),
            word(self.batch),
            word(n_parts),
        ]
    }

    /// With every key seen.
    fn operations(self) -> f64 {
        let sizes = AttentionSizes {
            batch: self.batch,
            n_heads: self.n_heads,
            n_kv_heads: self.n_kv_heads,
            n_q: self.n_q,
            n_k: self.n_k,
            d_head: self.d_head,
            d_value: self.d_value,
        };
        cost::attention(sizes, 1.0).asked.operations
    }

    fn output(self) -> Shape {
        Shape::new([self.batch, self.n_q, self.n_heads, self.d_value])
    }
}

fn tiled(
    widths: Widths,
    [q, k, v]: [CubeTensor; 3],
    bias: Option<CubeTensor>,
    seen: [usize; 2],
) -> CubeTensor {
    let [q, k, v] = [q, k, v].map(dense);
    let bias = bias.map(dense);
    let sizes = Sizes::of(&q, &k, &v);
    let shader = widths[WIDTHS.partition_point(|width| *width < sizes.d_value)];
    let mut info = sizes.words(seen, 1);
    for x in [&q, &k, &v] {
        info.extend(strides(x, 0));
    }
    if let Some(bias) = &bias {
        // Half of the numbers for relative positions: the side of the square.
        info.extend(strides(bias, bias.meta.shape()[3] / 2));
    }
    info.resize(32, 0);
    let tiles = sizes.n_q.div_ceil(shader.tile as usize);
    let groups = (tiles * sizes.n_heads * sizes.batch) as u64;
    let inputs = [q, k, v].into_iter().chain(bias).collect();
    let operations = sizes.operations();
    run(
        shader,
        inputs,
        sizes.output(),
        (info, 3),
        groups,
        operations,
    )
}

fn decode([q, k, v]: [CubeTensor; 3], seen: [usize; 2]) -> CubeTensor {
    let [q, k, v] = [q, k, v].map(dense);
    let sizes = Sizes::of(&q, &k, &v);
    let shader = &ATTENTION_DECODE;
    let n_parts = sizes.n_k.div_ceil(shader.tile as usize);
    let mut info = sizes.words(seen, n_parts);
    for x in [&q, &k, &v] {
        info.extend(strides(x, 0));
    }
    info.resize(32, 0);
    let rows = sizes.batch * sizes.n_q * sizes.n_heads;
    let groups = (rows * n_parts) as u64;
    let output = match n_parts {
        1 => sizes.output(),
        _ => Shape::new([rows, n_parts, 2 + sizes.d_value]),
    };
    let operations = sizes.operations();
    let parts = run(shader, vec![q, k, v], output, (info, 3), groups, operations);
    if n_parts == 1 {
        return parts;
    }
    let info = vec![rows as u32, sizes.d_value as u32, n_parts as u32, 0];
    let shader = &ATTENTION_COMBINE;
    let groups = shader.groups(rows * sizes.d_value);
    run(shader, vec![parts], sizes.output(), (info, 3), groups, 0.0)
}

impl AttentionOps for CubeBackend {
    fn attention(
        q: CubeTensor,
        k: CubeTensor,
        v: CubeTensor,
        seen: usize,
        step: usize,
    ) -> CubeTensor {
        match q.meta.shape()[2] <= DECODE_QUERIES {
            true => decode([q, k, v], [seen, step]),
            false => tiled(PLAIN, [q, k, v], None, [seen, step]),
        }
    }

    fn attention_bias(q: CubeTensor, k: CubeTensor, v: CubeTensor, bias: CubeTensor) -> CubeTensor {
        let n_k = k.meta.shape()[2];
        tiled(BIAS, [q, k, v], Some(bias), [n_k, 0])
    }

    fn attention_relative(
        q: CubeTensor,
        k: CubeTensor,
        v: CubeTensor,
        relative: CubeTensor,
    ) -> CubeTensor {
        let n_k = k.meta.shape()[2];
        tiled(RELATIVE, [q, k, v], Some(relative), [n_k, 0])
    }

    fn relative_positions(q: CubeTensor, rows: CubeTensor, columns: CubeTensor) -> CubeTensor {
        let q = dense(q);
        let shape = q.meta.shape();
        let [batch, n_heads, n, d] = [shape[0], shape[1], shape[2], shape[3]];
        let side = n.isqrt();
        let output = [batch, n_heads, n, 2 * side];
        let results: usize = output.iter().product();
        let word = |n: usize| n as u32;
        let mut info = vec![word(results), word(side), word(d), 0];
        info.extend([word(n_heads), 0, 0, 0]);
        info.extend(strides(&q, 0));
        let shader = &RELATIVE_POSITIONS;
        let groups = shader.groups(results);
        let operations = 2.0 * results as f64 * d as f64;
        let inputs = vec![q, into_contiguous(rows), into_contiguous(columns)];
        run(
            shader,
            inputs,
            Shape::new(output),
            (info, 3),
            groups,
            operations,
        )
    }
}
