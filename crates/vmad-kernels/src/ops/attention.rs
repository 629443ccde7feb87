//! Attention that never stores all scores at once.

use burn::backend::Dispatch;
use burn::tensor::{Int, Tensor, TensorData, activation};

use super::dense::matmul;
use crate::backend::AttentionOps;
use crate::route::Route;
use crate::types::{Mask, Visibility};

/// Above this size scores are computed in slices of queries, bytes.
const MAX_SCORE_BYTES: usize = 64 << 20;

/// The bias of a hidden key. Minus infinity would make NaN of a row without a visible key.
const HIDDEN: f32 = -1e9;

/// softmax(q·kᵀ/√d_head + bias) · v. Consecutive query heads share a head of keys and values.
///
/// On GPUs one pass over the keys (`shaders/attention*.wgsl`), on the CPU backend a tile of queries at a time;
/// elsewhere burn's operations in slices of queries, which can be differentiated.
///
/// # Shapes
/// - q: `[batch, n_heads, n_q, d_head]`
/// - k: `[batch, n_kv_heads, n_k, d_head]`
/// - v: `[batch, n_kv_heads, n_k, d_value]`
/// - output: `[batch, n_heads, n_q, d_value]`
///
/// # Panics
/// Like every operation in burn, when the shapes do not fit.
#[must_use]
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: Mask) -> Tensor<4> {
    let ([batch, n_heads, ..], [_, n_kv_heads, n_k, _]) = (q.dims(), k.dims());
    assert!(
        n_kv_heads > 0 && n_heads.is_multiple_of(n_kv_heads) && n_k > 0,
        "attention: {n_heads} query heads over {n_kv_heads} of {n_k} keys"
    );
    assert_eq!(k.dims()[..3], v.dims()[..3], "attention: keys and values");
    assert_eq!(batch, k.dims()[0], "attention: queries and keys");
    match Route::attention(&q, &v, &mask) {
        Route::Composed => composed(q, k, v, mask),
        route => {
            let heads = attend(route, [q, k, v], mask); // [batch, n_q, n_heads, d_value]
            heads.swap_dims(1, 2)
        }
    }
}

/// Attention by a backend.
///
/// # Shapes
/// - output: `[batch, n_q, n_heads, d_value]`
fn attend(route: Route, [q, k, v]: [Tensor<4>; 3], mask: Mask) -> Tensor<4> {
    let [_, _, n_k, _] = k.dims();
    let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
    let visibility = match &mask {
        Mask::Causal { start } => Visibility {
            first: start + 1,
            step: 1,
        },
        _ => Visibility {
            first: n_k,
            step: 0,
        },
    };
    Tensor::from_dispatch(match mask {
        Mask::Bias(bias) => {
            <Dispatch as AttentionOps>::attention_bias(q, k, v, bias.into_dispatch())
        }
        Mask::Relative(relative) => {
            <Dispatch as AttentionOps>::attention_relative(q, k, v, relative.into_dispatch())
        }
        Mask::None | Mask::Causal { .. } if route.is_decode_step() => {
            <Dispatch as AttentionOps>::attention_decode(q, k, v, visibility)
        }
        Mask::None | Mask::Causal { .. } => {
            <Dispatch as AttentionOps>::attention(q, k, v, visibility)
        }
    })
}

/// What SAM's decomposed relative positions add to the scores of queries over a square of cells
/// (`add_decomposed_rel_pos`), from the unscaled queries: the product with the vector of each distance between rows,
/// `rows[i − j + side − 1]` for a query in row `i` and keys in row `j`, and the same for columns.
///
/// # Shapes
/// - q: `[batch, n_heads, side², d_head]`
/// - rows, columns: `[2·side − 1, d_head]`
/// - output: `[batch, n_heads, side², 2·side]`, rows of keys before columns ([`Mask::Relative`])
///
/// # Panics
/// Like every operation in burn, when the shapes do not fit.
#[must_use]
pub fn relative_positions(q: Tensor<4>, rows: Tensor<2>, columns: Tensor<2>) -> Tensor<4> {
    let [batch, n_heads, n, d_head] = q.dims();
    let side = n.isqrt();
    assert!(
        side * side == n
            && [&rows, &columns]
                .iter()
                .all(|table| table.dims() == [2 * side - 1, d_head]),
        "relative_positions: {n} queries of {d_head}, {:?} and {:?}",
        rows.dims(),
        columns.dims()
    );
    if Route::relative_positions(&q) != Route::Composed {
        let (rows, columns) = (rows.into_dispatch(), columns.into_dispatch());
        let of_query =
            <Dispatch as AttentionOps>::relative_positions(q.into_dispatch(), rows, columns);
        return Tensor::from_dispatch(of_query);
    }
    let (table_h, table_w) = (by_offset(&rows, side), by_offset(&columns, side));
    let q = q.reshape([batch * n_heads, side, side, d_head]);
    let by_row = q
        .clone()
        .permute([1, 0, 2, 3])
        .reshape([side, batch * n_heads * side, d_head]);
    let rel_h = matmul(by_row, table_h.swap_dims(1, 2))
        .reshape([side, batch * n_heads, side, side])
        .permute([1, 0, 2, 3]); // [batch·n_heads, row, column, key row]
    let by_column = q
        .permute([2, 0, 1, 3])
        .reshape([side, batch * n_heads * side, d_head]);
    let rel_w = matmul(by_column, table_w.swap_dims(1, 2))
        .reshape([side, batch * n_heads, side, side])
        .permute([1, 2, 0, 3]); // [batch·n_heads, row, column, key column]
    Tensor::cat(vec![rel_h, rel_w], 3).reshape([batch, n_heads, n, 2 * side])
}

/// Entry (i, j) is the table's row for offset i − j.
///
/// # Shapes
/// - table: `[2·side − 1, d_head]`
/// - output: `[side, side, d_head]`
fn by_offset(table: &Tensor<2>, side: usize) -> Tensor<3> {
    let [_, d_head] = table.dims();
    let offsets: Vec<i32> = (0..side)
        .flat_map(|i| (0..side).map(move |j| (i + side - 1 - j) as i32))
        .collect();
    let offsets =
        Tensor::<1, Int>::from_data(TensorData::new(offsets, [side * side]), &table.device());
    table
        .clone()
        .select(0, offsets)
        .reshape([side, side, d_head])
}

fn composed(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: Mask) -> Tensor<4> {
    let ([batch, n_heads, n_q, d_head], [_, n_kv_heads, n_k, _]) = (q.dims(), k.dims());
    let repeats = n_heads / n_kv_heads;
    let (k, v) = (repeat_heads(k, repeats), repeat_heads(v, repeats));
    let q = q * (d_head as f64).powf(-0.5);
    let k = k.swap_dims(2, 3); // [batch, n_heads, d_head, n_k]
    // Of queries start..start + n, [.., n, n_k].
    let bias = |start: usize, n: usize| match &mask {
        Mask::None => None,
        // One query, which sees all keys.
        Mask::Causal { start: before } if n_q == 1 && *before + 1 >= n_k => None,
        Mask::Causal { start: before } => Some(causal_bias(&q, before + start, n, n_k)),
        Mask::Bias(bias) => Some(bias.clone().narrow(2, start, n)),
        Mask::Relative(relative) => {
            let side = relative.dims()[3] / 2;
            let part = |first| relative.clone().narrow(2, start, n).narrow(3, first, side);
            let rows = part(0).reshape([batch * n_heads, n, side, 1]);
            let columns = part(side).reshape([batch * n_heads, n, 1, side]);
            Some((rows + columns).reshape([batch, n_heads, n, n_k]))
        }
    };
    let slice = |start: usize, n: usize| {
        let part = match n == n_q {
            true => q.clone(),
            false => q.clone().narrow(2, start, n),
        };
        let scores = matmul(part, k.clone()); // [batch, n_heads, n, n_k]
        let scores = match bias(start, n) {
            Some(bias) => scores + bias,
            None => scores,
        };
        matmul(activation::softmax(scores, 3), v.clone())
    };
    let bytes_per_query = batch * n_heads * n_k * size_of::<f32>();
    let queries_per_slice = (MAX_SCORE_BYTES / bytes_per_query.max(1)).max(1);
    if n_q <= queries_per_slice {
        return slice(0, n_q);
    }
    let slices = (0..n_q)
        .step_by(queries_per_slice)
        .map(|start| slice(start, queries_per_slice.min(n_q - start)))
        .collect();
    Tensor::cat(slices, 2)
}

/// Each key or value head serves `repeats` query heads in a row.
fn repeat_heads(x: Tensor<4>, repeats: usize) -> Tensor<4> {
    if repeats == 1 {
        return x;
    }
    let [batch, n_heads, n, d_head] = x.dims();
    x.reshape([batch, n_heads, 1, n, d_head])
        .repeat_dim(2, repeats)
        .reshape([batch, n_heads * repeats, n, d_head])
}

/// 0 where query `start + i` may see key `j`, a large negative number elsewhere, `[1, 1, n, n_k]`.
fn causal_bias(like: &Tensor<4>, start: usize, n: usize, n_k: usize) -> Tensor<4> {
    let of_query = |i| (0..n_k).map(move |j| if j <= start + i { 0.0 } else { HIDDEN });
    let bias: Vec<f32> = (0..n).flat_map(of_query).collect();
    Tensor::from_data(TensorData::new(bias, [1, 1, n, n_k]), &like.device())
}
