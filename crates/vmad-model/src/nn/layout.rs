//! Activations and changes of layout that several parts share.

use burn::tensor::{Tensor, activation};
use vmad_kernels::Activation;

/// The exact, erf-based GELU.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Activation::Gelu.apply(x)
}

/// x·σ(x).
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

/// `[batch, n, n_heads·d_head]` to `[batch, n_heads, n, d_head]`.
pub fn split_heads(x: Tensor<3>, n_heads: usize) -> Tensor<4> {
    let [batch, n, d] = x.dims();
    x.reshape([batch, n, n_heads, d / n_heads]).swap_dims(1, 2)
}

/// `[batch, n_heads, n, d_head]` to `[batch, n, n_heads·d_head]`.
pub fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, n_heads, n, d_head] = x.dims();
    x.swap_dims(1, 2).reshape([batch, n, n_heads * d_head])
}

/// `[batch, d, height, width]` to `[batch, height, width, d]`.
pub fn to_channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// `[batch, height, width, d]` to `[batch, d, height, width]`.
pub fn to_image(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// Cuts an image into patches, row-major, each flattened as (channel, row, column).
///
/// # Shapes
/// - pixels: `[batch, channels, side, side]`
/// - output: `[batch, grid², channels·patch²]`
pub fn cut_patches(pixels: Tensor<4>, patch: usize) -> Tensor<3> {
    let [batch, channels, height, width] = pixels.dims();
    let (rows, cols) = (height / patch, width / patch);
    pixels
        .reshape([batch, channels, rows, patch, cols, patch])
        .permute([0, 2, 4, 1, 3, 5]) // [batch, rows, cols, channels, patch, patch]
        .reshape([batch, rows * cols, channels * patch * patch])
}
