//! Readback results back from the device.

use burn::tensor::Tensor;
use vmad_kernels::Readback;

use crate::{EngineError, Stage};

/// The values of a tensor, row-major.
///
/// # Errors
/// [`EngineError::Readback`] when the device does not deliver them, [`EngineError::NonFinite`] when
/// one of them is NaN or infinite. Both name `stage`.
pub(crate) async fn read<const D: usize>(
    stage: Stage,
    tensor: Tensor<D>,
) -> Result<Vec<f32>, EngineError> {
    let failed = |reason: String| EngineError::Readback { stage, reason };
    let data = Readback::new(tensor.into_data_async())
        .await
        .map_err(|error| failed(error.to_string()))?;
    let values = data
        .try_into_vec::<f32>()
        .map_err(|error| failed(format!("{error:?}")))?;
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(EngineError::NonFinite { stage })
    }
}

/// Waits until the device has computed a tensor, so that a stage's time is measured at its end.
///
/// # Errors
/// As [`read`]: it reads the sum, through which NaN and infinity pass.
pub(crate) async fn synchronize<const D: usize>(
    stage: Stage,
    tensor: &Tensor<D>,
) -> Result<(), EngineError> {
    read(stage, tensor.clone().sum()).await.map(drop)
}
