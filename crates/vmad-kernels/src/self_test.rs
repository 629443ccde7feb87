//! Every operation once, against the plain CPU reference.

mod attention;
mod layers;
mod products;
mod run;

use burn::tensor::Device;

use crate::error::KernelError;
use run::{Mode, Run};

/// Runs every operation of this crate on `device` and compares with the plain CPU reference.
///
/// A browser reports a shader that failed to compile on its console only, and reads succeed with whatever the memory held.
/// Every operation therefore has inputs of its own, so that no earlier result is mistaken for its output.
///
/// # Errors
/// [`KernelError::SelfTest`] with the first wrong element, or [`KernelError::Readback`].
pub async fn self_test(device: &Device) -> Result<(), KernelError> {
    every_operation(&mut Run::new(device, Mode::Compare)).await
}

/// Launches what [`self_test`] launches and reads nothing, for a precompile pass.
#[cfg(feature = "wgpu")]
pub(crate) async fn launch_every_operation(device: &Device) -> Result<(), KernelError> {
    every_operation(&mut Run::new(device, Mode::LaunchOnly)).await
}

async fn every_operation(run: &mut Run<'_>) -> Result<(), KernelError> {
    products::packed(run).await?;
    attention::masks(run).await?;
    attention::cache(run).await?;
    layers::norms(run).await?;
    layers::sampling(run).await?;
    layers::projector(run).await?;
    layers::stem(run).await?;
    products::floats(run).await
}
