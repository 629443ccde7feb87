//! Convolutions.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use vmad_kernels::{Conv2dOptions, conv2d, upsample_2x};

use crate::ModelError;
use crate::weights::{Builder, Init};

/// A two-dimensional convolution.
#[derive(Module, Debug)]
pub struct Conv2d {
    weight: Param<Tensor<4>>,
    bias: Option<Param<Tensor<1>>>,
    stride: usize,
    padding: usize,
    groups: usize,
}

/// How a [`Conv2d`] moves over the image.
#[derive(Clone, Copy, Debug)]
pub struct ConvShape {
    /// Input channels.
    pub d_in: usize,
    /// Output channels.
    pub d_out: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Zeros added on every side.
    pub padding: usize,
    /// Channel groups; `d_in` makes it depthwise.
    pub groups: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Conv2d {
    /// A convolution.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, shape: ConvShape) -> Result<Self, ModelError> {
        let ConvShape {
            d_in,
            d_out,
            kernel,
            stride,
            padding,
            groups,
            bias,
        } = shape;
        let weight = b.dense(
            "weight",
            [d_out, d_in / groups, kernel, kernel],
            Init::Torch,
        )?;
        let bias = if bias {
            Some(b.dense("bias", [d_out], Init::Zeros)?)
        } else {
            None
        };
        Ok(Self {
            weight,
            bias,
            stride,
            padding,
            groups,
        })
    }

    /// # Shapes
    /// - x: `[batch, d_in, height, width]`
    /// - output: `[batch, d_out, height', width']`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let bias = self.bias.as_ref().map(Param::val);
        let stepping = Conv2dOptions {
            stride: self.stride,
            padding: self.padding,
            groups: self.groups,
        };
        conv2d(x, self.weight.val(), bias, stepping)
    }
}

/// A transposed convolution with a 2×2 kernel and stride 2: doubles height and width.
#[derive(Module, Debug)]
pub struct Upsample2x {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl Upsample2x {
    /// Public weight shape `[d_in, d_out, 2, 2]`.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, d_in: usize, d_out: usize) -> Result<Self, ModelError> {
        let weight = b.dense("weight", [d_in, d_out, 2, 2], Init::Torch)?;
        let bias = b.dense("bias", [d_out], Init::Zeros)?;
        Ok(Self { weight, bias })
    }

    /// # Shapes
    /// - x: `[batch, d_in, height, width]`
    /// - output: `[batch, d_out, 2·height, 2·width]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        upsample_2x(x, self.weight.val(), self.bias.val())
    }
}
