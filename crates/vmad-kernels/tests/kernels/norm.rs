//! Norms on every backend against `reference`.

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vmad_kernels::{cpu_device, layer_norm, layer_norm_image, reference, rms_norm};

use crate::poison::poison;

/// Of results of up to about 10: sums of up to 4,096 squares in lanes of 64 partial sums, a division and
/// an inverse square root of at most 2 units in the last place.
const TOLERANCE: f32 = 1e-5;

/// Of results of rows that hardly vary, for each 1 / σ: the mean of numbers below 3 is rounded by 2⁻²³, and
/// so is the difference, times a weight below 3.
const BY_SPREAD: f64 = 3.0 * 2.0 / (1 << 23) as f64;

const EPS: f64 = 1e-5;

/// Rows and columns around 64 threads, and as wide as LLaMA-7B.
const SIZES: &[[usize; 2]] = &[
    [1, 1],
    [1, 32],
    [5, 63],
    [64, 64],
    [3, 65],
    [7, 128],
    [2, 4096],
    [70_000, 3],
];

fn numbers(n: usize, rng: &mut StdRng) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-1.0..3.0)).collect()
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

/// `spread` holds 1 / σ of each row.
fn compare<const D: usize>(what: &str, actual: Tensor<D>, expected: &[f32], spread: &[f64]) {
    let n = expected.len();
    crate::compare::compare(what, actual, expected, |i| {
        TOLERANCE + (spread[i * spread.len() / n] * BY_SPREAD) as f32
    });
}

fn check_all(device: &Device) {
    let mut rng = StdRng::seed_from_u64(5);
    for sizes in SIZES {
        check_norms(*sizes, &mut rng, device);
    }
}

pub fn check_norms([rows, columns]: [usize; 2], rng: &mut StdRng, device: &Device) {
    poison(device);
    let x = numbers(rows * columns, rng);
    let (weight, bias) = (numbers(columns, rng), numbers(columns, rng));
    let (w, b) = (
        tensor(&weight, [columns], device),
        tensor(&bias, [columns], device),
    );
    let ones = vec![1.0; columns];
    let unit = reference::layer_norm(&x, &ones, &vec![0.0; columns], EPS);
    let spread = |row: usize| {
        let at = row * columns..(row + 1) * columns;
        // What the norm multiplies differences by.
        let range = |values: &[f32]| {
            let most = values.iter().copied().fold(f32::MIN, f32::max);
            f64::from(most - values.iter().copied().fold(f32::MAX, f32::min))
        };
        range(&unit[at.clone()]) / range(&x[at]).max(1e-30)
    };
    let spread: Vec<f64> = (0..rows).map(spread).collect();
    let layered = reference::layer_norm(&x, &weight, &bias, EPS);
    let input = tensor(&x, [rows, columns], device);
    let what = format!("{rows}×{columns}");
    let made = layer_norm(input.clone(), w.clone(), b.clone(), EPS);
    compare(&format!("layer_norm {what}"), made, &layered, &spread);
    let made = rms_norm(input.clone(), w.clone(), EPS);
    let expected = reference::rms_norm(&x, &weight, EPS);
    compare(&format!("rms_norm {what}"), made, &expected, &[0.0]);
    // Channels before pixels, of one picture or two.
    let batch = if rows.is_multiple_of(2) { 2 } else { 1 };
    let image = input.reshape([batch, rows / batch, 1, columns]);
    let image = image.permute([0, 3, 1, 2]).mul_scalar(1.0);
    let made = layer_norm_image(image, w, b, EPS).permute([0, 2, 3, 1]);
    compare(&format!("layer_norm_image {what}"), made, &layered, &spread);
}

#[test]
fn norm_flex() {
    check_all(&cpu_device());
}

#[cfg(feature = "wgpu")]
#[test]
fn norm_gpu() {
    crate::gpu::on_gpu(check_all);
}
