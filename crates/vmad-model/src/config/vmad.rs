//! The sizes of the whole model, and whether its parts fit each other.

use serde::{Deserialize, Serialize};
use vmad_prep::{ClipMode, PhotoFrame};

use super::check::{check, is_size};
use super::clip::ClipConfig;
use super::llama::LlamaConfig;
use super::projector::ProjectorConfig;
use super::sam::{SamConfig, SimilaritySource};
use crate::ModelError;

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
    pub clip_mode: ClipMode,
    /// Sizes of the module that adds mask features to the embedding of `[SEG]`; none if absent.
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
    /// Whether position and area of the mask also go through a linear layer of their own, which can be
    /// trained without images.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub place: bool,
}

impl VmadConfig {
    /// Where a photograph of this width and height in pixels lies in the inputs of both encoders.
    #[must_use]
    pub fn photo_frame(&self, photo_size: (u32, u32)) -> PhotoFrame {
        PhotoFrame {
            photo_size,
            clip_size: self.clip.image_size as u32,
            clip_mode: self.clip_mode,
            sam_size: self.sam.image_size as u32,
        }
    }

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

    /// Index in `clip.taps` of the features that [`SimilaritySource::Clip`] compares: the second tap,
    /// which has local context and is not yet dominated by global semantics, or the only one.
    #[must_use]
    pub fn similarity_tap(&self) -> usize {
        self.clip.taps.len().saturating_sub(1).min(1)
    }

    /// Checks that the parts fit each other.
    ///
    /// # Errors
    /// [`ModelError::Config`] names the first contradiction.
    pub fn validate(&self) -> Result<(), ModelError> {
        self.clip.validate()?;
        self.llm.validate()?;
        check(
            self.evidence.as_ref().is_none_or(|e| is_size(e.d_hidden)),
            "evidence.d_hidden must lie between 1 and 1048576",
        )?;
        self.sam.validate()?;
        self.projector.validate(&self.clip, &self.llm)
    }
}
