//! LTC's deformable and region attention on every backend against `reference`.

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vmad_kernels::reference::{self, DeformableSizes};
use vmad_kernels::{Points, cpu_device, deformable_attention, region_attention};

use crate::poison::poison;

/// Means of at most 64 values below 1.5 by weights that are exponentials, and shares of cells up to 24 away
/// from the corner, each rounded to f32.
const TOLERANCE: f32 = 2e-5;

fn numbers(n: usize, range: f32, rng: &mut StdRng) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-range..range)).collect()
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

fn compare(what: &str, actual: Tensor<3>, expected: &[f32]) {
    crate::compare::compare(what, actual, expected, |_| TOLERANCE);
}

/// Batch, queries, heads, points, channels of a head, side; and how far points lie from their centres.
const DEFORMABLE: &[([usize; 6], f32)] = &[
    ([1, 1, 1, 1, 1, 1], 0.5),
    ([2, 7, 3, 4, 5, 3], 2.0),
    ([1, 64, 4, 4, 32, 16], 1.5),
    ([3, 65, 2, 1, 33, 8], 30.0),
    ([1, 576, 8, 4, 16, 24], 4.0),
    // Beyond what fits an index.
    ([1, 5, 2, 3, 4, 6], 1e12),
];

pub fn check_deformable(
    ([batch, n, n_heads, n_points, d_head, side], far): ([usize; 6], f32),
    rng: &mut StdRng,
    device: &Device,
) {
    poison(device);
    let sizes = DeformableSizes {
        batch,
        n,
        n_heads,
        n_points,
        d_head,
        side,
    };
    let (d, samples) = (n_heads * d_head, n_heads * n_points);
    let value = numbers(batch * side * side * d, 1.5, rng);
    let mut offsets = numbers(batch * n * samples * 2, far, rng);
    // Some on a cell's centre, where two cells take over from each other.
    offsets.iter_mut().step_by(5).for_each(|x| *x = x.round());
    let weights = numbers(batch * n * samples, 5.0, rng);
    let centres: Vec<f32> = (0..n * 2)
        .map(|_| rng.random_range(0..side) as f32 + 0.5)
        .collect();
    let points = Points {
        offsets: tensor(&offsets, [batch, n, samples * 2], device),
        weights: tensor(&weights, [batch, n, samples], device),
        centres: tensor(&centres, [n, 2], device),
        n_heads,
    };
    let made = deformable_attention(tensor(&value, [batch, side * side, d], device), points);
    let all = [&value[..], &offsets, &weights, &centres];
    let expected = reference::deformable_attention(all, sizes);
    compare(&format!("{sizes:?}, {far} away"), made, &expected);
}

/// Side, stride, heads, channels of a head; the widest go through the plain attention.
const REGIONS: &[[usize; 4]] = &[
    [1, 1, 1, 1],
    [4, 2, 2, 5],
    [6, 3, 3, 64],
    [16, 2, 4, 32],
    [8, 8, 2, 65],
    [24, 2, 8, 128],
    [4, 2, 1, 130],
];

pub fn check_regions(
    [side, stride, n_heads, d_head]: [usize; 4],
    rng: &mut StdRng,
    device: &Device,
) {
    poison(device);
    let (d, batch) = (n_heads * d_head, 2);
    let (n, n_cells) = ((side / stride).pow(2), side * side);
    let q = numbers(batch * n * d, 1.5, rng);
    let k = numbers(batch * n_cells * d, 1.5, rng);
    let v = numbers(batch * n_cells * d, 1.5, rng);
    let whole = |x: &[f32], n: usize| tensor(x, [batch, n, d], device);
    let qkv = [whole(&q, n), whole(&k, n_cells), whole(&v, n_cells)];
    let made = region_attention(qkv, n_heads, stride);
    let of = |b: usize| {
        let part = |x: &[f32]| x[b * x.len() / batch..(b + 1) * x.len() / batch].to_vec();
        let (q, k, v) = (part(&q), part(&k), part(&v));
        reference::region_attention([&q, &k, &v], [side, stride], [n_heads, d_head])
    };
    let expected: Vec<f32> = (0..batch).flat_map(of).collect();
    compare(
        &format!("{side}² cells, {stride}² a region, {n_heads} × {d_head}"),
        made,
        &expected,
    );
}

fn check_all(device: &Device) {
    let mut rng = StdRng::seed_from_u64(11);
    for sizes in DEFORMABLE {
        check_deformable(*sizes, &mut rng, device);
    }
    for sizes in REGIONS {
        check_regions(*sizes, &mut rng, device);
    }
}

#[test]
fn projector_flex() {
    check_all(&cpu_device());
}

#[cfg(feature = "wgpu")]
#[test]
fn projector_gpu() {
    crate::gpu::on_gpu(check_all);
}
