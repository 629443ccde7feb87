//! Attention on the CPU backend: a tile of queries at a time, whose scores stay in the cache.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use wide::f32x4;

use super::gemm::gemm;
use super::lanes::{each, exp_sum, largest};
use super::product::numbers;
use super::{chunks, tensor};
use crate::attention::AttentionOps;

/// Scores of a tile of queries, in bytes: a share of a second-level cache.
const SCORE_BYTES: usize = 128 * 1024;

/// Queries of a tile, at least and at most.
const QUERIES: [usize; 2] = [8, 128];

/// What is added to scores.
enum Added {
    Nothing,
    /// `[1 or batch, 1 or n_heads, n_q, n_k]`
    Bias(FlexTensor),
    /// Of the key's row, then of its column, `[batch, n_heads, n_q, 2·side]`.
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
        // No dimension of size one is stepped along: what is added is the same for all.
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

    /// From here on rows of the last two dimensions lie `strides[2]` apart.
    fn head(&self, batch: usize, head: usize) -> &'a [f32] {
        &self.values[batch * self.strides[0] + head * self.strides[1]..]
    }

    fn row(&self, batch: usize, head: usize, query: usize) -> &'a [f32] {
        &self.head(batch, head)[query * self.strides[2]..][..self.shape[3]]
    }
}

/// Rows whose elements lie side by side, without a copy where they do already.
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
        seen: usize,
        step: usize,
    ) -> FlexTensor {
        attend([&q, &k, &v], Added::Nothing, [seen, step])
    }

    fn attention_bias(q: FlexTensor, k: FlexTensor, v: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let n_k = k.shape()[2];
        attend([&q, &k, &v], Added::Bias(bias), [n_k, 0])
    }

    fn attention_relative(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        relative: FlexTensor,
    ) -> FlexTensor {
        let n_k = k.shape()[2];
        attend([&q, &k, &v], Added::Relative(relative), [n_k, 0])
    }

    fn relative_positions(q: FlexTensor, rows: FlexTensor, columns: FlexTensor) -> FlexTensor {
        let q = dense(&q);
        let q = View::new(&q);
        let [batch, n_heads, n, d] = q.shape;
        let (side, stride) = (n.isqrt(), q.strides[2]);
        // With the distances turned around, those of the keys to a query lie in order.
        let turned = [rows, columns].map(|table| {
            let table = table.to_contiguous();
            let vectors = numbers(&table).chunks_exact(d).rev();
            vectors.flatten().copied().collect::<Vec<f32>>()
        });
        let mut out = vec![0.0; batch * n_heads * n * 2 * side];
        let work = out.len() * d;
        chunks(&mut out, n * 2 * side, work, |at, out| {
            let q = q.head(at / n_heads, at % n_heads);
            for (along, vectors) in turned.iter().enumerate() {
                // Queries of a row lie side by side, those of a column below each other.
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

/// Query `i` sees `seen + i · step` keys.
fn attend([q, k, v]: [&FlexTensor; 3], added: Added, [seen, step]: [usize; 2]) -> FlexTensor {
    let [q, k, v] = [q, k, v].map(dense);
    let added = match added {
        Added::Nothing => Added::Nothing,
        Added::Bias(bias) => Added::Bias(dense(&bias)),
        Added::Relative(relative) => Added::Relative(dense(&relative)),
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
            let sees = |i: usize| (seen + i * step).min(n_k);
            let n_seen = sees(first + n - 1);
            let queries = &q.head(b, head)[first * q.strides[2]..];
            let scores = &mut scores[..n * n_seen];
            gemm(
                [n, n_seen, d_head],
                scale,
                (queries, q.strides[2]),
                (keys, [1, k.strides[2]]),
                (scores, n_seen),
            );
            for (i, row) in scores.chunks_exact_mut(n_seen).enumerate() {
                let query = first + i;
                add(&added, [b, head, query], row);
                let (row, hidden) = row.split_at_mut(sees(query));
                totals[i] = exp_sum(row, largest(row));
                hidden.fill(0.0);
            }
            let (scores, values) = ((&*scores, n_seen), (values, [v.strides[2], 1]));
            gemm([n, d_value, n_seen], 1.0, scores, values, (out, d_value));
            for (out, total) in out.chunks_exact_mut(d_value).zip(totals) {
                let scale = total.recip();
                out.iter_mut().for_each(|y| *y *= scale);
            }
        }
    });
    tensor(out, Shape::new([batch, n_heads, n_q, d_value])).transpose(1, 2)
}

fn add(added: &Added, [batch, head, query]: [usize; 3], scores: &mut [f32]) {
    match added {
        Added::Nothing => {}
        Added::Bias(bias) => {
            let bias = View::new(bias).row(batch, head, query);
            each(scores, bias, |score: f32x4, bias| score + bias);
        }
        Added::Relative(relative) => {
            let relative = View::new(relative).row(batch, head, query);
            let (rows, columns) = relative.split_at(relative.len() / 2);
            for (scores, row) in scores.chunks_exact_mut(columns.len()).zip(rows) {
                let row = f32x4::splat(*row);
                each(scores, columns, |score, column| score + column + row);
            }
        }
    }
}
