//! Every operation on every backend against the plain truth of `vmad_quant`.

use burn::tensor::{Device, Int, Tensor, TensorData, s};
use half::f16;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vmad_kernels::{
    Features, KernelError, QuantWeight, cpu_device, gather_quant, matmul_quant, self_test,
};
use vmad_quant::{BLOCK, Q4Matrix, Q8Matrix, quantize_q4, quantize_q8};

use crate::poison::poison;

/// How far a result may be from the reference, which sums in f64.
#[derive(Clone, Copy)]
struct Tolerance {
    /// Fraction of the sum of the absolute terms, the quantity that rounding is proportional to.
    rel: f32,
    /// For sums that are zero.
    abs: f32,
}

/// f32 products and sums: the bound is `cols · 2⁻²⁴`, which for 1100 columns is 7e-5; partial sums
/// in lanes and blocks stay far below it.
const F32_SUM: Tolerance = Tolerance {
    rel: 4e-6,
    abs: 1e-7,
};

/// For bounds that hold each result's error.
const BOUND: Tolerance = Tolerance {
    rel: 1.0,
    abs: F32_SUM.abs,
};

/// One product of an integer below 2⁷ and an f16 scale is exact in f32.
const EXACT: Tolerance = Tolerance { rel: 0.0, abs: 0.0 };

/// Rows, columns and tokens around every boundary: of blocks (32), of tiles (64 on GPUs), of the
/// switch from dot products to tiles (3 on CPUs, 4 on GPUs), of several tiles.
const SHAPES: &[(usize, usize, usize)] = &[
    (1, 32, 1),
    (1, 1, 1),
    (3, 96, 2),
    (7, 33, 3),
    (5, 31, 4),
    (64, 64, 5),
    (65, 70, 9),
    (130, 257, 65),
    (67, 1100, 3),
    (301, 160, 17),
    (257, 512, 64),
    (2000, 100, 1),
];

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Q8,
    Q4,
}

/// The reference and the uploaded weight of the same matrix.
enum Reference {
    Q8(Q8Matrix),
    Q4(Q4Matrix),
}

impl Reference {
    fn new(kind: Kind, rows: usize, cols: usize, rng: &mut StdRng) -> Self {
        let values = random(rows * cols, rng);
        match kind {
            Kind::Q8 => Self::Q8(quantize_q8(&values, rows, cols).unwrap()),
            Kind::Q4 => Self::Q4(quantize_q4(&values, rows, cols).unwrap()),
        }
    }

    fn upload(&self, device: &Device) -> QuantWeight {
        match self {
            Self::Q8(w) => {
                QuantWeight::from_q8(w.rows(), w.cols(), w.values(), w.scales(), device).unwrap()
            }
            Self::Q4(w) => {
                QuantWeight::from_q4(w.rows(), w.cols(), w.words(), w.scales(), device).unwrap()
            }
        }
    }

    fn dequantize(&self) -> Vec<f32> {
        match self {
            Self::Q8(w) => w.dequantize(),
            Self::Q4(w) => w.dequantize(),
        }
    }

    fn matmul(&self, x: &[f32]) -> Vec<f32> {
        match self {
            Self::Q8(w) => vmad_quant::matmul_q8(x, w).unwrap(),
            Self::Q4(w) => vmad_quant::matmul_q4(x, w).unwrap(),
        }
    }

    fn gather(&self, ids: &[u32]) -> Vec<f32> {
        match self {
            Self::Q8(w) => vmad_quant::gather_q8(ids, w).unwrap(),
            Self::Q4(w) => vmad_quant::gather_q4(ids, w).unwrap(),
        }
    }
}

fn random(n_values: usize, rng: &mut StdRng) -> Vec<f32> {
    (0..n_values)
        .map(|_| rng.random_range(-1.0..1.0f32))
        .collect()
}

fn read(tensor: Tensor<2>) -> Vec<f32> {
    let data = pollster::block_on(tensor.into_data_async()).unwrap();
    data.try_to_vec().unwrap()
}

fn assert_close(what: &str, actual: &[f32], expected: &[f32], scale: &[f32], within: Tolerance) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (i, ((&actual, &expected), &scale)) in actual.iter().zip(expected).zip(scale).enumerate() {
        let allowed = within.abs + within.rel * scale;
        let difference = (actual - expected).abs();
        assert!(
            difference <= allowed,
            "{what}: element {i} is {actual}, should be {expected} within {allowed:e}"
        );
    }
}

/// A product of a matrix of `rows` × `cols` with some tokens.
pub fn check_matmul(
    kind: Kind,
    (rows, cols, tokens): (usize, usize, usize),
    rng: &mut StdRng,
    device: &Device,
) {
    poison(device);
    let reference = Reference::new(kind, rows, cols, rng);
    let x = random(tokens * cols, rng);
    let w = reference.upload(device);
    let input = Tensor::<2>::from_data(TensorData::new(x.clone(), [tokens, cols]), device);

    let what = format!("matmul {kind:?} {rows}×{cols}, {tokens} tokens");
    let expected = reference.matmul(&x);
    let bounds = error_bounds(&x, &reference.dequantize(), cols);
    let actual = read(matmul_quant(input.clone(), &w));
    assert_close(&what, &actual, &expected, &bounds, BOUND);

    // The same numbers through a view that is neither contiguous nor at offset zero.
    let view = Tensor::cat(vec![input.ones_like().slice(s![0..1, ..]), input], 0)
        .transpose()
        .mul_scalar(1.0)
        .transpose()
        .slice(s![1.., ..]);
    let actual = read(matmul_quant(view, &w));
    assert_close(&what, &actual, &expected, &bounds, BOUND);
}

/// The largest error of every result. An adapter's features may round inputs: `packed` by a share of the largest of their
/// block; `f16` inputs and weights by a share of themselves, or by half the distance of the subnormal f16, 2⁻²⁵, of weights
/// and of inputs, which are stored as a sixteenth.
fn error_bounds(x: &[f32], w: &[f32], cols: usize) -> Vec<f32> {
    const SUBNORMAL: f32 = 1.0 / (1 << 25) as f32;
    let features = Features::enabled();
    let rounding = features.rounding();
    let sums = magnitudes(x, w, cols);
    let rounded: Vec<f32> = if features.f16 {
        let (ones_x, ones_w) = (vec![16.0; x.len()], vec![1.0; w.len()]);
        let subnormal = magnitudes(&ones_x, w, cols).into_iter();
        let subnormal = subnormal.zip(magnitudes(x, &ones_w, cols));
        let subnormal = subnormal.map(|(w, x)| SUBNORMAL * (w + x));
        sums.iter()
            .zip(subnormal)
            .map(|(sum, subnormal)| 2.0 * rounding * sum + subnormal)
            .collect()
    } else {
        let largest = |x: &[f32]| x.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
        let blocks = x.chunks(cols).flat_map(|x| x.chunks(BLOCK));
        let x: Vec<f32> = blocks.flat_map(|x| vec![largest(x); x.len()]).collect();
        let sums = magnitudes(&x, w, cols);
        sums.iter().map(|sum| rounding * sum).collect()
    };
    let bounds = sums.iter().zip(rounded);
    bounds
        .map(|(sum, rounded)| F32_SUM.rel * sum + rounded)
        .collect()
}

/// Σ |x| |w| of every result.
fn magnitudes(x: &[f32], w: &[f32], cols: usize) -> Vec<f32> {
    x.chunks(cols)
        .flat_map(|x| {
            w.chunks(cols)
                .map(move |w| x.iter().zip(w).map(|(x, w)| (x * w).abs()).sum())
        })
        .collect()
}

/// The look-up of some rows of a table of `rows` × `cols`.
pub fn check_gather(
    kind: Kind,
    (rows, cols, tokens): (usize, usize, usize),
    rng: &mut StdRng,
    device: &Device,
) {
    poison(device);
    let reference = Reference::new(kind, rows, cols, rng);
    let ids: Vec<u32> = (0..tokens)
        .map(|_| rng.random_range(0..rows as u32))
        .collect();
    let expected = reference.gather(&ids);
    let ids: Vec<i32> = ids.into_iter().map(u32::cast_signed).collect();
    let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [tokens]), device);
    let actual = read(gather_quant(&reference.upload(device), ids));
    let what = format!("gather {kind:?} {rows}×{cols}, {tokens} tokens");
    assert_close(&what, &actual, &expected, &expected, EXACT);
}

fn check_outside_ids(kind: Kind, device: &Device) {
    let reference = Reference::new(kind, 5, 40, &mut StdRng::seed_from_u64(1));
    let ids = Tensor::<1, Int>::from_data([-1, 5, 1_000_000], device);
    let actual = read(gather_quant(&reference.upload(device), ids));
    assert_eq!(actual, reference.gather(&[4, 4, 4]));
}

fn check_empty(kind: Kind, device: &Device) {
    let w = Reference::new(kind, 5, 40, &mut StdRng::seed_from_u64(1)).upload(device);
    assert_eq!(
        matmul_quant(Tensor::zeros([0, 40], device), &w).dims(),
        [0, 5]
    );
}

fn check_all(kind: Kind, device: &Device) {
    for (seed, shape) in (0..).zip(SHAPES) {
        check_matmul(kind, *shape, &mut StdRng::seed_from_u64(seed), device);
        check_gather(kind, *shape, &mut StdRng::seed_from_u64(seed), device);
    }
    check_outside_ids(kind, device);
    check_empty(kind, device);
}

#[test]
fn q8_flex() {
    check_all(Kind::Q8, &cpu_device());
}

#[test]
fn q4_flex() {
    check_all(Kind::Q4, &cpu_device());
}

#[test]
fn self_test_flex() {
    pollster::block_on(self_test(&cpu_device())).unwrap();
}

/// One test for all of them: a process can initialise the adapter only once.
#[cfg(feature = "wgpu")]
#[test]
fn gpu() {
    crate::gpu::on_gpu(|device| {
        pollster::block_on(self_test(device)).unwrap();
        check_all(Kind::Q8, device);
        check_all(Kind::Q4, device);
        // Asking again answers with the same device.
        let (again, _) = pollster::block_on(vmad_kernels::gpu_device()).unwrap();
        assert_eq!(&again, device);
    });
}

#[test]
fn memory_is_what_the_kinds_promise() {
    let device = cpu_device();
    for (kind, bytes) in [(Kind::Q8, 64 * 32 * 34), (Kind::Q4, 64 * 32 * 18)] {
        let w = Reference::new(kind, 64, 1024, &mut StdRng::seed_from_u64(3)).upload(&device);
        assert_eq!(w.bytes(), bytes, "{kind:?}");
        assert_eq!((w.rows(), w.cols()), (64, 1024));
        assert_eq!(w.device(), device);
    }
}

#[test]
fn scales_keep_every_bit() {
    let device = cpu_device();
    let scales = [
        f16::from_bits(1), // the smallest subnormal
        f16::from_bits(0x03ff),
        f16::MIN_POSITIVE,
        f16::MAX,
        f16::from_f32(-0.5),
        f16::ZERO,
        f16::ONE,
    ];
    let q = vec![1i8; scales.len() * 32];
    let w = QuantWeight::from_q8(scales.len(), 32, &q, &scales, &device).unwrap();
    let ids = Tensor::<1, Int>::arange(0..scales.len() as i64, &device);
    let actual = read(gather_quant(&w, ids));
    for (row, scale) in actual.chunks(32).zip(scales) {
        assert_eq!(row, [scale.to_f32(); 32]);
    }
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let device = cpu_device();
    let one = f16::ONE;
    let q8 = |rows, cols, q: &[i8], scales: &[f16]| {
        QuantWeight::from_q8(rows, cols, q, scales, &device).err()
    };
    assert!(matches!(
        q8(2, 40, &[0; 128], &[one; 3]),
        Some(KernelError::Weight(_))
    ));
    assert!(matches!(
        q8(2, 40, &[0; 80], &[one; 4]),
        Some(KernelError::Weight(_))
    ));
    assert!(matches!(
        q8(1, 32, &[0; 32], &[f16::NAN]),
        Some(KernelError::Weight(_))
    ));
    assert!(matches!(q8(0, 32, &[], &[]), Some(KernelError::Weight(_))));
    assert!(matches!(
        q8(1 << 20, 1 << 20, &[], &[]),
        Some(KernelError::TooLarge { .. })
    ));
    assert!(matches!(
        QuantWeight::from_q4(1, 33, &[0x8888_8888; 4], &[one; 2], &device),
        Err(KernelError::Weight(_))
    ));
}

#[cfg(feature = "autodiff")]
#[test]
fn a_tracked_input_is_accepted_as_a_constant() {
    let mut rng = StdRng::seed_from_u64(4);
    let reference = Reference::new(Kind::Q8, 6, 40, &mut rng);
    let device = cpu_device().autodiff();
    let w = reference.upload(&device);
    let values = random(2 * 40, &mut rng);
    let x = Tensor::<2>::from_data(TensorData::new(values.clone(), [2, 40]), &device);
    let y = matmul_quant(x.require_grad(), &w);
    assert!(y.is_autodiff());
    let expected = reference.matmul(&values);
    let scale = magnitudes(&values, &reference.dequantize(), 40);
    assert_close("tracked", &read(y), &expected, &scale, F32_SUM);
}
