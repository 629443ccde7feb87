//! The operations of a convolutional stem on cubecl backends.

use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{run, word};
use super::linear::activation_code;
use super::shaders::{
    BATCH_NORM, BatchNormParams, OVERLAPPING_CELLS, OverlappingCellsParams, PixelStrides,
};
use crate::backend::StemOps;
use crate::types::Activation;

impl StemOps for CubeBackend {
    fn batch_norm(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        mean: CubeTensor,
        variance: CubeTensor,
        eps: f32,
        activation: Option<Activation>,
    ) -> CubeTensor {
        let inputs = [x, weight, bias, mean, variance].map(into_contiguous);
        let shape = inputs[0].meta.shape().clone();
        let results: usize = shape.iter().product();
        let params = BatchNormParams {
            n_results: word(results),
            n_channels: word(shape[shape.num_dims() - 1]),
            activation: activation_code(activation),
            eps,
        };
        let groups = BATCH_NORM.groups(results);
        run(&BATCH_NORM, &inputs, shape, &params, groups, 0.0)
    }

    fn overlapping_cells(x: CubeTensor, stride: usize) -> CubeTensor {
        let (shape, strides) = (x.meta.shape(), x.meta.strides());
        let [batch, height, width, d] = [shape[0], shape[1], shape[2], shape[3]];
        let output = [
            batch,
            height / stride,
            width / stride,
            4 * stride * stride * d,
        ];
        let results = output.iter().product();
        let params = OverlappingCellsParams {
            n_results: word(results),
            height: word(height),
            width: word(width),
            d: word(d),
            stride: word(stride),
            x_strides: PixelStrides {
                batch: word(strides[0]),
                row: word(strides[1]),
                col: word(strides[2]),
                channel: word(strides[3]),
            },
        };
        let shader = &OVERLAPPING_CELLS;
        let (output, groups) = (Shape::new(output), shader.groups(results));
        run(shader, &[x], output, &params, groups, 0.0)
    }
}
