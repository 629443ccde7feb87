//! Products of packed weights together with what comes before or after them in a LLaMA block: one launch
//! each in a decoding step on a GPU, the operations one after the other elsewhere.

use burn::tensor::{Tensor, activation};

use crate::norm::rms_norm;
use crate::ops::matmul_quant;
use crate::weight::QuantWeight;

/// Scale of a root-mean-square norm.
#[derive(Clone, Debug)]
pub struct RmsScale {
    /// `[cols]`
    pub weight: Tensor<1>,
    /// Added to the mean square.
    pub eps: f64,
}

impl RmsScale {
    fn normed(self, x: Tensor<2>) -> Tensor<2> {
        rms_norm(x, self.weight, self.eps)
    }
}

/// `x · dequant(w)ᵀ + residual`.
///
/// # Shapes
/// - x: `[tokens, cols]`
/// - residual, output: `[tokens, rows]`
///
/// # Panics
/// Like every product in burn: when the shapes do not fit or the tensors are on different devices.
#[must_use]
pub fn matmul_added(x: Tensor<2>, w: &QuantWeight, residual: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "wgpu")]
    if crate::gpu::product::fits(&x) {
        use crate::gpu::product::{End, product};
        check(&x, w, residual.dims(), [x.dims()[0], w.rows()]);
        return product(x, w, residual, End::Added);
    }
    matmul_quant(x, w) + residual
}

/// `rms_norm(x) · dequant(w)ᵀ`.
///
/// # Shapes
/// - x: `[tokens, cols]`
/// - output: `[tokens, rows]`
///
/// # Panics
/// As [`matmul_added`].
#[must_use]
pub fn matmul_normed(x: Tensor<2>, norm: RmsScale, w: &QuantWeight) -> Tensor<2> {
    #[cfg(feature = "wgpu")]
    if crate::gpu::product::fits(&x) {
        use crate::gpu::product::{End, product};
        check(&x, w, norm.weight.dims(), [w.cols()]);
        let end = End::Normed(norm.eps as f32);
        return product(x, w, norm.weight.unsqueeze(), end);
    }
    matmul_quant(norm.normed(x), w)
}

/// `silu(g) · u` with `[g, u] = rms_norm(x) · dequant(w)ᵀ`: SwiGLU's first half (Shazeer 2020), for the
/// matrices of gate and values one below the other ([`QuantWeight::stacked`]).
///
/// # Shapes
/// - x: `[tokens, cols]`
/// - output: `[tokens, rows / 2]`
///
/// # Panics
/// As [`matmul_added`], and when the weight's rows are odd.
#[must_use]
pub fn matmul_gated(x: Tensor<2>, norm: RmsScale, w: &QuantWeight) -> Tensor<2> {
    let half = w.rows() / 2;
    assert_eq!(2 * half, w.rows(), "matmul_gated: two matrices of one size");
    #[cfg(feature = "wgpu")]
    if crate::gpu::product::fits(&x) {
        use crate::gpu::product::{End, product};
        check(&x, w, norm.weight.dims(), [w.cols()]);
        let end = End::Gated(norm.eps as f32);
        return product(x, w, norm.weight.unsqueeze(), end);
    }
    let both = matmul_quant(norm.normed(x), w);
    let gate = both.clone().narrow(1, 0, half);
    activation::silu(gate) * both.narrow(1, half, half)
}

/// A shader would read past the end.
#[cfg(feature = "wgpu")]
fn check<const D: usize>(x: &Tensor<2>, w: &QuantWeight, extra: [usize; D], wanted: [usize; D]) {
    let [tokens, width] = x.dims();
    assert!(
        width == w.cols() && extra == wanted,
        "x is {tokens}×{width}, the weight {}×{}, and {extra:?} should be {wanted:?}",
        w.rows(),
        w.cols()
    );
}
