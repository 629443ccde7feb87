//! The neck of both image encoders.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::ModelError;
use crate::nn::{Conv2d, ConvShape, LayerNorm, Linear, to_image};
use crate::weights::Builder;

/// Epsilon of the norms, SAM's `LayerNorm2d`.
const EPS: f64 = 1e-6;

/// 1×1 convolution, norm, 3×3 convolution, norm.
#[derive(Module, Debug)]
pub struct Neck {
    conv1: Linear,
    norm1: LayerNorm,
    conv2: Conv2d,
    norm2: LayerNorm,
}

impl Neck {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, d_in: usize, d_out: usize) -> Result<Self, ModelError> {
        let conv2 = ConvShape {
            d_in: d_out,
            d_out,
            kernel: 3,
            stride: 1,
            padding: 1,
            groups: 1,
            bias: false,
        };
        Ok(Self {
            conv1: Linear::pointwise(&mut b.at(0), d_in, d_out, false)?,
            norm1: LayerNorm::new(&mut b.at(1), d_out, EPS)?,
            conv2: Conv2d::new(&mut b.at(2), conv2)?,
            norm2: LayerNorm::new(&mut b.at(3), d_out, EPS)?,
        })
    }

    /// # Shapes
    /// - x: `[batch, grid, grid, d_in]`
    /// - output: `[batch, d_out, grid, grid]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.norm1.forward(self.conv1.forward(x));
        self.norm2.forward_image(self.conv2.forward(to_image(x)))
    }
}
