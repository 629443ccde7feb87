//! The operations of a convolutional stem on every backend against `reference`.

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vmad_kernels::{Activation, ChannelNorm, batch_norm, cpu_device, overlapping_cells, reference};

use crate::poison::poison;

/// Of results of up to about 10: an inverse square root, four roundings, and the error function's approximation.
const TOLERANCE: f32 = 5e-6;

const EPS: f64 = 1e-5;

fn numbers(n: usize, from: f32, to: f32, rng: &mut StdRng) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(from..to)).collect()
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

fn compare<const D: usize>(what: &str, actual: Tensor<D>, expected: &[f32], tolerance: f32) {
    crate::compare::compare(what, actual, expected, |_| tolerance);
}

pub fn check_batch_norm([rows, d]: [usize; 2], rng: &mut StdRng, device: &Device) {
    poison(device);
    let x = numbers(rows * d, -2.0, 2.0, rng);
    let [weight, bias, mean] = [0, 1, 2].map(|_| numbers(d, -1.5, 1.5, rng));
    let variance = numbers(d, 0.2, 2.0, rng);
    let parts = [&weight[..], &bias, &mean, &variance];
    let expected = reference::batch_norm(&x, parts, EPS);
    for activation in [None, Some(Activation::Gelu), Some(Activation::QuickGelu)] {
        let [weight, bias, mean, variance] = parts.map(|part| tensor(part, [d], device));
        let norm = ChannelNorm {
            weight,
            bias,
            mean,
            variance,
            eps: EPS,
        };
        let made = batch_norm(tensor(&x, [1, rows, d], device), norm, activation);
        let through = |y: &f32| activation.map_or(*y, |a| reference::activated(a, *y));
        let expected: Vec<f32> = expected.iter().map(through).collect();
        compare(
            &format!("{rows}×{d}, {activation:?}"),
            made,
            &expected,
            TOLERANCE,
        );
    }
}

/// Pixels along a cell; rows and columns of cells, channels.
const CELLS: &[(usize, [usize; 3])] = &[
    (2, [1, 1, 1]),
    (2, [3, 5, 1]),
    (4, [2, 3, 3]),
    (4, [16, 16, 3]),
    (2, [9, 7, 33]),
];

pub fn check_cells(stride: usize, [rows, columns, d]: [usize; 3], device: &Device) {
    poison(device);
    let what = format!("stride {stride}, {rows}×{columns} cells of {d}");
    let shape = [rows * stride, columns * stride, d];
    let [height, width, _] = shape;
    let n = height * width * d;
    // Two pictures, so that one must not run into the other.
    let x: Vec<f32> = (0..2 * n).map(|i| i as f32 + 1.0).collect();
    let pictures = x.chunks(n);
    let expected: Vec<f32> = pictures
        .flat_map(|x| reference::overlapping_cells(x, shape, stride))
        .collect();
    let tensor = tensor(&x, [2, height, width, d], device);
    compare(
        &what,
        overlapping_cells(tensor.clone(), stride),
        &expected,
        0.0,
    );
    // The same through a view whose channels came first.
    let first = tensor.permute([0, 3, 1, 2]).mul_scalar(1.0);
    let made = overlapping_cells(first.permute([0, 2, 3, 1]), stride);
    compare(&format!("{what}, a view"), made, &expected, 0.0);
}

fn check_all(device: &Device) {
    let mut rng = StdRng::seed_from_u64(21);
    for sizes in [[1, 1], [3, 5], [65, 32], [4096, 33]] {
        check_batch_norm(sizes, &mut rng, device);
    }
    for (stride, sizes) in CELLS {
        check_cells(*stride, *sizes, device);
    }
}

#[test]
fn stem_flex() {
    check_all(&cpu_device());
}

/// One of burn's operations after the other, as they are trained through.
#[cfg(feature = "autodiff")]
#[test]
fn stem_autodiff() {
    check_all(&cpu_device().autodiff());
}

#[cfg(feature = "wgpu")]
#[test]
fn stem_gpu() {
    crate::gpu::on_gpu(check_all);
}

/// Against the definition: entry (block row, block column, row, column) of a cell is the pixel half a cell above and
/// left of its corner, and zero outside the picture.
#[test]
fn the_reference_is_the_pixels_around_a_cell() {
    let (stride, rows, columns, d) = (4, 2, 3, 3);
    let (height, width) = (rows * stride, columns * stride);
    let values: Vec<f32> = (0..height * width * d).map(|i| i as f32 + 1.0).collect();
    let mut expected = Vec::new();
    for cell in 0..rows * columns {
        for block in 0..4 {
            for inner in 0..stride * stride {
                let at = |cell: usize, block: usize, inner: usize| {
                    ((cell + block) * stride + inner).checked_sub(stride / 2)
                };
                let y = at(cell / columns, block / 2, inner / stride);
                let x = at(cell % columns, block % 2, inner % stride);
                let pixel = match (y, x) {
                    (Some(y), Some(x)) if y < height && x < width => Some((y * width + x) * d),
                    _ => None,
                };
                expected.extend((0..d).map(|c| pixel.map_or(0.0, |p| values[p + c])));
            }
        }
    }
    let made = reference::overlapping_cells(&values, [height, width, d], stride);
    assert_eq!(made, expected);
}
