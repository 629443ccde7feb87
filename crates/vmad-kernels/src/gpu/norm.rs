//! Norms on cubecl backends.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, backend_extension};
use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{LAYER_NORM, RMS_NORM, Shader, run};

/// The operations as cubecl backends implement them, over dimension `axis` of `x`.
#[backend_extension(Cube)]
pub(crate) trait NormOps: burn::backend::Backend {
    fn layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f32,
        axis: usize,
    ) -> FloatTensor<Self>;
    fn rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f32,
        axis: usize,
    ) -> FloatTensor<Self>;
}

/// See [`crate::layer_norm`].
pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
    axis: usize,
) -> Tensor<D> {
    let (x, weight, bias) = (
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    );
    let eps = eps as f32;
    Tensor::from_dispatch(<Dispatch as NormOps>::layer_norm(
        x, weight, bias, eps, axis,
    ))
}

/// See [`crate::rms_norm`].
pub(crate) fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, eps: f64) -> Tensor<D> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as NormOps>::rms_norm(
        x,
        weight,
        eps as f32,
        D - 1,
    ))
}

/// A row for each element of the dimensions but `axis`.
fn normalise(
    shader: &'static Shader,
    x: CubeTensor,
    weights: Vec<CubeTensor>,
    eps: f32,
    axis: usize,
) -> CubeTensor {
    let x = into_contiguous(x);
    let shape = x.meta.shape().clone();
    let columns = shape[axis];
    // Rows that lie side by side, for each combination of the dimensions before.
    let inner: usize = shape.iter().skip(axis + 1).product();
    let rows = shape.iter().product::<usize>() / columns.max(1);
    let word = |n: usize| n as u32;
    let info = vec![
        word(rows),
        word(columns),
        0,
        eps.to_bits(),
        word(inner),
        word(inner * columns),
        1,
        word(inner),
    ];
    let mut inputs = vec![x];
    inputs.extend(weights.into_iter().map(into_contiguous));
    run(shader, inputs, shape, (info, 2), rows as u64, 0.0)
}

impl NormOps for CubeBackend {
    fn layer_norm(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        eps: f32,
        axis: usize,
    ) -> CubeTensor {
        normalise(&LAYER_NORM, x, vec![weight, bias], eps, axis)
    }

    fn rms_norm(x: CubeTensor, weight: CubeTensor, eps: f32, axis: usize) -> CubeTensor {
        normalise(&RMS_NORM, x, vec![weight], eps, axis)
    }
}
