//! `stage`: what a run teaches.

use serde::{Deserialize, Serialize};

/// What a run teaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The encoders and the mask decoder, without a language model. It stands in for the pre-training
    /// of the paper's CLIP and SAM.
    Vision,
    /// The language model alone, on embeddings of scene facts in place of photographs. It stands in for
    /// the pre-training of the paper's LLaMA.
    Language,
    /// The whole model, as in the paper.
    #[default]
    Joint,
}

impl Stage {
    /// Its name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Language => "language",
            Self::Joint => "joint",
        }
    }
}
