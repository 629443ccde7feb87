//! The image encoders behind one type.

use burn::module::Module;
use burn::tensor::Tensor;

use super::tiny_vit::TinyVitEncoder;
use super::vit::VitEncoder;
use crate::ModelError;
use crate::config::{SamConfig, SamEncoder};
use crate::weights::Builder;

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

    /// The encoder with the statistics of `pixels` in the batch norms of its stem, if it has any.
    ///
    /// # Shapes
    /// - pixels: `[batch, 3, image_size, image_size]`
    #[must_use]
    pub fn with_batch_statistics(self, pixels: Tensor<4>) -> Self {
        match self {
            Self::Vit(vit) => Self::Vit(vit.with_batch_statistics(pixels)),
            Self::TinyVit(tiny) => Self::TinyVit(tiny),
        }
    }
}
