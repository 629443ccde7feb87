//! Inputs and comparisons of the self-test.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::cost::MATVEC_TOKENS;
use crate::error::KernelError;
use crate::features::Features;

/// Columns of a product. Odd on purpose: the last block is mostly padding.
pub(super) const COLS: usize = 70;

/// The largest absolute error of a sum over [`COLS`] products of values below one: f32 rounds each step by at most 2⁻²⁴ of a
/// partial sum below `COLS`, and drivers may contract or reorder.
const TOLERANCE: f32 = 1e-4;

/// What is done with the results of the operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// They are read and compared with the reference.
    Compare,
    /// They are dropped: launches only, for a precompile pass.
    LaunchOnly,
}

/// A run of the self-test: a device, and the source of the inputs.
pub(super) struct Run<'a> {
    pub device: &'a Device,
    mode: Mode,
    seed: u32,
}

impl<'a> Run<'a> {
    pub fn new(device: &'a Device, mode: Mode) -> Self {
        Self {
            device,
            mode,
            seed: 1,
        }
    }

    /// Numbers in -1..1, the same in every run.
    pub fn values(&mut self, n_values: usize) -> Vec<f32> {
        (0..n_values)
            .map(|_| {
                // Numerical Recipes' generator; the low bits are poor, so the high ones are used.
                self.seed = self
                    .seed
                    .wrapping_mul(1_664_525)
                    .wrapping_add(1_013_904_223);
                (self.seed >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    pub fn tensor<const D: usize>(&self, values: &[f32], shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), self.device)
    }

    /// Compares a result with the reference.
    pub fn compare<const D: usize>(
        &self,
        op: &'static str,
        actual: Tensor<D>,
        expected: &[f32],
    ) -> impl Future<Output = Result<(), KernelError>> {
        self.compare_within(op, flat(actual), expected, TOLERANCE)
    }

    /// [`Self::compare`] for a product, whose inputs an optional feature may round where it has more tokens than a decoding
    /// step.
    pub fn compare_product(
        &self,
        op: &'static str,
        actual: Tensor<2>,
        expected: &[f32],
    ) -> impl Future<Output = Result<(), KernelError>> {
        let rounding = match actual.dims()[0] > MATVEC_TOKENS {
            true => Features::enabled().rounding(),
            false => 0.0,
        };
        let tolerance = TOLERANCE + COLS as f32 * rounding;
        self.compare_within(op, flat(actual), expected, tolerance)
    }

    async fn compare_within(
        &self,
        op: &'static str,
        actual: Tensor<1>,
        expected: &[f32],
        tolerance: f32,
    ) -> Result<(), KernelError> {
        if self.mode == Mode::LaunchOnly {
            return Ok(());
        }
        let data = actual.into_data_async().await;
        let data = data.map_err(|error| readback(op, error.to_string()))?;
        let actual = data.try_to_vec::<f32>();
        let actual = actual.map_err(|error| readback(op, format!("{error:?}")))?;
        check(op, &actual, expected, tolerance)
    }

    /// Compares a sampled token and its flag with the token that is expected.
    pub async fn compare_token(
        &self,
        op: &'static str,
        actual: Tensor<1, Int>,
        expected: usize,
    ) -> Result<(), KernelError> {
        if self.mode == Mode::LaunchOnly {
            return Ok(());
        }
        let data = actual.into_data_async().await;
        let data = data.map_err(|error| readback(op, error.to_string()))?;
        let actual = data.convert::<f32>().try_to_vec::<f32>();
        let actual = actual.map_err(|error| readback(op, format!("{error:?}")))?;
        check(op, &actual, &[expected as f32, 0.0], TOLERANCE)
    }
}

/// All values of a tensor, row after row.
fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let n = x.shape().num_elements();
    x.reshape([n])
}

fn readback(op: &'static str, reason: String) -> KernelError {
    KernelError::Readback { op, reason }
}

fn check(
    op: &'static str,
    actual: &[f32],
    expected: &[f32],
    tolerance: f32,
) -> Result<(), KernelError> {
    if actual.len() != expected.len() {
        return Err(KernelError::SelfTestLength {
            op,
            actual: actual.len(),
            expected: expected.len(),
        });
    }
    for (index, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        // Written so that a NaN fails.
        let close = (actual - expected).abs() <= tolerance;
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
