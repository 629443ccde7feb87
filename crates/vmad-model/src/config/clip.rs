//! CLIP's sizes.

use serde::{Deserialize, Serialize};

use super::check::{check, is_size};
use super::stem::Stem;
use crate::ModelError;

/// CLIP ViT (Radford et al. 2021), named as in transformers' `CLIPVisionModel`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipConfig {
    /// Side of the input square, pixels.
    pub image_size: usize,
    /// Side of a patch, pixels.
    pub patch_size: usize,
    /// Width of the hidden states.
    pub d_model: usize,
    /// Number of transformer blocks in the checkpoint.
    pub n_layers: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Width of the feed-forward layer.
    pub d_ff: usize,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f64,
    /// Hidden states handed to the projector; `i` is the output of block `i`, 0 the embeddings.
    pub taps: Vec<usize>,
    /// How pixels become patch features.
    #[serde(default)]
    pub stem: Stem,
    /// Whether the patch-similarity prior is added to the patch embeddings, so that the language model
    /// depends on it as the mask does.
    ///
    /// An extension of ours, not part of the paper: see docs/extensions.md.
    #[serde(default)]
    pub similarity_prompt: bool,
}

impl ClipConfig {
    /// Channels of the prior that `similarity_prompt` asks for.
    pub const PRIOR_CHANNELS: usize = 4;
    /// Samples of the prior along a patch.
    pub const PRIOR_CELLS: usize = 4;

    /// Side of the prior that `similarity_prompt` asks for.
    #[must_use]
    pub fn prior_side(&self) -> usize {
        self.grid() * Self::PRIOR_CELLS
    }

    /// Patches along one side.
    #[must_use]
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    pub(super) fn validate(&self) -> Result<(), ModelError> {
        let sizes = [
            self.image_size,
            self.patch_size,
            self.d_model,
            self.n_layers,
            self.n_heads,
            self.d_ff,
        ];
        check(
            sizes.into_iter().all(is_size),
            "every size of clip must lie between 1 and 1048576",
        )?;
        check(
            self.image_size.is_multiple_of(self.patch_size),
            "clip.image_size must be a multiple of patch_size",
        )?;
        check(
            self.d_model.is_multiple_of(self.n_heads),
            "clip.d_model must be a multiple of n_heads",
        )?;
        check(
            !self.taps.is_empty(),
            "clip.taps must name at least one hidden state",
        )?;
        check(
            self.taps.iter().all(|tap| *tap <= self.n_layers),
            "clip.taps must not exceed clip.n_layers",
        )?;
        self.stem.validate("clip", self.patch_size, self.d_model)
    }
}
