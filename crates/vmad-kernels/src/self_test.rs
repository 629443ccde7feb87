//! Every operation once, against the CPU truth.

use burn::tensor::{Device, Int, Tensor, TensorData};
use vmad_quant::{Q4Matrix, Q8Matrix, quantize_q4, quantize_q8};

use crate::{KernelError, QuantWeight, gather_quant, matmul_quant};

/// Odd on purpose: a second tile that is nearly empty and a last block that is mostly padding.
const ROWS: usize = 67;
const COLS: usize = 70;

/// One token takes the matvec shader, nine the tiled one.
const TOKENS: [usize; 2] = [1, 9];

const IDS: [u32; 5] = [66, 0, 31, 31, 7];

/// Largest difference that a sum over `COLS` products of values below one may show: f32 rounds each
/// step by at most 2⁻²⁴ of a partial sum below `COLS`, and drivers may contract or reorder.
const TOLERANCE: f32 = 1e-4;

/// Runs every operation of this crate and a product of burn's own on `device` and compares with the
/// plain CPU truth.
///
/// A browser reports a shader that failed to compile on its console only: the read answers `Ok`
/// with whatever the memory held. Every operation therefore gets inputs of its own, so that no
/// earlier result can pass for its answer.
///
/// # Errors
/// [`KernelError::SelfTest`] with the first wrong element, or [`KernelError::Readback`].
pub async fn self_test(device: &Device) -> Result<(), KernelError> {
    let mut seed = 1;

    for tokens in TOKENS {
        let w = Q8Matrix::from_values(&mut seed)?;
        let x = values(tokens * COLS, &mut seed);
        let y = matmul_quant(tensor(&x, tokens, COLS, device), &w.upload(device)?);
        let op = if tokens == 1 {
            "matvec_q8"
        } else {
            "matmul_q8"
        };
        compare(op, y, &vmad_quant::matmul_q8(&x, &w)?).await?;
    }
    for tokens in TOKENS {
        let w = Q4Matrix::from_values(&mut seed)?;
        let x = values(tokens * COLS, &mut seed);
        let y = matmul_quant(tensor(&x, tokens, COLS, device), &w.upload(device)?);
        let op = if tokens == 1 {
            "matvec_q4"
        } else {
            "matmul_q4"
        };
        compare(op, y, &vmad_quant::matmul_q4(&x, &w)?).await?;
    }

    let ids = || {
        let ids = IDS.map(u32::cast_signed);
        Tensor::<1, Int>::from_data(TensorData::from(ids), device)
    };
    let w = Q8Matrix::from_values(&mut seed)?;
    let y = gather_quant(&w.upload(device)?, ids());
    compare("gather_q8", y, &vmad_quant::gather_q8(&IDS, &w)?).await?;
    let w = Q4Matrix::from_values(&mut seed)?;
    let y = gather_quant(&w.upload(device)?, ids());
    compare("gather_q4", y, &vmad_quant::gather_q4(&IDS, &w)?).await?;

    let (m, k, n) = (7, 33, 5);
    let a = values(m * k, &mut seed);
    let b = values(k * n, &mut seed);
    let y = tensor(&a, m, k, device).matmul(tensor(&b, k, n, device));
    let expected: Vec<f32> = (0..m * n)
        .map(|at| {
            let (i, j) = (at / n, at % n);
            (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum()
        })
        .collect();
    compare("matmul of burn", y, &expected).await
}

/// The two kinds of matrix, made from numbers and sent to a device.
trait Packed: Sized {
    fn from_values(seed: &mut u32) -> Result<Self, KernelError>;
    fn upload(&self, device: &Device) -> Result<QuantWeight, KernelError>;
}

impl Packed for Q8Matrix {
    fn from_values(seed: &mut u32) -> Result<Self, KernelError> {
        Ok(quantize_q8(&values(ROWS * COLS, seed), ROWS, COLS)?)
    }

    fn upload(&self, device: &Device) -> Result<QuantWeight, KernelError> {
        QuantWeight::from_q8(
            self.rows(),
            self.cols(),
            self.values(),
            self.scales(),
            device,
        )
    }
}

impl Packed for Q4Matrix {
    fn from_values(seed: &mut u32) -> Result<Self, KernelError> {
        Ok(quantize_q4(&values(ROWS * COLS, seed), ROWS, COLS)?)
    }

    fn upload(&self, device: &Device) -> Result<QuantWeight, KernelError> {
        QuantWeight::from_q4(
            self.rows(),
            self.cols(),
            self.words(),
            self.scales(),
            device,
        )
    }
}

/// Numbers in -1..1 that repeat from run to run.
fn values(n_values: usize, seed: &mut u32) -> Vec<f32> {
    (0..n_values)
        .map(|_| {
            // Numerical Recipes' generator; the low bits are poor, so the high ones are used.
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (*seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn tensor(values: &[f32], rows: usize, cols: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, cols]), device)
}

async fn compare(op: &'static str, actual: Tensor<2>, expected: &[f32]) -> Result<(), KernelError> {
    let readback = |reason: String| KernelError::Readback { op, reason };
    let data = actual
        .into_data_async()
        .await
        .map_err(|error| readback(error.to_string()))?;
    let actual = data
        .try_to_vec::<f32>()
        .map_err(|error| readback(format!("{error:?}")))?;
    if actual.len() != expected.len() {
        return Err(KernelError::SelfTestLength {
            op,
            actual: actual.len(),
            expected: expected.len(),
        });
    }
    for (index, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        // Written so that a NaN fails.
        let close = (actual - expected).abs() <= TOLERANCE;
        if !close {
            return Err(KernelError::SelfTest {
                op,
                index,
                actual,
                expected,
            });
        }
    }
    Ok(())
}
