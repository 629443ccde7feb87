//! Attention of coarse cells to fine ones on cubecl backends.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, backend_extension};
use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{REGION_ATTENTION, run};

/// The widest heads that the shader has room for.
const MAX_WIDTH: usize = 128;

/// The operation as cubecl backends implement it.
#[backend_extension(Cube)]
pub(crate) trait RegionOps: burn::backend::Backend {
    fn region_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        n_heads: usize,
        stride: usize,
    ) -> FloatTensor<Self>;
}

/// Whether the shader can take these queries.
pub(crate) fn fits(q: &Tensor<3>, n_heads: usize) -> bool {
    let [_, _, d] = q.dims();
    super::fits(q) && d / n_heads <= MAX_WIDTH
}

/// See [`crate::region_attention`].
pub(crate) fn region_attention(qkv: [Tensor<3>; 3], n_heads: usize, stride: usize) -> Tensor<3> {
    let [q, k, v] = qkv.map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as RegionOps>::region_attention(
        q, k, v, n_heads, stride,
    ))
}

impl RegionOps for CubeBackend {
    fn region_attention(
        q: CubeTensor,
        k: CubeTensor,
        v: CubeTensor,
        n_heads: usize,
        stride: usize,
    ) -> CubeTensor {
        let [q, k, v] = [q, k, v].map(into_contiguous);
        let (shape, side) = (q.meta.shape().clone(), k.meta.shape()[1].isqrt());
        let (batch, n, d) = (shape[0], shape[1], shape[2]);
        let word = |n: usize| n as u32;
        let sizes = [word(batch), word(side), word(stride), 0];
        let info = [sizes, [word(n_heads), word(d / n_heads), 0, 0]].concat();
        let groups = (batch * n * n_heads) as u64;
        // Scores and results, a multiply-add each.
        let operations = 4.0 * (batch * n * d * stride * stride) as f64;
        run(
            &REGION_ATTENTION,
            vec![q, k, v],
            shape,
            (info, 3),
            groups,
            operations,
        )
    }
}
