//! f32 products and convolutions on every backend against `reference`.

use burn::tensor::module::conv_transpose2d;
use burn::tensor::ops::ConvTransposeOptions;
use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vmad_kernels::reference::{self, ConvSizes};
use vmad_kernels::{Conv2dOptions, conv2d, cpu_device, matmul, upsample_2x};

use crate::poison::poison;

fn numbers(n: usize, rng: &mut StdRng) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

/// Results are sums of `terms` products: f32 rounds each step by at most 2⁻²⁴ of a partial sum, of which none
/// is larger than four times the largest result here.
fn compare<const D: usize>(
    what: &str,
    actual: Tensor<D>,
    shape: [usize; D],
    (expected, terms): (&[f32], usize),
) {
    let largest = expected.iter().fold(1.0, |most: f32, x| most.max(x.abs()));
    let tolerance = terms as f32 * 4.0 * largest / (1 << 24) as f32;
    assert_eq!(actual.dims(), shape, "{what}");
    crate::compare::compare(what, actual, expected, |_| tolerance);
}

fn transposed(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let at = |i: usize| x[i % rows * columns + i / rows];
    (0..rows * columns).map(at).collect()
}

/// Rows, depth, columns around tiles of 32 and steps of 16.
const SIZES: &[[usize; 3]] = &[
    [1, 1, 1],
    [1, 300, 5],
    [5, 16, 33],
    [31, 17, 32],
    [33, 15, 1],
    [64, 48, 65],
    [200, 7, 130],
];

pub fn check_product([m, k, n]: [usize; 3], rng: &mut StdRng, device: &Device) {
    poison(device);
    let what = format!("{m} × {k} × {n}");
    let (a, b) = (numbers(m * k, rng), numbers(k * n, rng));
    let expected = reference::matmul(&a, &b, [m, k, n]);
    let (left, right) = (|| tensor(&a, [m, k], device), || tensor(&b, [k, n], device));
    compare(&what, matmul(left(), right()), [m, n], (&expected, k));
    // Either side as a transposed view, as weights are.
    let transposed_left = || tensor(&transposed(&a, m, k), [k, m], device).transpose();
    compare(
        &what,
        matmul(transposed_left(), right()),
        [m, n],
        (&expected, k),
    );
    let transposed_right = tensor(&transposed(&b, k, n), [n, k], device).transpose();
    compare(
        &what,
        matmul(transposed_left(), transposed_right),
        [m, n],
        (&expected, k),
    );
}

fn check_batches(device: &Device) {
    let mut rng = StdRng::seed_from_u64(22);
    let [m, k, n] = [7, 20, 35];
    for (a_batch, b_batch) in [
        ([2, 3], [2, 3]),
        ([1, 3], [2, 3]),
        ([2, 3], [2, 1]),
        ([1, 1], [3, 1]),
        ([4, 1], [1, 2]),
    ] {
        let batch = [0, 1].map(|i| a_batch[i].max(b_batch[i]));
        let a = numbers(a_batch[0] * a_batch[1] * m * k, &mut rng);
        let b = numbers(b_batch[0] * b_batch[1] * k * n, &mut rng);
        let mut expected = Vec::new();
        for (i, j) in (0..batch[0]).flat_map(|i| (0..batch[1]).map(move |j| (i, j))) {
            let at = |size: [usize; 2]| (i % size[0]) * size[1] + j % size[1];
            let (a, b) = (
                &a[at(a_batch) * m * k..][..m * k],
                &b[at(b_batch) * k * n..][..k * n],
            );
            expected.extend(reference::matmul(a, b, [m, k, n]));
        }
        let left = tensor(&a, [a_batch[0], a_batch[1], m, k], device);
        let right = tensor(&b, [b_batch[0], b_batch[1], k, n], device);
        let what = format!("{a_batch:?} · {b_batch:?}");
        compare(
            &what,
            matmul(left, right),
            [batch[0], batch[1], m, n],
            (&expected, k),
        );
    }
    // Three dimensions, a part of a tensor, and a tensor with itself.
    let x = numbers(2 * 9 * k, &mut rng);
    let part = tensor(&x, [2, 9, k], device).narrow(1, 1, m);
    let mut expected = Vec::new();
    for picture in 0..2 {
        let rows = &x[(picture * 9 + 1) * k..][..m * k];
        expected.extend(reference::matmul(rows, &transposed(rows, m, k), [m, k, m]));
    }
    let squares = matmul(part.clone(), part.transpose());
    compare("with itself", squares, [2, m, m], (&expected, k));
}

/// Images, channels in and out, height and width, kernel; stride, padding, groups; bias.
pub type Convolution = ([usize; 6], [usize; 3], bool);

const CONVOLUTIONS: &[Convolution] = &[
    ([1, 1, 1, 1, 1, 1], [1, 0, 1], true),
    ([2, 3, 10, 17, 9, 3], [2, 1, 1], false),
    ([1, 64, 65, 8, 8, 3], [1, 1, 1], true),
    ([1, 12, 12, 9, 11, 3], [1, 1, 12], false),
    ([3, 6, 9, 7, 5, 5], [3, 2, 3], true),
    ([1, 3, 7, 16, 16, 4], [4, 0, 1], true),
    ([1, 5, 2, 40, 33, 1], [1, 0, 1], true),
];

pub fn check_convolution(
    ([batch, c_in, c_out, height, width, kernel], options, with_bias): Convolution,
    rng: &mut StdRng,
    device: &Device,
) {
    poison(device);
    let [stride, padding, groups] = options;
    let options = Conv2dOptions {
        stride,
        padding,
        groups,
    };
    let sizes = ConvSizes {
        batch,
        c_in,
        c_out,
        size: [height, width],
        kernel,
    };
    let x = numbers(batch * c_in * height * width, rng);
    let shape = [c_out, c_in / groups, kernel, kernel];
    let weight = numbers(shape.iter().product(), rng);
    let bias = numbers(if with_bias { c_out } else { 0 }, rng);
    let expected = reference::conv2d([&x, &weight, &bias], sizes, options);
    let made = conv2d(
        tensor(&x, [batch, c_in, height, width], device),
        tensor(&weight, shape, device),
        with_bias.then(|| tensor(&bias, [c_out], device)),
        options,
    );
    let along = |size: usize| (size + 2 * padding - kernel) / stride + 1;
    let shape = [batch, c_out, along(height), along(width)];
    let terms = c_in / groups * kernel * kernel + 1;
    let what = format!("{sizes:?} {options:?}");
    compare(&what, made, shape, (&expected, terms));
}

/// Against burn's own, on the CPU.
pub fn check_upsampling(
    [batch, c_in, c_out, height, width]: [usize; 5],
    rng: &mut StdRng,
    device: &Device,
) {
    poison(device);
    let x = numbers(batch * c_in * height * width, rng);
    let weight = numbers(c_in * c_out * 4, rng);
    let bias = numbers(c_out, rng);
    let all = |device: &Device| {
        (
            tensor(&x, [batch, c_in, height, width], device),
            tensor(&weight, [c_in, c_out, 2, 2], device),
            tensor(&bias, [c_out], device),
        )
    };
    let (image, kernel, added) = all(&cpu_device());
    let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
    let expected = conv_transpose2d(image, kernel, Some(added), options);
    let expected = expected.into_data().try_to_vec::<f32>().unwrap();
    let (image, kernel, added) = all(device);
    let made = upsample_2x(image, kernel, added);
    let shape = [batch, c_out, 2 * height, 2 * width];
    compare(&format!("{shape:?}"), made, shape, (&expected, c_in + 1));
}

fn check_all(device: &Device) {
    let mut rng = StdRng::seed_from_u64(21);
    for sizes in SIZES {
        check_product(*sizes, &mut rng, device);
    }
    check_batches(device);
    for convolution in CONVOLUTIONS {
        check_convolution(*convolution, &mut rng, device);
    }
    for sizes in [[1, 1, 1, 1, 1], [2, 5, 3, 4, 7], [1, 64, 16, 16, 16]] {
        check_upsampling(sizes, &mut rng, device);
    }
}

#[test]
fn cpu_computes_as_the_reference() {
    check_all(&cpu_device());
}

#[cfg(feature = "wgpu")]
#[test]
fn gpu_computes_as_the_reference() {
    crate::gpu::on_gpu(check_all);
}
