//! Linear layers, and products with the operations around them in a transformer block: as few launches as
//! possible on a GPU, one loop on the CPU backend, burn's operations elsewhere.

use burn::backend::Dispatch;
use burn::tensor::{Tensor, activation};

use super::dense::matmul;
use super::norm::rms_norm;
#[cfg(feature = "wgpu")]
use super::quant::linear_tiled;
use super::quant::{Epilogue, layout_of, linear_quant, matmul_quant};
use crate::backend::LinearOps;
#[cfg(feature = "wgpu")]
use crate::cost;
use crate::route::Route;
use crate::types::{Fusion, OutputLayout};
use crate::weight::QuantWeight;

/// A root-mean-square norm.
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

/// `activation(x · dequant(w)ᵀ + bias) + residual`.
///
/// # Shapes
/// - x: `[tokens, cols]`
/// - output: `[tokens, rows]`
///
/// # Panics
/// When the shapes do not fit or the tensors are on different devices.
#[must_use]
pub fn matmul_linear(x: Tensor<2>, w: &QuantWeight, epilogue: Epilogue) -> Tensor<2> {
    epilogue.check(x.dims(), [w.rows(), w.cols()]);
    match (Route::product(&x), epilogue) {
        #[cfg(feature = "wgpu")]
        (
            Route::DecodeStep,
            Epilogue {
                bias: None,
                activation: None,
                residual: Some(residual),
            },
        ) => matvec_fused(x, w, residual, Fusion::Residual),
        #[cfg(feature = "wgpu")]
        (Route::Tile, epilogue) => linear_tiled(x, w, epilogue, OutputLayout::Whole),
        (Route::CpuLoop, epilogue) => linear_quant(x, w, epilogue, OutputLayout::Whole),
        (_, epilogue) => epilogue.apply(matmul_quant(x, w)),
    }
}

/// `activation(x · weightᵀ + bias) + residual` for an f32 weight.
///
/// # Shapes
/// - x: `[tokens, cols]`
/// - weight: `[rows, cols]`
/// - output: `[tokens, rows]`
///
/// # Panics
/// As [`matmul_linear`].
#[must_use]
pub fn linear_f32(x: Tensor<2>, weight: Tensor<2>, epilogue: Epilogue) -> Tensor<2> {
    epilogue.check(x.dims(), weight.dims());
    if Route::linear_f32(&x, &weight) == Route::Composed {
        return epilogue.apply(matmul(x, weight.transpose()));
    }
    let (flags, bias, residual) = epilogue.into_parts(OutputLayout::Whole, &x.device());
    Tensor::from_dispatch(<Dispatch as LinearOps>::linear_f32(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        residual.into_dispatch(),
        flags,
    ))
}

/// `x · dequant(w)ᵀ + bias` for stacked matrices of one size ([`QuantWeight::stacked`]), as one tensor per matrix.
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
    let width = w.rows() / parts;
    assert_eq!(
        parts * width,
        w.rows(),
        "matmul_parts: matrices of one size"
    );
    let epilogue = Epilogue {
        bias,
        ..Epilogue::default()
    };
    match Route::product(&x) {
        #[cfg(feature = "wgpu")]
        Route::Tile if x.dims()[0] <= cost::max_tokens(w.kind(), w.rows(), w.cols()) => {
            let [tokens, _] = x.dims();
            epilogue.check(x.dims(), [w.rows(), w.cols()]);
            let all: Tensor<3> = linear_quant(x, w, epilogue, OutputLayout::Parts(parts));
            let part = |i| all.clone().narrow(0, i, 1).reshape([tokens, width]);
            (0..parts).map(part).collect()
        }
        _ => {
            let all = matmul_linear(x, w, epilogue);
            let part = |i| all.clone().narrow(1, i * width, width);
            (0..parts).map(part).collect()
        }
    }
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
    check(&x, w, &norm);
    if has_fused_norm(Route::product(&x)) {
        let fusion = Fusion::Norm(norm.eps as f32);
        return matvec_fused(x, w, norm.weight.unsqueeze(), fusion);
    }
    matmul_quant(norm.normed(x), w)
}

/// `silu(g) · u` with `[g, u] = rms_norm(x) · dequant(w)ᵀ`: the first half of SwiGLU (Shazeer 2020), for the stacked
/// matrices of gate and values ([`QuantWeight::stacked`]).
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
    check(&x, w, &norm);
    let route = Route::product(&x);
    if has_fused_norm(route) {
        let fusion = Fusion::NormGated(norm.eps as f32);
        return matvec_fused(x, w, norm.weight.unsqueeze(), fusion);
    }
    let x = norm.normed(x);
    #[cfg(feature = "wgpu")]
    if route == Route::Tile {
        return linear_tiled(x, w, Epilogue::default(), OutputLayout::Gated);
    }
    let both = matmul_quant(x, w);
    let gate = both.clone().narrow(1, 0, half);
    activation::silu(gate) * both.narrow(1, half, half)
}

/// Whether a product has its norm and its gate inside.
fn has_fused_norm(route: Route) -> bool {
    route.is_decode_step() || route == Route::CpuLoop
}

/// A product with its norm or residual in the same call: a decoding step on a GPU, any length on the CPU. `extra` is the residual or the weight of the norm.
fn matvec_fused(x: Tensor<2>, w: &QuantWeight, extra: Tensor<2>, fusion: Fusion) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as LinearOps>::matvec_fused(
        x.into_dispatch(),
        w.packed().into_dispatch(),
        w.scales().into_dispatch(),
        extra.into_dispatch(),
        fusion,
        layout_of(w),
    ))
}

/// Checks shapes: a shader would read past the end.
fn check(x: &Tensor<2>, w: &QuantWeight, norm: &RmsScale) {
    let ([tokens, width], [weights]) = (x.dims(), norm.weight.dims());
    assert!(
        width == w.cols() && weights == w.cols(),
        "x is {tokens}×{width}, the weight {}×{}, the norm has {weights} weights",
        w.rows(),
        w.cols()
    );
}
