//! Norms of rows.

#[cfg(feature = "wgpu")]
use burn::backend::Dispatch;
use burn::tensor::{Tensor, module};

#[cfg(feature = "wgpu")]
use crate::backend::NormOps;
use crate::route::Route;

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
    match Route::norm(&x) {
        #[cfg(feature = "wgpu")]
        Route::Tile => launch_layer_norm(x, weight, bias, eps, D - 1),
        _ => module::layer_norm(x, weight, Some(bias), eps),
    }
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
    match Route::norm(&x) {
        #[cfg(feature = "wgpu")]
        Route::Tile => launch_layer_norm(x, weight, bias, eps, 1),
        _ => {
            let pixels = x.permute([0, 2, 3, 1]); // [batch, height, width, d]
            module::layer_norm(pixels, weight, Some(bias), eps).permute([0, 3, 1, 2])
        }
    }
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
    match Route::norm(&x) {
        #[cfg(feature = "wgpu")]
        Route::Tile => Tensor::from_dispatch(<Dispatch as NormOps>::rms_norm(
            x.into_dispatch(),
            weight.into_dispatch(),
            eps as f32,
            D - 1,
        )),
        _ => {
            let scale = (x.clone().square().mean_dim(D - 1) + eps).sqrt().recip();
            x * scale * weight.unsqueeze()
        }
    }
}

#[cfg(feature = "wgpu")]
fn launch_layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
    axis: usize,
) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as NormOps>::layer_norm(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        eps as f32,
        axis,
    ))
}
