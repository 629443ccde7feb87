//! Convolutional stems in place of a patch embedding, for both encoders ([`crate::config::Stem`]): an
//! extension of ours that public checkpoints do not have.

use burn::module::Module;
use burn::tensor::Tensor;
use vmad_kernels::{Activation, overlapping_cells};

use crate::ModelError;
use crate::config::Stem;
use crate::nn::{BatchNorm, LayerNorm, Linear, cut_patches, gelu, to_channels_last};
use crate::weights::{Builder, Init};

/// From pixels to patch features: a stem, if there is one, and the patch embedding.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    overlap: Option<OverlapStem>,
    projection: Linear,
    patch_size: usize,
}

/// Options of a [`PatchEmbed`].
#[derive(Clone, Copy, Debug)]
pub struct PatchShape {
    /// Which stem.
    pub stem: Stem,
    /// Side of a patch, pixels.
    pub patch_size: usize,
    /// Width of the patch features.
    pub d_model: usize,
    /// Epsilon of the stem's norms.
    pub eps: f64,
    /// Whether the patch embedding has a bias.
    pub bias: bool,
}

impl PatchEmbed {
    /// Takes the weights of the patch embedding from `{projection}.*` and those of a stem from `stem.*`.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, projection: &str, shape: PatchShape) -> Result<Self, ModelError> {
        let PatchShape {
            stem,
            patch_size,
            d_model,
            bias,
            ..
        } = shape;
        let overlap = match stem {
            Stem::Overlap | Stem::OverlapBatch => {
                Some(OverlapStem::new(&mut b.at("stem"), &shape)?)
            }
            Stem::Patch => None,
        };
        let mut b = b.at(projection);
        let projection = match overlap {
            Some(_) => Linear::pointwise(&mut b, d_model, d_model, bias)?,
            None => Linear::patches(&mut b, 3, patch_size, d_model, bias)?,
        };
        Ok(Self {
            overlap,
            projection,
            patch_size,
        })
    }

    /// # Shapes
    /// - pixels: `[batch, 3, side, side]`
    /// - output: `[batch, (side / patch_size)², d_model]`
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        self.projection.forward(match &self.overlap {
            Some(stem) => stem.forward(pixels),
            None => cut_patches(pixels, self.patch_size),
        })
    }

    /// The embedding with the statistics of `pixels` in its stem's batch norms, if it has any.
    ///
    /// # Shapes
    /// - pixels: `[batch, 3, side, side]`
    #[must_use]
    pub fn with_batch_statistics(mut self, pixels: Tensor<4>) -> Self {
        self.overlap = self.overlap.map(|stem| stem.with_batch_statistics(pixels));
        self
    }
}

/// Overlapping patches, merged in stages. Each stage is a convolution whose kernel is twice its stride,
/// computed as one product over channels-last cells, then a norm and GELU.
///
/// The first stage's stride is 4, the others' 2. Unlike the patches of the hierarchical MLP stem
/// (Touvron et al. 2022) these overlap, and unlike the 3×3 convolutions of stride 2 of Xiao et al.
/// (2021) none runs at half the picture's resolution or moves between channels-first and
/// channels-last.
#[derive(Module, Debug)]
struct OverlapStem {
    merges: Vec<Linear>,
    norms: Vec<CellNorm>,
}

/// The norm of a stage: over the channels of each cell, or over the batch.
#[derive(Module, Debug)]
enum CellNorm {
    Channels(LayerNorm),
    Batch(BatchNorm),
}

impl CellNorm {
    /// The norm, and GELU.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Channels(norm) => gelu(norm.forward(x)),
            Self::Batch(norm) => norm.forward_activated(x, Some(Activation::Gelu)),
        }
    }
}

/// Strides of the stages, whose product is `patch_size`; `None` where it is not a power of two from 4 on.
fn strides(patch_size: usize) -> Option<Vec<usize>> {
    (patch_size.is_power_of_two() && patch_size >= 4).then(|| {
        [4].into_iter()
            .chain(vec![2; patch_size.ilog2() as usize - 2])
            .collect()
    })
}

impl OverlapStem {
    /// `patch_size` is a power of two from 4 on, `d_model` a multiple of a quarter of it
    /// ([`crate::VmadConfig::validate`]).
    ///
    /// # Errors
    /// As the weight source's.
    fn new(b: &mut Builder, shape: &PatchShape) -> Result<Self, ModelError> {
        let PatchShape {
            patch_size,
            d_model,
            eps,
            ..
        } = *shape;
        let strides = strides(patch_size).unwrap_or_default();
        let (mut merges, mut norms) = (Vec::new(), Vec::new());
        let mut d_in = 3;
        for (i, stride) in strides.iter().enumerate() {
            let d_out = d_model >> (strides.len() - 1 - i);
            let mut stage = b.at(i);
            let width = 4 * stride * stride * d_in;
            merges.push(Linear::new(
                &mut stage.at("merge"),
                width,
                d_out,
                Init::Torch,
            )?);
            let mut norm = stage.at("norm");
            norms.push(match shape.stem {
                Stem::OverlapBatch => CellNorm::Batch(BatchNorm::new(&mut norm, d_out, eps)?),
                _ => CellNorm::Channels(LayerNorm::new(&mut norm, d_out, eps)?),
            });
            d_in = d_out;
        }
        Ok(Self { merges, norms })
    }

    /// # Shapes
    /// - pixels: `[batch, 3, side, side]`
    /// - output: `[batch, (side / patch_size)², d_model]`
    fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let mut x = to_channels_last(pixels);
        for (i, (merge, norm)) in self.merges.iter().zip(&self.norms).enumerate() {
            let stride = if i == 0 { 4 } else { 2 };
            x = norm.forward(merge.forward(overlapping_cells(x, stride)));
        }
        x.flatten(1, 2)
    }

    /// As [`PatchEmbed::with_batch_statistics`].
    fn with_batch_statistics(mut self, pixels: Tensor<4>) -> Self {
        let mut x = to_channels_last(pixels);
        let mut norms = Vec::with_capacity(self.norms.len());
        for (i, (merge, norm)) in self.merges.iter().zip(self.norms).enumerate() {
            let stride = if i == 0 { 4 } else { 2 };
            let cells = merge.forward(overlapping_cells(x, stride));
            let norm = match norm {
                CellNorm::Batch(norm) => CellNorm::Batch(norm.with_batch_statistics(cells.clone())),
                CellNorm::Channels(norm) => CellNorm::Channels(norm),
            };
            x = norm.forward(cells);
            norms.push(norm);
        }
        self.norms = norms;
        self
    }
}
