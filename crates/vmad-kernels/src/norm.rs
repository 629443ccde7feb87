//! Normalisation of rows.

use burn::tensor::{Tensor, module};

/// (x − mean) / √(variance + ε) · weight + bias over the last dimension.
///
/// # Shapes
/// - x, output: `[…, d]`
/// - weight, bias: `[d]`
///
/// # Panics
/// Like every operation in burn, when the shapes do not fit.
#[must_use]
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    #[cfg(feature = "wgpu")]
    if crate::gpu::fits(&x) {
        return crate::gpu::norm::layer_norm(x, weight, bias, eps, D - 1);
    }
    module::layer_norm(x, weight, Some(bias), eps)
}

/// [`layer_norm`] over the channels of images, SAM's `LayerNorm2d`.
///
/// # Shapes
/// - x, output: `[batch, d, height, width]`
/// - weight, bias: `[d]`
///
/// # Panics
/// Like every operation in burn, when the shapes do not fit.
#[must_use]
pub fn layer_norm_image(x: Tensor<4>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<4> {
    #[cfg(feature = "wgpu")]
    if crate::gpu::fits(&x) {
        return crate::gpu::norm::layer_norm(x, weight, bias, eps, 1);
    }
    let normed = module::layer_norm(x.permute([0, 2, 3, 1]), weight, Some(bias), eps);
    normed.permute([0, 3, 1, 2])
}

/// x / √(mean of x² + ε) · weight over the last dimension.
///
/// # Shapes
/// - x, output: `[…, d]`
/// - weight: `[d]`
///
/// # Panics
/// Like every operation in burn, when the shapes do not fit.
#[must_use]
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, eps: f64) -> Tensor<D> {
    #[cfg(feature = "wgpu")]
    if crate::gpu::fits(&x) {
        return crate::gpu::norm::rms_norm(x, weight, eps);
    }
    let scale = (x.clone().square().mean_dim(D - 1) + eps).sqrt().recip();
    x * scale * weight.unsqueeze()
}
