//! f32 products and convolutions on the CPU backend: burn's own.

use burn::backend::Flex;
use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn_flex::FlexTensor;

use crate::backend::DenseOps;
use crate::types::Conv2dOptions;

impl DenseOps for Flex {
    fn matmul_f32(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        <Self as FloatTensorOps<Self>>::float_matmul(a, b)
    }

    fn conv2d_f32(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        with_bias: bool,
        options: Conv2dOptions,
    ) -> FlexTensor {
        let bias = with_bias.then_some(bias);
        <Self as ModuleOps<Self>>::conv2d(x, weight, bias, options.into())
    }
}
