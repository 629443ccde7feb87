//! What a stem does between its products, on cubecl backends.

use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::product::activation_word;
use super::{BATCH_NORM, OVERLAPPING_CELLS, run};
use crate::Activation;
use crate::stem::StemOps;

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
        let channels = shape[shape.num_dims() - 1];
        let sizes = [results as u32, channels as u32, eps.to_bits(), 0];
        let info = [sizes, [activation_word(activation), 0, 0, 0]].concat();
        let groups = BATCH_NORM.groups(results);
        run(&BATCH_NORM, inputs.into(), shape, (info, 3), groups, 0.0)
    }

    fn overlapping_cells(x: CubeTensor, stride: usize) -> CubeTensor {
        let shape = x.meta.shape();
        let [batch, height, width, d] = [shape[0], shape[1], shape[2], shape[3]];
        let word = |n: usize| n as u32;
        let output = [
            batch,
            height / stride,
            width / stride,
            4 * stride * stride * d,
        ];
        let results = output.iter().product();
        let mut info = vec![word(results), word(height), word(width), 0];
        info.extend([word(d), word(stride), 0, 0]);
        info.extend(x.meta.strides().iter().map(|stride| word(*stride)));
        let groups = OVERLAPPING_CELLS.groups(results);
        run(
            &OVERLAPPING_CELLS,
            vec![x],
            Shape::new(output),
            (info, 3),
            groups,
            0.0,
        )
    }
}
