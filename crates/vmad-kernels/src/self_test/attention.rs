//! Attention once with every mask.

use burn::tensor::{Device, Tensor, TensorData};

use super::{compare, tensor, values};
use crate::reference::{self, AttentionSizes};
use crate::{KernelError, Mask, attention, relative_positions};

/// Every mask with every width that has a pipeline of its own, and the decoding step in two parts.
pub(super) async fn attentions(device: &Device, seed: &mut u32) -> Result<(), KernelError> {
    let sizes = |[n_q, n_k, width]: [usize; 3]| AttentionSizes {
        batch: 1,
        n_heads: 2,
        n_kv_heads: 1,
        n_q,
        n_k,
        d_head: width,
        d_value: width,
    };
    for width in [20, 50, 100] {
        // More queries than a decoding step has, keys for more than one tile, a square of them.
        let sizes = sizes([5, 36, width]);
        let (side, rows) = (6, sizes.n_heads * sizes.n_q);
        let [q, k, v] = heads(sizes, seed);
        let made = |mask| {
            let [q, k, v] = tensors([&q, &k, &v], sizes, device);
            attention(q, k, v, mask).reshape([rows, width])
        };
        let causal = made(Mask::Causal { start: 31 });
        let expected = reference::attention([&q, &k, &v], sizes, &|[.., i, j]| {
            (j <= 31 + i).then_some(0.0)
        });
        compare("attention", causal, &expected).await?;

        let numbers = values(rows * sizes.n_k, seed);
        let shape = [1, sizes.n_heads, sizes.n_q, sizes.n_k];
        let bias = Tensor::from_data(TensorData::new(numbers.clone(), shape), device);
        let expected = reference::attention([&q, &k, &v], sizes, &|[_, head, i, j]| {
            Some(f64::from(numbers[(head * sizes.n_q + i) * sizes.n_k + j]))
        });
        compare("attention_bias", made(Mask::Bias(bias)), &expected).await?;

        let by_row = values(rows * side, seed);
        let by_column = values(rows * side, seed);
        let both = by_row.chunks(side).zip(by_column.chunks(side));
        let both: Vec<f32> = both
            .flat_map(|(row, column)| [row, column].concat())
            .collect();
        let shape = [1, sizes.n_heads, sizes.n_q, 2 * side];
        let mask = Mask::Relative(Tensor::from_data(TensorData::new(both, shape), device));
        let expected = reference::attention([&q, &k, &v], sizes, &|[_, head, i, j]| {
            let at = (head * sizes.n_q + i) * side;
            Some(f64::from(by_row[at + j / side]) + f64::from(by_column[at + j % side]))
        });
        compare("attention_relative", made(mask), &expected).await?;
    }
    let (side, d) = (3, 11);
    let q = values(side * side * d, seed);
    let tables = [0, 1].map(|_| values((2 * side - 1) * d, seed));
    let [rows, columns] = tables
        .each_ref()
        .map(|t| tensor(t, 2 * side - 1, d, device));
    let queries = Tensor::from_data(TensorData::new(q.clone(), [1, 1, side * side, d]), device);
    let y = relative_positions(queries, rows, columns).reshape([side * side, 2 * side]);
    let expected = reference::relative_positions(&q, tables.each_ref().map(|t| &t[..]), side);
    compare("relative_positions", y, &expected).await?;

    for (op, n_k) in [("attention_decode", 40), ("attention_combine", 300)] {
        let sizes = sizes([1, n_k, 20]);
        let [q, k, v] = heads(sizes, seed);
        let expected = reference::attention([&q, &k, &v], sizes, &|_| Some(0.0));
        let [q, k, v] = tensors([&q, &k, &v], sizes, device);
        let made = attention(q, k, v, Mask::None).reshape([2, 20]);
        compare(op, made, &expected).await?;
    }
    Ok(())
}

fn heads(sizes: AttentionSizes, seed: &mut u32) -> [Vec<f32>; 3] {
    [
        sizes.n_heads * sizes.n_q * sizes.d_head,
        sizes.n_kv_heads * sizes.n_k * sizes.d_head,
        sizes.n_kv_heads * sizes.n_k * sizes.d_value,
    ]
    .map(|n| values(n, seed))
}

fn tensors([q, k, v]: [&[f32]; 3], sizes: AttentionSizes, device: &Device) -> [Tensor<4>; 3] {
    let AttentionSizes {
        n_heads,
        n_kv_heads,
        n_q,
        n_k,
        d_head,
        d_value,
        ..
    } = sizes;
    let tensor = |x: &[f32], shape: [usize; 4]| {
        Tensor::from_data(TensorData::new(x.to_vec(), shape), device)
    };
    [
        tensor(q, [1, n_heads, n_q, d_head]),
        tensor(k, [1, n_kv_heads, n_k, d_head]),
        tensor(v, [1, n_kv_heads, n_k, d_value]),
    ]
}
