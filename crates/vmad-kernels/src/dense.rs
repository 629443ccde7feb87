//! Products and convolutions of floats.
//!
//! They are burn's, but for GPUs: what burn brings for those chooses among hundreds of variants, which would be
//! a third of the wasm.

use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, DispatchDevice, Flex, backend_extension};
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

/// How a convolution moves over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stepping {
    /// Pixels from one result to the next.
    pub stride: usize,
    /// Zeros on every side.
    pub padding: usize,
    /// Groups of channels that know nothing of each other.
    pub groups: usize,
}

/// The operations as backends implement them.
#[backend_extension(Cube: cfg(feature = "wgpu"), Flex)]
pub(crate) trait DenseOps: burn::backend::Backend {
    fn matmul_f32(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The bias counts where `with_bias` says so.
    fn conv2d_f32(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        with_bias: bool,
        stepping: Stepping,
    ) -> FloatTensor<Self>;
}

impl DenseOps for Flex {
    fn matmul_f32(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        <Self as FloatTensorOps<Self>>::float_matmul(a, b)
    }

    fn conv2d_f32(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        with_bias: bool,
        stepping: Stepping,
    ) -> FloatTensor<Self> {
        let bias = with_bias.then_some(bias);
        <Self as ModuleOps<Self>>::conv2d(x, weight, bias, stepping.options())
    }
}

impl Stepping {
    fn options(self) -> ConvOptions<2> {
        ConvOptions::new([self.stride; 2], [self.padding; 2], [1, 1], self.groups)
    }
}

/// Whether a backend of ours holds the tensor: no graph, not LibTorch. In a browser there is no other.
fn is_ours<const D: usize>(x: &Tensor<D>) -> bool {
    #[cfg(feature = "wgpu")]
    if crate::gpu::fits(x) {
        return true;
    }
    cfg!(target_family = "wasm") || matches!(x.device().as_dispatch(), DispatchDevice::Flex(_))
}

/// a · b of the last two dimensions. Dimensions before them are those of both, or 1 in one of them.
///
/// # Shapes
/// - a: `[…, m, k]`
/// - b: `[…, k, n]`
/// - output: `[…, m, n]`
///
/// # Panics
/// Like every product in burn, when the shapes do not fit; on GPUs with more than four dimensions.
#[must_use]
pub fn matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    if is_ours(&a) && is_ours(&b) {
        let (a, b) = (a.into_dispatch(), b.into_dispatch());
        return Tensor::from_dispatch(<Dispatch as DenseOps>::matmul_f32(a, b));
    }
    #[cfg(not(target_family = "wasm"))]
    return a.matmul(b);
    #[cfg(target_family = "wasm")]
    unreachable!("a browser has no other backend")
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
    stepping: Stepping,
) -> Tensor<4> {
    if is_ours(&x) && is_ours(&weight) {
        let with_bias = bias.is_some();
        // What stands for one where there is none is never read.
        let bias = bias.unwrap_or_else(|| Tensor::empty([1], &x.device()));
        return Tensor::from_dispatch(<Dispatch as DenseOps>::conv2d_f32(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            with_bias,
            stepping,
        ));
    }
    #[cfg(not(target_family = "wasm"))]
    return burn::tensor::module::conv2d(x, weight, bias, stepping.options());
    #[cfg(target_family = "wasm")]
    unreachable!("a browser has no other backend")
}

/// A transposed convolution with a 2×2 kernel and stride 2: height and width are doubled. Each pixel becomes
/// four, so it is a product.
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
