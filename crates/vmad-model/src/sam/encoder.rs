//! The image encoders, behind one name, and the neck that they share.

use burn::module::Module;
use burn::tensor::Tensor;

use super::tiny_vit::TinyVitEncoder;
use super::vit::VitEncoder;
use crate::ModelError;
use crate::config::{SamConfig, SamEncoder};
use crate::nn::{Conv2d, ConvShape, LayerNorm, Linear, to_image};
use crate::weights::Builder;

/// Epsilon of the neck's norms, SAM's `LayerNorm2d`.
const NECK_EPS: f64 = 1e-6;

/// One of the image encoders.
#[expect(
    clippy::large_enum_variant,
    reason = "a model holds one; a box would not save anything"
)]
#[derive(Module, Debug)]
pub enum ImageEncoder {
    /// SAM's own.
    Vit(VitEncoder),
    /// MobileSAM's.
    TinyVit(TinyVitEncoder),
}

impl ImageEncoder {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &SamConfig) -> Result<Self, ModelError> {
        Ok(match &c.encoder {
            SamEncoder::Vit(vit) => Self::Vit(VitEncoder::new(b, c, vit)?),
            SamEncoder::TinyVit(tiny) => Self::TinyVit(TinyVitEncoder::new(b, tiny, c.d_out)?),
        })
    }

    /// # Shapes
    /// - pixels: `[batch, 3, image_size, image_size]`, normalised, zero-padded right and below
    /// - output: `[batch, d_out, grid, grid]`
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Vit(vit) => vit.forward(pixels),
            Self::TinyVit(tiny) => tiny.forward(pixels),
        }
    }

    /// With a stem whose batch norms, if it has any, have the statistics of these pictures.
    ///
    /// # Shapes
    /// - pixels: `[batch, 3, image_size, image_size]`
    #[must_use]
    pub fn settled(self, pixels: Tensor<4>) -> Self {
        match self {
            Self::Vit(vit) => Self::Vit(vit.settled(pixels)),
            Self::TinyVit(tiny) => Self::TinyVit(tiny),
        }
    }
}

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
            norm1: LayerNorm::new(&mut b.at(1), d_out, NECK_EPS)?,
            conv2: Conv2d::new(&mut b.at(2), conv2)?,
            norm2: LayerNorm::new(&mut b.at(3), d_out, NECK_EPS)?,
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
