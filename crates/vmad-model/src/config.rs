//! The sizes of every part. One serialisable value describes a whole model.

mod projector;
mod sam;

use serde::{Deserialize, Serialize};

pub use sam::{ConvNorm, SamConfig, SamEncoder, SamVitConfig, SimilaritySource, TinyVitConfig};

use crate::ModelError;

pub use projector::{Fusion, LtcConfig, ProjectorConfig, RegionConfig};
#[cfg(feature = "ablation")]
pub use projector::{PoolConfig, ResamplerConfig};

/// Sizes of the whole model (`config` in `model.json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VmadConfig {
    /// The CLIP image encoder.
    pub clip: ClipConfig,
    /// From patch features to visual tokens.
    pub projector: ProjectorConfig,
    /// The language model.
    pub llm: LlamaConfig,
    /// SAM's image encoder, prompt encoder and mask decoder.
    pub sam: SamConfig,
    /// How a photograph is fitted to the CLIP encoder's square: `pad` or `crop`.
    #[serde(default)]
    pub clip_mode: ClipFit,
    /// Whether the embedding of `[SEG]` tells the words after it what the mask holds.
    ///
    /// An extension of ours, not part of the paper: see [`crate::evidence`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceConfig>,
}

/// Sizes of [`crate::evidence::Evidence`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceConfig {
    /// Width of its hidden layer.
    pub d_hidden: usize,
    /// Whether place and size of the mask have a linear layer of their own as well, which can learn
    /// without pictures.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub place: bool,
}

/// How a photograph is fitted to the CLIP encoder's square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClipFit {
    /// Pad to a centred square, so that nothing near a long edge is lost.
    #[default]
    Pad,
    /// Centre crop, as the public LISA checkpoints expect.
    Crop,
}

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
    /// Whether the patch-similarity prior is added to the patch embeddings, so that the words know
    /// of it as the mask does.
    ///
    /// An extension of ours, not part of the paper: see ARCHITECTURE.md.
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
}

/// LLaMA, named as in transformers' `LlamaForCausalLM`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaConfig {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub d_model: usize,
    /// Transformer blocks.
    pub n_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; fewer than `n_heads` is grouped-query attention.
    pub n_kv_heads: usize,
    /// Width of the SwiGLU layer.
    pub d_ff: usize,
    /// Epsilon of the RMS norms.
    pub rms_norm_eps: f64,
    /// Base of the rotary embedding.
    pub rope_theta: f64,
    /// Longest sequence, visual tokens included.
    pub max_positions: usize,
    /// Whether the head is the transposed embedding table.
    pub tie_embeddings: bool,
}

impl LlamaConfig {
    /// Width of one head.
    #[must_use]
    pub fn d_head(&self) -> usize {
        self.d_model / self.n_heads
    }
}

/// How an encoder turns pixels into patch features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stem {
    /// One convolution as large as its stride, CLIP's and SAM's own.
    #[default]
    Patch,
    /// 3×3 convolutions of stride 2 (Xiao et al. 2021); learns faster from scratch. Ours.
    Conv,
    /// Overlapping patches of 8 pixels every 4, then 4×4 cells every 2. Ours: without the half
    /// resolution of the convolutions, the encoders cost a quarter less in training.
    Overlap,
    /// [`Self::Overlap`] with batch norms in place of the channel norms, which learns faster from
    /// scratch. Ours.
    OverlapBatch,
}

impl VmadConfig {
    /// Whether any part takes the patch-similarity prior from pixels.
    #[must_use]
    pub fn needs_prior(&self) -> bool {
        self.clip.similarity_prompt || self.sam_compares(SimilaritySource::Pixels)
    }

    /// Whether SAM's mask prompt is a prior from this source.
    #[must_use]
    pub fn sam_compares(&self, source: SimilaritySource) -> bool {
        self.sam.similarity_prompt && self.sam.similarity_source == source
    }

    /// Which of `clip.taps` [`SimilaritySource::Clip`] compares: the second, whose features know
    /// their surroundings and are not yet about the picture as a whole; with one tap, that.
    #[must_use]
    pub fn similarity_tap(&self) -> usize {
        self.clip.taps.len().saturating_sub(1).min(1)
    }

    /// Checks that the parts fit each other.
    ///
    /// # Errors
    /// [`ModelError::Config`] names the first contradiction.
    pub fn validate(&self) -> Result<(), ModelError> {
        let (c, l) = (&self.clip, &self.llm);
        let sizes = [
            c.image_size,
            c.patch_size,
            c.d_model,
            c.n_layers,
            c.n_heads,
            c.d_ff,
            l.vocab_size,
            l.d_model,
            l.n_layers,
            l.n_heads,
            l.n_kv_heads,
            l.d_ff,
            l.max_positions,
        ];
        check(
            sizes.into_iter().all(bounded),
            "every size must lie between 1 and 1048576",
        )?;
        check(
            c.image_size % c.patch_size == 0,
            "clip.image_size must be a multiple of patch_size",
        )?;
        check(
            c.d_model % c.n_heads == 0,
            "clip.d_model must be a multiple of n_heads",
        )?;
        check(
            !c.taps.is_empty(),
            "clip.taps must name at least one hidden state",
        )?;
        check(
            c.taps.iter().all(|tap| *tap <= c.n_layers),
            "clip.taps must not exceed clip.n_layers",
        )?;
        check(
            l.d_model % l.n_heads == 0,
            "llm.d_model must be a multiple of n_heads",
        )?;
        check(
            l.d_head() % 2 == 0,
            "llm: the head width must be even for RoPE",
        )?;
        check(
            l.n_heads % l.n_kv_heads == 0,
            "llm.n_heads must be a multiple of n_kv_heads",
        )?;
        check(
            self.evidence.as_ref().is_none_or(|e| bounded(e.d_hidden)),
            "evidence.d_hidden must lie between 1 and 1048576",
        )?;
        self.sam.validate()?;
        stem_fits("clip", c.stem, c.patch_size, c.d_model)?;
        self.projector.validate(c, l)
    }
}

fn check(holds: bool, what: &str) -> Result<(), ModelError> {
    if holds {
        Ok(())
    } else {
        Err(ModelError::Config(what.to_owned()))
    }
}

fn bounded(size: usize) -> bool {
    (1..=1 << 20).contains(&size)
}

fn stem_fits(part: &str, stem: Stem, patch_size: usize, d_model: usize) -> Result<(), ModelError> {
    let first_stride = match stem {
        Stem::Patch => return Ok(()),
        Stem::Conv => 2,
        Stem::Overlap | Stem::OverlapBatch => 4,
    };
    check(
        patch_size.is_power_of_two()
            && patch_size >= first_stride
            && d_model.is_multiple_of(patch_size / first_stride),
        &format!(
            "{part}.stem = conv (overlap) needs a patch_size that is a power of two from 2 (4) on, \
             and a d_model that is a multiple of a half (quarter) of it"
        ),
    )
}
