//! Products with packed weights, and embedding look-ups.

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, FloatDType, Int, IntDType, Tensor};

use crate::backend::LinearOps;
#[cfg(feature = "wgpu")]
use crate::cost;
use crate::route::Route;
use crate::types::{Activation, EpilogueFlags, OutputLayout, QuantLayout};
use crate::weight::QuantWeight;

/// What a linear layer applies to a product, in this order.
#[derive(Clone, Debug, Default)]
pub struct Epilogue {
    /// Added to each token, `[rows]`.
    pub bias: Option<Tensor<1>>,
    /// Applied to the sum.
    pub activation: Option<Activation>,
    /// Added last, `[tokens, rows]`.
    pub residual: Option<Tensor<2>>,
}

impl Epilogue {
    /// The epilogue as burn's operations, one after the other.
    #[must_use]
    pub fn apply(self, product: Tensor<2>) -> Tensor<2> {
        let y = match self.bias {
            Some(bias) => product + bias.unsqueeze(),
            None => product,
        };
        let y = match self.activation {
            Some(activation) => activation.apply(y),
            None => y,
        };
        match self.residual {
            Some(residual) => y + residual,
            None => y,
        }
    }

    /// Flags, bias and residual as a backend takes them. In place of a missing tensor stands one of one element, which is
    /// never read; each has its own, since WebGPU refuses to bind a buffer twice.
    pub(super) fn into_parts(
        self,
        layout: OutputLayout,
        device: &Device,
    ) -> (EpilogueFlags, Tensor<1>, Tensor<2>) {
        let flags = EpilogueFlags {
            has_bias: self.bias.is_some(),
            activation: self.activation,
            has_residual: self.residual.is_some(),
            layout,
        };
        let bias = self.bias.unwrap_or_else(|| Tensor::empty([1], device));
        let residual = self.residual;
        let residual = residual.unwrap_or_else(|| Tensor::empty([1, 1], device));
        (flags, bias, residual)
    }

    /// Checks shapes: a shader would read past the end.
    pub(super) fn check(&self, [tokens, width]: [usize; 2], [rows, cols]: [usize; 2]) {
        let bias = self.bias.as_ref().map_or([rows], Tensor::dims);
        let residual = self.residual.as_ref().map_or([tokens, rows], Tensor::dims);
        assert!(
            width == cols && bias == [rows] && residual == [tokens, rows],
            "x is {tokens}×{width}, the weight {rows}×{cols}, a bias {bias:?}, a residual {residual:?}"
        );
    }
}

/// The shape and kind of a weight.
pub(super) fn layout_of(w: &QuantWeight) -> QuantLayout {
    QuantLayout {
        kind: w.kind(),
        rows: w.rows(),
        cols: w.cols(),
    }
}

/// A linear layer in one launch, or one loop of the CPU backend.
pub(super) fn linear_quant<const D: usize>(
    x: Tensor<2>,
    w: &QuantWeight,
    epilogue: Epilogue,
    layout: OutputLayout,
) -> Tensor<D> {
    let (flags, bias, residual) = epilogue.into_parts(layout, &x.device());
    Tensor::from_dispatch(<Dispatch as LinearOps>::linear_quant(
        x.into_dispatch(),
        w.packed().into_dispatch(),
        w.scales().into_dispatch(),
        bias.into_dispatch(),
        residual.into_dispatch(),
        flags,
        layout_of(w),
    ))
}

/// A linear layer on a GPU in as many launches as keep each of them short ([`cost::max_tokens`]).
#[cfg(feature = "wgpu")]
pub(super) fn linear_tiled(
    x: Tensor<2>,
    w: &QuantWeight,
    epilogue: Epilogue,
    layout: OutputLayout,
) -> Tensor<2> {
    let [tokens, _] = x.dims();
    let most = cost::max_tokens(w.kind(), w.rows(), w.cols());
    if tokens <= most {
        return linear_quant(x, w, epilogue, layout);
    }
    let launches = (0..tokens).step_by(most).map(|first| {
        let part = |x: &Tensor<2>| x.clone().narrow(0, first, most.min(tokens - first));
        let epilogue = Epilogue {
            bias: epilogue.bias.clone(),
            activation: epilogue.activation,
            residual: epilogue.residual.as_ref().map(part),
        };
        linear_quant(part(&x), w, epilogue, layout)
    });
    Tensor::cat(launches.collect(), 0)
}

/// `x · dequant(w)ᵀ`, the product of a linear layer. The decoded matrix is never stored.
///
/// Inference only: a tensor that tracks gradients is accepted, but the result starts a new graph.
///
/// # Shapes
/// - x: `[tokens, cols]`
/// - output: `[tokens, rows]`, f32
///
/// # Panics
/// When the shapes do not fit, the tensors are on different devices, or the backend is neither cubecl's nor Flex.
pub fn matmul_quant(x: Tensor<2>, w: &QuantWeight) -> Tensor<2> {
    let [tokens, width] = x.dims();
    assert_eq!(
        width,
        w.cols(),
        "matmul_quant: x is {tokens}×{width}, the weight {}×{}",
        w.rows(),
        w.cols()
    );
    if tokens == 0 {
        return Tensor::zeros([0, w.rows()], &x.device());
    }
    let tracked = x.is_autodiff();
    let x = x.inner();
    let x = match x.dtype() {
        DType::F32 => x,
        _ => x.cast(FloatDType::F32),
    };
    let product = match Route::product(&x) {
        #[cfg(feature = "wgpu")]
        Route::Tile => linear_tiled(x, w, Epilogue::default(), OutputLayout::Whole),
        _ => Tensor::from_dispatch(<Dispatch as LinearOps>::matvec_quant(
            x.into_dispatch(),
            w.packed().into_dispatch(),
            w.scales().into_dispatch(),
            layout_of(w),
        )),
    };
    if tracked { product.autodiff() } else { product }
}

/// The rows of `dequant(w)` at `ids`: an embedding look-up.
///
/// An id outside the table reads the last row, on every backend.
///
/// # Shapes
/// - ids: `[tokens]`
/// - output: `[tokens, cols]`, f32
///
/// # Panics
/// When `ids` and the weight are on different devices.
pub fn gather_quant(w: &QuantWeight, ids: Tensor<1, Int>) -> Tensor<2> {
    let [tokens] = ids.dims();
    let tracked = ids.is_autodiff();
    if tokens == 0 {
        return Tensor::zeros([0, w.cols()], &ids.device());
    }
    let ids = ids.inner();
    let ids = match ids.dtype() {
        DType::I32 => ids,
        _ => ids.cast(IntDType::I32),
    };
    let rows = Tensor::from_dispatch(<Dispatch as LinearOps>::gather_quant(
        w.packed().into_dispatch(),
        w.scales().into_dispatch(),
        ids.into_dispatch(),
        layout_of(w),
    ));
    if tracked { rows.autodiff() } else { rows }
}
