//! Products with what comes before or after them, on every backend against plain Rust.

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vmad_kernels::{
    Activation, Epilogue, Features, QuantWeight, RmsScale, cpu_device, linear_f32, matmul_gated,
    matmul_linear, matmul_normed, matmul_parts, matmul_quant, reference,
};
use vmad_quant::{Q4Matrix, Q8Matrix, quantize_q4, quantize_q8};

use crate::poison::poison;

/// Of results of size 1: products of up to 4,096 normed columns with weights of spread 1 / √cols, summed in
/// f32 by eight lanes; relative to results that are larger.
const TOLERANCE: f32 = 2e-5;

const EPS: f64 = 1e-5;

/// Rows, columns and tokens: up to four tokens take other shaders than more do. Around tiles of
/// 64, blocks of 32 columns, workgroups of 8 rows, and as wide as LLaMA-7B.
const SHAPES: &[[usize; 3]] = &[
    [2, 1, 1],
    [6, 31, 2],
    [8, 32, 1],
    [14, 33, 3],
    [18, 100, 4],
    [130, 257, 5],
    [66, 70, 9],
    [128, 64, 64],
    [66, 95, 131],
    [64, 4096, 1],
    [20_000, 64, 1],
];

/// Bias, activation, residual.
const EPILOGUES: [(bool, Option<Activation>, bool); 6] = [
    (false, None, false),
    (true, None, false),
    (true, Some(Activation::Gelu), false),
    (true, Some(Activation::QuickGelu), true),
    (false, Some(Activation::Relu), true),
    (false, None, true),
];

struct Matrix(Packed);

enum Packed {
    Q8(Q8Matrix),
    Q4(Q4Matrix),
}

impl Matrix {
    fn random(is_q4: bool, rows: usize, cols: usize, rng: &mut StdRng) -> Self {
        let spread = (cols as f32).powf(-0.5);
        let values: Vec<f32> = (0..rows * cols)
            .map(|_| rng.random_range(-spread..spread))
            .collect();
        let values = match is_q4 {
            true => Packed::Q4(quantize_q4(&values, rows, cols).unwrap()),
            false => Packed::Q8(quantize_q8(&values, rows, cols).unwrap()),
        };
        Self(values)
    }

    fn upload(&self, device: &Device) -> QuantWeight {
        match &self.0 {
            Packed::Q8(w) => {
                QuantWeight::from_q8(w.rows(), w.cols(), w.values(), w.scales(), device)
            }
            Packed::Q4(w) => {
                QuantWeight::from_q4(w.rows(), w.cols(), w.words(), w.scales(), device)
            }
        }
        .unwrap()
    }

    fn times(&self, x: &[f32]) -> Vec<f32> {
        match &self.0 {
            Packed::Q8(w) => vmad_quant::matmul_q8(x, w),
            Packed::Q4(w) => vmad_quant::matmul_q4(x, w),
        }
        .unwrap()
    }
}

fn numbers(n: usize, rng: &mut StdRng) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-2.0..2.0)).collect()
}

/// With what an optional feature of the adapter rounds: of terms as large as the result, some in one direction.
fn tolerance() -> f32 {
    TOLERANCE + 4.0 * Features::enabled().rounding()
}

fn compare(what: &str, actual: Tensor<2>, expected: &[f32]) {
    compare_within(what, actual, expected, tolerance());
}

fn compare_within(what: &str, actual: Tensor<2>, expected: &[f32], tolerance: f32) {
    crate::compare::compare(what, actual, expected, |i| {
        tolerance * expected[i].abs().max(1.0)
    });
}

fn check_all(device: &Device) {
    let mut rng = StdRng::seed_from_u64(17);
    for (shape, is_q4) in SHAPES.iter().flat_map(|s| [(*s, false), (*s, true)]) {
        check_shape(shape, is_q4, &mut rng, device);
    }
}

/// All products of a weight of `rows` × `cols`, an even number of rows or of blocks in each, with some tokens.
pub fn check_shape(
    [rows, cols, tokens]: [usize; 3],
    is_q4: bool,
    rng: &mut StdRng,
    device: &Device,
) {
    poison(device);
    let what = format!("{rows}×{cols}, {tokens} tokens, int4: {is_q4}");
    let tensor = |values: &[f32], width: usize| {
        let data = TensorData::new(values.to_vec(), [values.len() / width, width]);
        Tensor::<2>::from_data(data, device)
    };
    let w = Matrix::random(is_q4, rows, cols, rng);
    let packed = w.upload(device);
    let (x, more) = (numbers(tokens * cols, rng), numbers(tokens * rows, rng));
    let weight = numbers(rows * cols, rng);
    let transposed: Vec<f32> = (0..rows * cols)
        .map(|i| weight[i % rows * cols + i / rows])
        .collect();
    let of_floats = reference::matmul(&x, &transposed, [tokens, cols, rows]);
    // These grow with the columns, as the weights do not shrink.
    let of_floats_within = tolerance() * (cols as f32).sqrt();
    let of_packed = w.times(&x);
    for (with_bias, activation, with_residual) in EPILOGUES {
        let bias = numbers(rows, rng);
        let end = Epilogue {
            bias: with_bias
                .then(|| Tensor::from_data(TensorData::new(bias.clone(), [rows]), device)),
            activation,
            residual: with_residual.then(|| tensor(&more, rows)),
        };
        let finish = |(i, y): (usize, &f32)| {
            let y = if with_bias { y + bias[i % rows] } else { *y };
            let y = activation.map_or(y, |activation| reference::activated(activation, y));
            if with_residual { y + more[i] } else { y }
        };
        let finished =
            |product: &[f32]| -> Vec<f32> { product.iter().enumerate().map(finish).collect() };
        let what = format!("bias {with_bias}, {activation:?}, residual {with_residual} {what}");
        let made = matmul_linear(tensor(&x, cols), &packed, end.clone());
        compare(&what, made, &finished(&of_packed));
        let made = linear_f32(tensor(&x, cols), tensor(&weight, cols), end);
        let expected = finished(&of_floats);
        compare_within(
            &format!("floats, {what}"),
            made,
            &expected,
            of_floats_within,
        );
    }

    let norm = numbers(cols, rng);
    let scale = || RmsScale {
        weight: Tensor::from_data(TensorData::new(norm.clone(), [cols]), device),
        eps: EPS,
    };
    let h = reference::rms_norm(&x, &norm, EPS);
    let made = matmul_normed(tensor(&x, cols), scale(), &packed);
    compare(&format!("normed {what}"), made, &w.times(&h));

    let up = Matrix::random(is_q4, rows, cols, rng);
    let both = QuantWeight::stacked(&[&packed, &up.upload(device)]).unwrap();
    assert_eq!((both.rows(), both.cols()), (2 * rows, cols));
    let bias = numbers(2 * rows, rng);
    let of_all = Tensor::from_data(TensorData::new(bias.clone(), [2 * rows]), device);
    let parts = matmul_parts(tensor(&x, cols), &both, Some(of_all), 2);
    for ((part, w), bias) in parts.into_iter().zip([&w, &up]).zip(bias.chunks(rows)) {
        let biased = |(i, y): (usize, f32)| y + bias[i % rows];
        let expected: Vec<f32> = w.times(&x).into_iter().enumerate().map(biased).collect();
        compare(&format!("a part of {what}"), part, &expected);
    }

    let made = matmul_gated(tensor(&x, cols), scale(), &both);
    let expected = reference::gated(&w.times(&h), &up.times(&h));
    compare(&format!("gated {what}"), made, &expected);
}

#[test]
fn product_flex() {
    check_all(&cpu_device());
}

/// One of burn's operations after the other, as they are trained through.
#[cfg(feature = "autodiff")]
#[test]
fn product_autodiff() {
    check_all(&cpu_device().autodiff());
}

#[cfg(feature = "wgpu")]
#[test]
fn product_gpu() {
    crate::gpu::on_gpu(check_all);
}

#[test]
fn a_stack_is_its_weights_one_below_the_other() {
    let device = cpu_device();
    let mut rng = StdRng::seed_from_u64(3);
    let matrices = [10, 4, 7].map(|rows| Matrix::random(true, rows, 70, &mut rng));
    let packed = matrices.each_ref().map(|w| w.upload(&device));
    let stack = QuantWeight::stacked(&packed.each_ref()).unwrap();
    let x = numbers(70, &mut rng);
    let input = Tensor::<2>::from_data(TensorData::new(x.clone(), [1, 70]), &device);
    let expected: Vec<f32> = matrices.iter().flat_map(|w| w.times(&x)).collect();
    compare("stack", matmul_quant(input, &stack), &expected);
}

#[test]
fn weights_that_differ_are_not_stacked() {
    let device = cpu_device();
    let mut rng = StdRng::seed_from_u64(4);
    let mut weight =
        |is_q4, rows, cols| Matrix::random(is_q4, rows, cols, &mut rng).upload(&device);
    let (q4, q8, wide) = (
        weight(true, 4, 64),
        weight(false, 4, 64),
        weight(true, 4, 96),
    );
    // Three rows of three blocks: the next scale would be the second of a word.
    let odd = weight(true, 3, 96);
    for pair in [[&q4, &q8], [&q4, &wide], [&odd, &wide]] {
        assert!(QuantWeight::stacked(&pair).is_none());
    }
    assert!(QuantWeight::stacked(&[&wide, &odd]).is_some());
    assert!(QuantWeight::stacked(&[]).is_none());
}

/// Neither a wrong result nor a read past the end of the weight.
#[test]
fn inputs_of_another_width_are_refused() {
    let device = cpu_device();
    let w = Matrix::random(false, 4, 64, &mut StdRng::seed_from_u64(5)).upload(&device);
    let refused = |width: usize| {
        let x = Tensor::<2>::zeros([5, width], &device);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            matmul_linear(x, &w, Epilogue::default())
        }))
        .is_err()
    };
    assert!(refused(32) && refused(96) && !refused(64));
}
