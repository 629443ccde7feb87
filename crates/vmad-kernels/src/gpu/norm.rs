//! Norms on cubecl backends.

use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{run, word};
use super::shaders::{LAYER_NORM, NormParams, RMS_NORM, Shader};
use crate::backend::NormOps;

/// Normalises over dimension `axis` of the first input: one row for each element of the other dimensions.
fn normalise<const N: usize>(
    shader: &'static Shader<NormParams>,
    inputs: [CubeTensor; N],
    eps: f32,
    axis: usize,
) -> CubeTensor {
    let inputs = inputs.map(into_contiguous);
    let shape = inputs[0].meta.shape().clone();
    let columns = shape[axis];
    // Rows that lie side by side, for each combination of the dimensions before `axis`.
    let inner: usize = shape.iter().skip(axis + 1).product();
    let rows = shape.iter().product::<usize>() / columns.max(1);
    let params = NormParams {
        n_rows: word(rows),
        n_cols: word(columns),
        eps,
        rows_per_image: word(inner),
        image_stride: word(inner * columns),
        row_stride: 1,
        col_stride: word(inner),
    };
    run(shader, &inputs, shape, &params, rows as u64, 0.0)
}

impl NormOps for CubeBackend {
    fn layer_norm(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        eps: f32,
        axis: usize,
    ) -> CubeTensor {
        normalise(&LAYER_NORM, [x, weight, bias], eps, axis)
    }

    fn rms_norm(x: CubeTensor, weight: CubeTensor, eps: f32, axis: usize) -> CubeTensor {
        normalise(&RMS_NORM, [x, weight], eps, axis)
    }
}
