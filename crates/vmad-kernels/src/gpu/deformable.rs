//! Deformable attention on cubecl backends.

use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{run, word};
use super::shaders::{DEFORMABLE_ATTENTION, DeformableParams};
use crate::backend::DeformableOps;

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
        let params = DeformableParams {
            batch: word(batch),
            n_queries: word(n),
            n_heads: word(n_heads),
            n_points: word(n_points),
            d_head: word(d / n_heads),
            side: word(side),
        };
        let results = batch * n * d;
        let shader = &DEFORMABLE_ATTENTION;
        let groups = shader.groups(results);
        // A multiply-add for each of the four corners of each point.
        let operations = 8.0 * results as f64 * n_points as f64;
        run(shader, &inputs, output, &params, groups, operations)
    }
}
