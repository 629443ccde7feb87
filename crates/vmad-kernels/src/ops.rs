//! The operations, as a burn backend extension and as functions on tensors.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Dispatch, Flex, backend_extension};
use burn::tensor::{DType, FloatDType, Int, Tensor};
use burn_flex::FlexTensor;

use crate::{QuantKind, QuantWeight, cpu};

/// The operations as backends implement them. `rows` and `cols` are those of the weight.
#[backend_extension(Cube: cfg(feature = "wgpu"), Flex)]
pub(crate) trait QuantOps: burn::backend::Backend {
    /// x · dequant(W)ᵀ for a weight of signed bytes.
    fn matmul_q8(
        x: FloatTensor<Self>,
        packed: IntTensor<Self>,
        scales: IntTensor<Self>,
        rows: usize,
        cols: usize,
    ) -> FloatTensor<Self>;
    /// x · dequant(W)ᵀ for a weight of nibbles.
    fn matmul_q4(
        x: FloatTensor<Self>,
        packed: IntTensor<Self>,
        scales: IntTensor<Self>,
        rows: usize,
        cols: usize,
    ) -> FloatTensor<Self>;
    /// Rows of dequant(W) for a weight of signed bytes.
    fn gather_q8(
        packed: IntTensor<Self>,
        scales: IntTensor<Self>,
        ids: IntTensor<Self>,
        rows: usize,
        cols: usize,
    ) -> FloatTensor<Self>;
    /// Rows of dequant(W) for a weight of nibbles.
    fn gather_q4(
        packed: IntTensor<Self>,
        scales: IntTensor<Self>,
        ids: IntTensor<Self>,
        rows: usize,
        cols: usize,
    ) -> FloatTensor<Self>;
}

impl QuantOps for Flex {
    fn matmul_q8(
        x: FlexTensor,
        packed: FlexTensor,
        scales: FlexTensor,
        rows: usize,
        cols: usize,
    ) -> FlexTensor {
        cpu::flex_matmul(QuantKind::Q8, &x, &packed, &scales, rows, cols)
    }

    fn matmul_q4(
        x: FlexTensor,
        packed: FlexTensor,
        scales: FlexTensor,
        rows: usize,
        cols: usize,
    ) -> FlexTensor {
        cpu::flex_matmul(QuantKind::Q4, &x, &packed, &scales, rows, cols)
    }

    fn gather_q8(
        packed: FlexTensor,
        scales: FlexTensor,
        ids: FlexTensor,
        rows: usize,
        cols: usize,
    ) -> FlexTensor {
        cpu::flex_gather(QuantKind::Q8, &packed, &scales, &ids, rows, cols)
    }

    fn gather_q4(
        packed: FlexTensor,
        scales: FlexTensor,
        ids: FlexTensor,
        rows: usize,
        cols: usize,
    ) -> FlexTensor {
        cpu::flex_gather(QuantKind::Q4, &packed, &scales, &ids, rows, cols)
    }
}

/// `x · dequant(w)ᵀ`, the product of a linear layer, without ever holding the decoded matrix.
///
/// Inference only: a tensor that tracks gradients is accepted, but the result starts a new graph.
///
/// # Shapes
/// - x: `[tokens, cols]`
/// - output: `[tokens, rows]`, f32
///
/// # Panics
/// Like every product in burn: when the shapes do not fit or the tensors are on different devices.
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
    let x = if x.dtype() == DType::F32 {
        x
    } else {
        x.cast(FloatDType::F32)
    };
    let product = product(x, w);
    if tracked { product.autodiff() } else { product }
}

fn product(x: Tensor<2>, w: &QuantWeight) -> Tensor<2> {
    #[cfg(feature = "wgpu")]
    if crate::gpu::product::is_prompt(&x) {
        use crate::product::{LinearEnd, Results};
        return crate::gpu::product::linear(x, w, LinearEnd::default(), Results::Whole);
    }
    let (packed, scales) = (w.packed().into_dispatch(), w.scales().into_dispatch());
    let (rows, cols, x) = (w.rows(), w.cols(), x.into_dispatch());
    Tensor::from_dispatch(match w.kind() {
        QuantKind::Q8 => <Dispatch as QuantOps>::matmul_q8(x, packed, scales, rows, cols),
        QuantKind::Q4 => <Dispatch as QuantOps>::matmul_q4(x, packed, scales, rows, cols),
    })
}

/// The rows of `dequant(w)` that `ids` names: an embedding look-up.
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
    let ids = if ids.dtype() == DType::I32 {
        ids
    } else {
        ids.cast(burn::tensor::IntDType::I32)
    };
    let (packed, scales, ids) = (
        w.packed().into_dispatch(),
        w.scales().into_dispatch(),
        ids.into_dispatch(),
    );
    let rows = Tensor::from_dispatch(match w.kind() {
        QuantKind::Q8 => <Dispatch as QuantOps>::gather_q8(packed, scales, ids, w.rows(), w.cols()),
        QuantKind::Q4 => <Dispatch as QuantOps>::gather_q4(packed, scales, ids, w.rows(), w.cols()),
    });
    if tracked { rows.autodiff() } else { rows }
}
