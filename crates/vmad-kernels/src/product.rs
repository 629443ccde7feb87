//! Products of packed weights together with what comes before or after them in a block of a transformer: one
//! launch each on a GPU, the operations one after the other elsewhere.

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

/// What a linear layer's results go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x·Φ(x), with the error function.
    Gelu,
    /// CLIP's x·σ(1.702 x).
    QuickGelu,
    /// max(x, 0).
    Relu,
}

impl Activation {
    /// The activation of every element.
    #[must_use]
    pub fn of<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Gelu => activation::gelu(x),
            Self::QuickGelu => x.clone() * activation::sigmoid(x * 1.702),
            Self::Relu => activation::relu(x),
        }
    }
}

/// What a linear layer does with a product, in this order.
#[derive(Clone, Debug, Default)]
pub struct LinearEnd {
    /// Added to each token, `[rows]`.
    pub bias: Option<Tensor<1>>,
    /// Of the sum.
    pub activation: Option<Activation>,
    /// Added at last, `[tokens, rows]`.
    pub residual: Option<Tensor<2>>,
}

impl LinearEnd {
    /// The same, one operation after the other.
    #[must_use]
    pub fn of(self, product: Tensor<2>) -> Tensor<2> {
        let y = match self.bias {
            Some(bias) => product + bias.unsqueeze(),
            None => product,
        };
        let y = match self.activation {
            Some(activation) => activation.of(y),
            None => y,
        };
        match self.residual {
            Some(residual) => y + residual,
            None => y,
        }
    }
}

/// `activation(x · dequant(w)ᵀ + bias) + residual`.
///
/// # Shapes
/// - x: `[tokens, cols]`
/// - output: `[tokens, rows]`
///
/// # Panics
/// Like every product in burn: when the shapes do not fit or the tensors are on different devices.
#[must_use]
pub fn matmul_linear(x: Tensor<2>, w: &QuantWeight, end: LinearEnd) -> Tensor<2> {
    #[cfg(feature = "wgpu")]
    if let LinearEnd {
        bias: None,
        activation: None,
        residual: Some(residual),
    } = &end
        && crate::gpu::product::is_step(&x)
    {
        use crate::gpu::product::{End, product};
        check(&x, w, residual.dims(), [x.dims()[0], w.rows()]);
        return product(x, w, residual.clone(), End::Added);
    }
    #[cfg(feature = "wgpu")]
    if crate::gpu::product::is_prompt(&x) {
        let tokens = x.dims()[0];
        if let Some(bias) = &end.bias {
            check(&x, w, bias.dims(), [w.rows()]);
        }
        if let Some(residual) = &end.residual {
            check(&x, w, residual.dims(), [tokens, w.rows()]);
        }
        return crate::gpu::product::linear(x, w, end);
    }
    end.of(matmul_quant(x, w))
}

/// `rms_norm(x) · dequant(w)ᵀ`.
///
/// # Shapes
/// - x: `[tokens, cols]`
/// - output: `[tokens, rows]`
///
/// # Panics
/// As [`matmul_linear`].
#[must_use]
pub fn matmul_normed(x: Tensor<2>, norm: RmsScale, w: &QuantWeight) -> Tensor<2> {
    #[cfg(feature = "wgpu")]
    if crate::gpu::product::is_step(&x) {
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
/// As [`matmul_linear`], and when the weight's rows are odd.
#[must_use]
pub fn matmul_gated(x: Tensor<2>, norm: RmsScale, w: &QuantWeight) -> Tensor<2> {
    let half = w.rows() / 2;
    assert_eq!(2 * half, w.rows(), "matmul_gated: two matrices of one size");
    #[cfg(feature = "wgpu")]
    if crate::gpu::product::is_step(&x) {
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
