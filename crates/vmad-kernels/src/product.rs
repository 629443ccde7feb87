//! Products of weights together with what comes before or after them in a block of a transformer: one launch each
//! on a GPU, one call on the CPU backend, the operations one after the other elsewhere.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Dispatch, backend_extension};
use burn::tensor::{Device, Tensor, activation};

use crate::dense::matmul;
use crate::norm::rms_norm;
use crate::ops::matmul_quant;
use crate::weight::QuantWeight;
use crate::{QuantKind, cpu};

/// The operations as backends implement them. `weight` is how its values are packed, and its rows.
#[backend_extension(Cube: cfg(feature = "wgpu"), Flex)]
pub(crate) trait ProductOps: burn::backend::Backend {
    /// A linear layer. Where there is no bias or no residual a tensor of any size stands for it.
    fn linear(
        x: FloatTensor<Self>,
        packed: IntTensor<Self>,
        scales: IntTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        ends: Ends,
        weight: (QuantKind, usize),
    ) -> FloatTensor<Self>;

    /// A linear layer whose weight is floats, `[rows, cols]`.
    fn linear_f32(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        ends: Ends,
    ) -> FloatTensor<Self>;

    /// A product of a decoding step. `extra` holds the norm's weights, `[1, cols]`, or what is added,
    /// `[tokens, rows]`.
    fn product(
        x: FloatTensor<Self>,
        packed: IntTensor<Self>,
        scales: IntTensor<Self>,
        extra: FloatTensor<Self>,
        around: Around,
        weight: (QuantKind, usize),
    ) -> FloatTensor<Self>;
}

/// Activations on the CPU backend.
#[backend_extension(Flex)]
pub(crate) trait ActivationOps: burn::backend::Backend {
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;
}

/// What a linear layer has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub has_bias: bool,
    pub activation: Option<Activation>,
    pub has_residual: bool,
    pub results: Results,
}

/// How the results of a linear layer lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Results {
    /// `[tokens, rows]`
    Whole,
    /// `[parts, tokens, rows / parts]`, on cubecl backends only.
    #[cfg_attr(not(feature = "wgpu"), expect(dead_code, reason = "for GPUs"))]
    Parts(usize),
    /// `[tokens, rows / 2]`, SiLU of the upper half of the rows times the lower, on cubecl backends only.
    #[cfg_attr(not(feature = "wgpu"), expect(dead_code, reason = "for GPUs"))]
    Gated,
}

/// What goes into a product of a decoding step beside the rows and the weight.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Around {
    /// A tensor as large as the result is added.
    #[cfg_attr(
        not(feature = "wgpu"),
        expect(dead_code, reason = "a linear layer elsewhere")
    )]
    Added,
    /// The rows are normed first, by these weights and this ε.
    Normed(f32),
    /// The same, and SiLU of the upper half of the results multiplies the lower.
    Gated(f32),
}

/// The product of `x` and `w` with what a linear layer does with it, where it is one operation.
pub(crate) fn linear<const D: usize>(
    x: Tensor<2>,
    w: &QuantWeight,
    end: LinearEnd,
    results: Results,
) -> Tensor<D> {
    let (ends, bias, residual) = end.bound(results, &x.device());
    let (packed, scales) = (w.packed().into_dispatch(), w.scales().into_dispatch());
    Tensor::from_dispatch(<Dispatch as ProductOps>::linear(
        x.into_dispatch(),
        packed,
        scales,
        bias.into_dispatch(),
        residual.into_dispatch(),
        ends,
        (w.kind(), w.rows()),
    ))
}

/// The product of `x` and `w` with what belongs to it, where it is one operation.
fn product(x: Tensor<2>, w: &QuantWeight, extra: Tensor<2>, around: Around) -> Tensor<2> {
    let (x, extra) = (x.into_dispatch(), extra.into_dispatch());
    let (packed, scales) = (w.packed().into_dispatch(), w.scales().into_dispatch());
    let weight = (w.kind(), w.rows());
    Tensor::from_dispatch(<Dispatch as ProductOps>::product(
        x, packed, scales, extra, around, weight,
    ))
}

/// Whether products of these rows have their norm and their gate inside.
fn is_fused_step(x: &Tensor<2>) -> bool {
    #[cfg(feature = "wgpu")]
    if crate::gpu::product::is_step(x) {
        return true;
    }
    cpu::fits(x) && x.dims()[0] > 0
}

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
        if cpu::fits(&x) {
            let activated = <Dispatch as ActivationOps>::activate(x.into_dispatch(), self);
            return Tensor::from_dispatch(activated);
        }
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
    /// What there is, and what is bound where there is none: never read, and no two may share their memory.
    fn bound(self, results: Results, device: &Device) -> (Ends, Tensor<1>, Tensor<2>) {
        let ends = Ends {
            has_bias: self.bias.is_some(),
            activation: self.activation,
            has_residual: self.residual.is_some(),
            results,
        };
        let bias = self.bias.unwrap_or_else(|| Tensor::empty([1], device));
        let residual = self.residual;
        let residual = residual.unwrap_or_else(|| Tensor::empty([1, 1], device));
        (ends, bias, residual)
    }

    /// A shader would read past the end.
    fn check(&self, [tokens, width]: [usize; 2], [rows, cols]: [usize; 2]) {
        let bias = self.bias.as_ref().map_or([rows], Tensor::dims);
        let residual = self.residual.as_ref().map_or([tokens, rows], Tensor::dims);
        assert!(
            width == cols && bias == [rows] && residual == [tokens, rows],
            "x is {tokens}×{width}, the weight {rows}×{cols}, a bias {bias:?}, a residual {residual:?}"
        );
    }

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
    end.check(x.dims(), [w.rows(), w.cols()]);
    #[cfg(feature = "wgpu")]
    if let LinearEnd {
        bias: None,
        activation: None,
        residual: Some(residual),
    } = &end
        && crate::gpu::product::is_step(&x)
    {
        return product(x, w, residual.clone(), Around::Added);
    }
    #[cfg(feature = "wgpu")]
    if crate::gpu::product::is_prompt(&x) {
        return crate::gpu::product::linear(x, w, end, Results::Whole);
    }
    if cpu::fits(&x) && x.dims()[0] > 0 {
        return linear(x, w, end, Results::Whole);
    }
    end.of(matmul_quant(x, w))
}

/// `activation(x · weightᵀ + bias) + residual` for a weight of floats.
///
/// # Shapes
/// - x: `[tokens, cols]`
/// - weight: `[rows, cols]`
/// - output: `[tokens, rows]`
///
/// # Panics
/// As [`matmul_linear`].
#[must_use]
pub fn linear_f32(x: Tensor<2>, weight: Tensor<2>, end: LinearEnd) -> Tensor<2> {
    end.check(x.dims(), weight.dims());
    if !is_fused_f32(&x, &weight) {
        return end.of(matmul(x, weight.transpose()));
    }
    let (ends, bias, residual) = end.bound(Results::Whole, &x.device());
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    let (bias, residual) = (bias.into_dispatch(), residual.into_dispatch());
    Tensor::from_dispatch(<Dispatch as ProductOps>::linear_f32(
        x, weight, bias, residual, ends,
    ))
}

fn is_fused_f32(x: &Tensor<2>, weight: &Tensor<2>) -> bool {
    #[cfg(feature = "wgpu")]
    if crate::gpu::product::takes_f32(x, weight) {
        return true;
    }
    cpu::fits(x) && cpu::fits(weight) && x.dims()[0] > 0
}

/// `x · dequant(w)ᵀ + bias` for matrices of one size that lie one below the other ([`QuantWeight::stacked`]): what each
/// makes of `x`, by itself, so that operations can take several of them.
///
/// # Shapes
/// - x: `[tokens, cols]`
/// - bias: `[rows]`
/// - output: `parts` of `[tokens, rows / parts]`
///
/// # Panics
/// As [`matmul_linear`], and when `parts` does not divide the weight's rows.
#[must_use]
pub fn matmul_parts(
    x: Tensor<2>,
    w: &QuantWeight,
    bias: Option<Tensor<1>>,
    parts: usize,
) -> Vec<Tensor<2>> {
    let (tokens, width) = (x.dims()[0], w.rows() / parts);
    assert_eq!(
        parts * width,
        w.rows(),
        "matmul_parts: matrices of one size"
    );
    let end = LinearEnd {
        bias,
        ..LinearEnd::default()
    };
    #[cfg(feature = "wgpu")]
    if crate::gpu::product::is_one_launch(&x, w) {
        end.check(x.dims(), [w.rows(), w.cols()]);
        let all: Tensor<3> = linear(x, w, end, Results::Parts(parts));
        let part = |i| all.clone().narrow(0, i, 1).reshape([tokens, width]);
        return (0..parts).map(part).collect();
    }
    let all = matmul_linear(x, w, end);
    let part = |i| all.clone().narrow(1, i * width, width);
    (0..parts).map(part).collect()
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
    check(&x, w, norm.weight.dims(), [w.cols()]);
    if is_fused_step(&x) {
        let around = Around::Normed(norm.eps as f32);
        return product(x, w, norm.weight.unsqueeze(), around);
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
    check(&x, w, norm.weight.dims(), [w.cols()]);
    if is_fused_step(&x) {
        let around = Around::Gated(norm.eps as f32);
        return product(x, w, norm.weight.unsqueeze(), around);
    }
    let x = norm.normed(x);
    #[cfg(feature = "wgpu")]
    if crate::gpu::product::is_prompt(&x) {
        return crate::gpu::product::linear(x, w, LinearEnd::default(), Results::Gated);
    }
    let both = matmul_quant(x, w);
    let gate = both.clone().narrow(1, 0, half);
    activation::silu(gate) * both.narrow(1, half, half)
}

/// A shader would read past the end.
fn check<const D: usize>(x: &Tensor<2>, w: &QuantWeight, extra: [usize; D], wanted: [usize; D]) {
    let [tokens, width] = x.dims();
    assert!(
        width == w.cols() && extra == wanted,
        "x is {tokens}×{width}, the weight {}×{}, and {extra:?} should be {wanted:?}",
        w.rows(),
        w.cols()
    );
}
