//! f32 products and convolutions.
//!
//! They are burn's except on GPUs, where burn chooses among hundreds of variants, which would be a third of the wasm.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::backend::DenseOps;
use crate::route::Route;
use crate::types::Conv2dOptions;

/// a · b over the last two dimensions. The dimensions before them are equal, or 1 in one of the two.
///
/// # Shapes
/// - a: `[…, m, k]`
/// - b: `[…, k, n]`
/// - output: `[…, m, n]`
///
/// # Panics
/// When the shapes do not fit; on GPUs with more than four dimensions.
#[must_use]
pub fn matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    match Route::dense(&a, &b) {
        #[cfg(not(target_family = "wasm"))]
        Route::Composed => a.matmul(b),
        _ => Tensor::from_dispatch(<Dispatch as DenseOps>::matmul_f32(
            a.into_dispatch(),
            b.into_dispatch(),
        )),
    }
}

/// A convolution over images with a square kernel.
///
/// # Shapes
/// - x: `[batch, c_in, height, width]`
/// - weight: `[c_out, c_in / groups, kernel, kernel]`
/// - bias: `[c_out]`
/// - output: `[batch, c_out, (height + 2 · padding − kernel) / stride + 1, …]`
///
/// # Panics
/// Like every operation in burn, when the shapes do not fit.
#[must_use]
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: Conv2dOptions,
) -> Tensor<4> {
    match Route::dense(&x, &weight) {
        #[cfg(not(target_family = "wasm"))]
        Route::Composed => burn::tensor::module::conv2d(x, weight, bias, options),
        _ => {
            let with_bias = bias.is_some();
            // The stand-in for a missing bias is never read.
            let bias = bias.unwrap_or_else(|| Tensor::empty([1], &x.device()));
            Tensor::from_dispatch(<Dispatch as DenseOps>::conv2d_f32(
                x.into_dispatch(),
                weight.into_dispatch(),
                bias.into_dispatch(),
                with_bias,
                options,
            ))
        }
    }
}

/// A transposed convolution with a 2×2 kernel and stride 2, which doubles height and width. Each pixel becomes four, so
/// it is computed as a product.
///
/// # Shapes
/// - x: `[batch, c_in, height, width]`
/// - weight: `[c_in, c_out, 2, 2]`
/// - bias: `[c_out]`
/// - output: `[batch, c_out, 2 · height, 2 · width]`
///
/// # Panics
/// Like every operation in burn, when the shapes do not fit.
#[must_use]
pub fn upsample_2x(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
    let ([batch, c_in, height, width], [_, c_out, ..]) = (x.dims(), weight.dims());
    let pixels = x.reshape([batch, c_in, height * width]).swap_dims(1, 2);
    matmul(pixels, weight.reshape([1, c_in, c_out * 4]))
        .reshape([batch, height, width, c_out, 2, 2])
        .permute([0, 3, 1, 4, 2, 5])
        .reshape([batch, c_out, 2 * height, 2 * width])
        + bias.reshape([1, c_out, 1, 1])
}
