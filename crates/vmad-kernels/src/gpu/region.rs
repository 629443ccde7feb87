//! Attention of coarse cells to fine ones on cubecl backends.

use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{run, word};
use super::shaders::{REGION_ATTENTION, RegionAttentionParams};
use crate::backend::RegionOps;

impl RegionOps for CubeBackend {
    fn region_attention(
        q: CubeTensor,
        k: CubeTensor,
        v: CubeTensor,
        n_heads: usize,
        stride: usize,
    ) -> CubeTensor {
        let inputs = [q, k, v].map(into_contiguous);
        let shape = inputs[0].meta.shape().clone();
        let side = inputs[1].meta.shape()[1].isqrt();
        let (batch, n, d) = (shape[0], shape[1], shape[2]);
        let params = RegionAttentionParams {
            batch: word(batch),
            side: word(side),
            stride: word(stride),
            n_heads: word(n_heads),
            d_head: word(d / n_heads),
        };
        let groups = (batch * n * n_heads) as u64;
        // A multiply-add for each score and one for each result.
        let operations = 4.0 * (batch * n * d * stride * stride) as f64;
        run(
            &REGION_ATTENTION,
            &inputs,
            shape,
            &params,
            groups,
            operations,
        )
    }
}
