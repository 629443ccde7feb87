//! Deformable attention on cubecl backends.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, backend_extension};
use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{DEFORMABLE_ATTENTION, run};
use crate::Points;

/// The operation as cubecl backends implement it.
#[backend_extension(Cube)]
pub(crate) trait DeformableOps: burn::backend::Backend {
    fn deformable_attention(
        value: FloatTensor<Self>,
        offsets: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        centres: FloatTensor<Self>,
        n_heads: usize,
    ) -> FloatTensor<Self>;
}

/// See [`crate::deformable_attention`].
pub(crate) fn deformable_attention(value: Tensor<3>, points: Points) -> Tensor<3> {
    let Points {
        offsets,
        weights,
        centres,
        n_heads,
    } = points;
    Tensor::from_dispatch(<Dispatch as DeformableOps>::deformable_attention(
        value.into_dispatch(),
        offsets.into_dispatch(),
        weights.into_dispatch(),
        centres.into_dispatch(),
        n_heads,
    ))
}

impl DeformableOps for CubeBackend {
    fn deformable_attention(
        value: CubeTensor,
        offsets: CubeTensor,
        weights: CubeTensor,
        centres: CubeTensor,
        n_heads: usize,
    ) -> CubeTensor {
        let inputs = [value, offsets, weights, centres].map(into_contiguous);
        let (cells, points) = (inputs[0].meta.shape(), inputs[2].meta.shape());
        let (batch, n, n_points) = (points[0], points[1], points[2] / n_heads);
        let (side, d) = (cells[1].isqrt(), cells[2]);
        let mut output = points.clone();
        output[2] = d;
        let word = |n: usize| n as u32;
        let sizes = [word(batch), word(n), word(n_heads), 0];
        let info = [sizes, [word(n_points), word(d / n_heads), word(side), 0]].concat();
        let results = (batch * n * d) as u64;
        let groups = results.div_ceil(u64::from(DEFORMABLE_ATTENTION.workgroup));
        // Four corners of each point, a multiply-add each.
        let operations = 8.0 * results as f64 * n_points as f64;
        let inputs = inputs.into();
        run(
            &DEFORMABLE_ATTENTION,
            inputs,
            output,
            (info, 3),
            groups,
            operations,
        )
    }
}
