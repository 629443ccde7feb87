//! Attention with every mask, and the cache of keys and values.

use burn::tensor::Tensor;

use super::run::Run;
use crate::error::KernelError;
use crate::ops::{KvLayer, Rotary, attention, relative_positions};
use crate::reference::{self, AttentionSizes};
use crate::types::Mask;

fn sizes([n_q, n_k, width]: [usize; 3]) -> AttentionSizes {
    AttentionSizes {
        batch: 1,
        n_heads: 2,
        n_kv_heads: 1,
        n_q,
        n_k,
        d_head: width,
        d_value: width,
    }
}

/// Every mask with every width that has a pipeline of its own, relative positions, and the decoding step in one part of the
/// keys and in two.
pub(super) async fn masks(run: &mut Run<'_>) -> Result<(), KernelError> {
    for width in [20, 50, 100] {
        // More queries than a decoding step has, more keys than a tile has, and a square number of them.
        let sizes = sizes([5, 36, width]);
        let qkv = heads(sizes, run);
        causal(run, sizes, &qkv).await?;
        bias(run, sizes, &qkv).await?;
        relative(run, sizes, &qkv).await?;
    }
    let (side, d) = (3, 11);
    let q = run.values(side * side * d);
    let tables = [0, 1].map(|_| run.values((2 * side - 1) * d));
    let [rows, columns] = tables
        .each_ref()
        .map(|table| run.tensor(table, [2 * side - 1, d]));
    let y = relative_positions(run.tensor(&q, [1, 1, side * side, d]), rows, columns);
    let expected = reference::relative_positions(&q, tables.each_ref().map(|t| &t[..]), side);
    run.compare("relative_positions", y, &expected).await?;

    for (op, n_k) in [("attention_decode", 40), ("attention_combine", 300)] {
        let sizes = sizes([1, n_k, 20]);
        let qkv = heads(sizes, run);
        let expected = attended(&qkv, sizes, &|_| Some(0.0));
        let [q, k, v] = tensors(run, &qkv, sizes);
        run.compare(op, attention(q, k, v, Mask::None), &expected)
            .await?;
    }
    Ok(())
}

async fn causal(
    run: &mut Run<'_>,
    sizes: AttentionSizes,
    qkv: &[Vec<f32>; 3],
) -> Result<(), KernelError> {
    let start = sizes.n_k - sizes.n_q;
    let [q, k, v] = tensors(run, qkv, sizes);
    let made = attention(q, k, v, Mask::Causal { start });
    let expected = attended(qkv, sizes, &|[.., i, j]| (j <= start + i).then_some(0.0));
    run.compare("attention", made, &expected).await
}

async fn bias(
    run: &mut Run<'_>,
    sizes: AttentionSizes,
    qkv: &[Vec<f32>; 3],
) -> Result<(), KernelError> {
    let AttentionSizes {
        n_heads, n_q, n_k, ..
    } = sizes;
    let numbers = run.values(n_heads * n_q * n_k);
    let bias = run.tensor(&numbers, [1, n_heads, n_q, n_k]);
    let [q, k, v] = tensors(run, qkv, sizes);
    let made = attention(q, k, v, Mask::Bias(bias));
    let expected = attended(qkv, sizes, &|[_, head, i, j]| {
        Some(f64::from(numbers[(head * n_q + i) * n_k + j]))
    });
    run.compare("attention_bias", made, &expected).await
}

async fn relative(
    run: &mut Run<'_>,
    sizes: AttentionSizes,
    qkv: &[Vec<f32>; 3],
) -> Result<(), KernelError> {
    let AttentionSizes { n_heads, n_q, .. } = sizes;
    let (side, rows) = (sizes.n_k.isqrt(), n_heads * n_q);
    let (by_row, by_column) = (run.values(rows * side), run.values(rows * side));
    let both = by_row.chunks(side).zip(by_column.chunks(side));
    let both = both.flat_map(|(row, column)| [row, column].concat());
    let both: Vec<f32> = both.collect();
    let mask = Mask::Relative(run.tensor(&both, [1, n_heads, n_q, 2 * side]));
    let [q, k, v] = tensors(run, qkv, sizes);
    let made = attention(q, k, v, mask);
    let expected = attended(qkv, sizes, &|[_, head, i, j]| {
        let at = (head * n_q + i) * side;
        Some(f64::from(by_row[at + j / side]) + f64::from(by_column[at + j % side]))
    });
    run.compare("attention_relative", made, &expected).await
}

/// Two tokens one after the other: the second attends to both, with its rotary embedding.
pub(super) async fn cache(run: &mut Run<'_>) -> Result<(), KernelError> {
    const D: usize = 6;
    const THETA: f64 = 100.0;
    let (mut layer, mut rotary) = (KvLayer::default(), Rotary::new(THETA, D));
    let tokens = [0, 1].map(|_| [0, 1, 2].map(|_| run.values(D)));
    let mut last = Tensor::<3>::zeros([1, 1, D], run.device);
    for (start, token) in tokens.iter().enumerate() {
        let qkv = token.each_ref().map(|x| run.tensor(x, [1, 1, 1, D]));
        last = layer.attend(qkv, &mut rotary, start);
    }
    let sizes = AttentionSizes {
        n_heads: 1,
        ..sizes([1, 2, D])
    };
    let q = reference::rope(&tokens[1][0], 1, THETA);
    let keys = [0, 1].map(|at| reference::rope(&tokens[at][1], at, THETA));
    let values = [tokens[0][2].clone(), tokens[1][2].clone()];
    let qkv = [q, keys.concat(), values.concat()];
    let expected = attended(&qkv, sizes, &|_| Some(0.0));
    run.compare("rope_append", last, &expected).await
}

fn attended(
    qkv: &[Vec<f32>; 3],
    sizes: AttentionSizes,
    bias: &dyn Fn([usize; 4]) -> Option<f64>,
) -> Vec<f32> {
    reference::attention(qkv.each_ref().map(|x| &x[..]), sizes, bias)
}

fn heads(sizes: AttentionSizes, run: &mut Run<'_>) -> [Vec<f32>; 3] {
    [
        sizes.n_heads * sizes.n_q * sizes.d_head,
        sizes.n_kv_heads * sizes.n_k * sizes.d_head,
        sizes.n_kv_heads * sizes.n_k * sizes.d_value,
    ]
    .map(|n| run.values(n))
}

fn tensors(run: &Run<'_>, [q, k, v]: &[Vec<f32>; 3], sizes: AttentionSizes) -> [Tensor<4>; 3] {
    let AttentionSizes {
        n_heads,
        n_kv_heads,
        n_q,
        n_k,
        d_head,
        d_value,
        ..
    } = sizes;
    [
        run.tensor(q, [1, n_heads, n_q, d_head]),
        run.tensor(k, [1, n_kv_heads, n_k, d_head]),
        run.tensor(v, [1, n_kv_heads, n_k, d_value]),
    ]
}
