//! Attention on the CPU backend: one tile of queries at a time, whose scores stay in the processor's cache.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use wide::f32x4;

use super::gemm::gemm;
use super::lanes::{each, exp_sum, largest};
use super::tensors::{chunks, numbers, tensor};
use crate::backend::AttentionOps;
use crate::types::Visibility;

/// Scores of a tile of queries, in bytes: a share of a second-level cache.
const SCORE_BYTES: usize = 128 * 1024;

/// Queries of a tile, at least and at most.
const QUERIES: [usize; 2] = [8, 128];

/// What is added to scores.
enum Bias {
    None,
    /// `[1 or batch, 1 or n_heads, n_q, n_k]`
    Pairs(FlexTensor),
    /// Numbers of the key's row, then of its column, `[batch, n_heads, n_q, 2·side]`.
    Relative(FlexTensor),
}

/// Four dimensions through their strides, of which the last is 1.
struct View<'a> {
    values: &'a [f32],
    shape: [usize; 4],
    strides: [usize; 4],
}

impl<'a> View<'a> {
    fn new(x: &'a FlexTensor) -> Self {
        let (shape, layout) = (x.layout().shape(), x.layout());
        // A stride of zero broadcasts dimensions of size 1.
        let stride = |i: usize| match shape[i] {
            1 => 0,
            _ => layout.strides()[i].unsigned_abs(),
        };
        Self {
            values: &x.storage()[layout.start_offset()..],
            shape: std::array::from_fn(|i| shape[i]),
            strides: std::array::from_fn(stride),
        }
    }

    /// The rows of a head, `strides[2]` apart.
    fn head(&self, batch: usize, head: usize) -> &'a [f32] {
        &self.values[batch * self.strides[0] + head * self.strides[1]..]
    }

    fn row(&self, batch: usize, head: usize, query: usize) -> &'a [f32] {
        &self.head(batch, head)[query * self.strides[2]..][..self.shape[3]]
    }
}

/// A tensor whose last dimension has stride 1, copied only where it has not.
fn dense(x: &FlexTensor) -> FlexTensor {
    let layout = x.layout();
    let width = layout.shape()[3];
    let is_dense = layout.has_positive_strides() && (width == 1 || layout.strides()[3] == 1);
    if is_dense {
        x.clone()
    } else {
        x.to_contiguous()
    }
}

impl AttentionOps for Flex {
    fn attention(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        visibility: Visibility,
    ) -> FlexTensor {
        attend([&q, &k, &v], Bias::None, visibility)
    }

    fn attention_decode(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        visibility: Visibility,
    ) -> FlexTensor {
        attend([&q, &k, &v], Bias::None, visibility)
    }

    fn attention_bias(q: FlexTensor, k: FlexTensor, v: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let all = all_of(&k);
        attend([&q, &k, &v], Bias::Pairs(bias), all)
    }

    fn attention_relative(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        relative: FlexTensor,
    ) -> FlexTensor {
        let all = all_of(&k);
        attend([&q, &k, &v], Bias::Relative(relative), all)
    }

    fn relative_positions(q: FlexTensor, rows: FlexTensor, columns: FlexTensor) -> FlexTensor {
        let q = dense(&q);
        let q = View::new(&q);
        let [batch, n_heads, n, d] = q.shape;
        let (side, stride) = (n.isqrt(), q.strides[2]);
        // In reverse order, the vectors of a query's distances to the keys lie one after the other.
        let reversed = [rows, columns].map(|table| {
            let table = table.to_contiguous();
            let vectors = numbers(&table).chunks_exact(d).rev();
            vectors.flatten().copied().collect::<Vec<f32>>()
        });
        let mut out = vec![0.0; batch * n_heads * n * 2 * side];
        let work = out.len() * d;
        chunks(&mut out, n * 2 * side, work, |at, out| {
            let q = q.head(at / n_heads, at % n_heads);
            for (along, vectors) in reversed.iter().enumerate() {
                // Queries of a grid row are neighbours, those of a grid column `side` apart.
                let (step, first) = [(1, side), (side, 1)][along];
                for i in 0..side {
                    let vectors = &vectors[(side - 1 - i) * d..][..side * d];
                    let queries = (&q[i * first * stride..], step * stride);
                    let out = &mut out[i * first * 2 * side + along * side..];
                    gemm(
                        [side, side, d],
                        1.0,
                        queries,
                        (vectors, [1, d]),
                        (out, step * 2 * side),
                    );
                }
            }
        });
        tensor(out, Shape::new([batch, n_heads, n, 2 * side]))
    }
}

/// Every key is visible to every query.
fn all_of(k: &FlexTensor) -> Visibility {
    Visibility {
        first: k.shape()[2],
        step: 0,
    }
}

fn attend([q, k, v]: [&FlexTensor; 3], bias: Bias, visibility: Visibility) -> FlexTensor {
    let [q, k, v] = [q, k, v].map(dense);
    let bias = match bias {
        Bias::None => Bias::None,
        Bias::Pairs(bias) => Bias::Pairs(dense(&bias)),
        Bias::Relative(relative) => Bias::Relative(dense(&relative)),
    };
    let [q, k, v] = [&q, &k, &v].map(View::new);
    let ([batch, n_heads, n_q, d_head], [_, n_kv_heads, n_k, _]) = (q.shape, k.shape);
    let d_value = v.shape[3];
    let [fewest, most] = QUERIES;
    let tile = (SCORE_BYTES / size_of::<f32>() / n_k).clamp(fewest, most);
    let scale = (d_head as f32).powf(-0.5);

    let mut out = vec![0.0; batch * n_heads * n_q * d_value];
    let work = batch * n_heads * n_q * n_k * (d_head + d_value);
    chunks(&mut out, n_q * d_value, work, |at, out| {
        let (b, head) = (at / n_heads, at % n_heads);
        let kv_head = head / (n_heads / n_kv_heads);
        let (keys, values) = (k.head(b, kv_head), v.head(b, kv_head));
        let mut scores = vec![0.0; tile.min(n_q) * n_k];
        let mut totals = [0.0; QUERIES[1]];
        for (first, out) in (0..n_q).step_by(tile).zip(out.chunks_mut(tile * d_value)) {
            let n = tile.min(n_q - first);
            let n_visible = |i: usize| (visibility.first + i * visibility.step).min(n_k);
            let most_visible = n_visible(first + n - 1);
            let queries = &q.head(b, head)[first * q.strides[2]..];
            let scores = &mut scores[..n * most_visible];
            gemm(
                [n, most_visible, d_head],
                scale,
                (queries, q.strides[2]),
                (keys, [1, k.strides[2]]),
                (scores, most_visible),
            );
            for (i, row) in scores.chunks_exact_mut(most_visible).enumerate() {
                let query = first + i;
                add(&bias, [b, head, query], row);
                let (row, hidden) = row.split_at_mut(n_visible(query));
                totals[i] = exp_sum(row, largest(row));
                hidden.fill(0.0);
            }
            let (scores, values) = ((&*scores, most_visible), (values, [v.strides[2], 1]));
            gemm(
                [n, d_value, most_visible],
                1.0,
                scores,
                values,
                (out, d_value),
            );
            for (out, total) in out.chunks_exact_mut(d_value).zip(totals) {
                let scale = total.recip();
                out.iter_mut().for_each(|y| *y *= scale);
            }
        }
    });
    tensor(out, Shape::new([batch, n_heads, n_q, d_value])).transpose(1, 2)
}

fn add(bias: &Bias, [batch, head, query]: [usize; 3], scores: &mut [f32]) {
    match bias {
        Bias::None => {}
        Bias::Pairs(bias) => {
            let bias = View::new(bias).row(batch, head, query);
            each(scores, bias, |score: f32x4, bias| score + bias);
        }
        Bias::Relative(relative) => {
            let relative = View::new(relative).row(batch, head, query);
            let (rows, columns) = relative.split_at(relative.len() / 2);
            for (scores, row) in scores.chunks_exact_mut(columns.len()).zip(rows) {
                let row = f32x4::splat(*row);
                each(scores, columns, |score, column| score + column + row);
            }
        }
    }
}
