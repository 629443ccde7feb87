//! The whole configuration of a run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Table;
use vmad_model::VmadConfig;
use vmad_model::config::{ConvNorm, SamEncoder};
use vmad_package::{Conversation, Recipe, Templates};

use super::ablation::Ablation;
use super::aliases::modernise;
use super::data::DataConfig;
use super::loss::LossConfig;
use super::optimiser::OptimiserConfig;
use super::serde_defaults::is_default;
use super::stage::Stage;
use super::start::StartConfig;
use super::tasks::Tasks;
use crate::TrainError;
use crate::freeze::Freeze;

/// The configuration of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Name of the package.
    pub name: String,
    /// Seed of weights, order and data.
    pub seed: u64,
    /// Optimiser steps of the run.
    pub steps: u64,
    /// Samples of a step.
    pub batch: usize,
    /// Equal parts of a batch, each computed in a thread of its own; their gradients are averaged.
    #[serde(default = "one")]
    pub micro_batches: usize,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// What the run teaches.
    #[serde(default)]
    pub stage: Stage,
    /// Patterns of the parameters that do not learn. An encoder that is frozen whole runs once for each
    /// view, and its features are kept.
    #[serde(default)]
    pub freeze: Freeze,
    /// Tokens of the vocabulary, special ones included.
    pub vocab_size: usize,
    /// Folder for features of frozen encoders, which runs may share; the run's folder if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<PathBuf>,
    /// Weights to start from; random ones if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartConfig>,
    /// Optimiser.
    pub optimiser: OptimiserConfig,
    /// Weights of the losses.
    pub loss: LossConfig,
    /// Experiments.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ablation: Ablation,
    /// The mix of conversations.
    #[serde(default)]
    pub tasks: Tasks,
    /// The scenes.
    pub data: DataConfig,
    /// Conversation frame of the package.
    pub conversation: Conversation,
    /// Prompt templates of the package.
    #[serde(default = "Templates::paper")]
    pub templates: Templates,
    /// Storage of the exported tensors.
    pub recipe: Recipe,
    /// Sizes of the model.
    pub model: VmadConfig,
}

impl TrainConfig {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// An unreadable file, an unknown key, or a value that cannot be used.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(|source| TrainError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|message| TrainError::Config {
            path: path.to_owned(),
            message,
        })
    }

    /// Reads and checks the text of a configuration.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::from_table(toml::from_str(text).map_err(|error| error.to_string())?)
    }

    /// Reads and checks a configuration that is parsed TOML.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn from_table(mut table: Table) -> Result<Self, String> {
        modernise(&mut table)?;
        let config: Self = table
            .try_into()
            .map_err(|error: toml::de::Error| error.to_string())?;
        config.validate()?;
        Ok(config)
    }

    /// # Errors
    /// The first value that cannot be used, in words.
    pub fn validate(&self) -> Result<(), String> {
        self.model.validate().map_err(|error| error.to_string())?;
        if self.batch == 0 || self.steps == 0 || self.checkpoint_every == 0 {
            return Err("batch, steps and checkpoint_every must be positive".to_owned());
        }
        if self.micro_batches == 0 || !self.batch.is_multiple_of(self.micro_batches) {
            let (batch, parts) = (self.batch, self.micro_batches);
            return Err(format!(
                "batch must be a multiple of micro_batches; they are {batch} and {parts}"
            ));
        }
        let (vocab_size, of_model) = (self.vocab_size, self.model.llm.vocab_size);
        if vocab_size != of_model {
            return Err(format!(
                "vocab_size and model.llm.vocab_size must be equal; they are {vocab_size} and {of_model}"
            ));
        }
        self.data.validate()?;
        self.optimiser.validate(&self.model)?;
        self.tasks.validate()?;
        self.ablation.validate()?;
        let has_evidence = self.model.evidence.is_some();
        self.loss
            .validate(self.stage, has_evidence, self.ablation.dssl.is_some())?;
        let has_statistics = matches!(
            &self.model.sam.encoder,
            SamEncoder::TinyVit(tiny) if tiny.norm == ConvNorm::Batch
        );
        if has_statistics && self.start.is_none() {
            return Err(
                "model.sam.encoder: norm = \"batch\" takes its statistics from public weights; a run \
                 without [start] needs norm = \"layer\""
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Returns whether a loss is computed on CLIP's patches.
    #[must_use]
    pub fn learns_patches(&self) -> bool {
        let kind = match self.stage {
            Stage::Vision => self.loss.kind,
            // There `loss.kind` is computed on the visual tokens.
            Stage::Joint | Stage::Language => 0.0,
        };
        self.loss.patch != 0.0 || kind != 0.0
    }

    /// Returns whether a loss is computed on the visual tokens.
    #[must_use]
    pub fn learns_tokens(&self) -> bool {
        self.stage == Stage::Joint && (self.loss.token != 0.0 || self.loss.kind != 0.0)
    }

    /// Returns whether a loss is computed on the masks.
    #[must_use]
    pub fn learns_masks(&self) -> bool {
        self.loss.bce != 0.0 || self.loss.dice != 0.0
    }

    /// Seed of the scenes.
    #[must_use]
    pub fn data_seed(&self) -> u64 {
        self.data.seed.unwrap_or(self.seed)
    }

    /// Side of the generated scenes, pixels.
    #[must_use]
    pub fn scene_size(&self) -> u32 {
        (self.model.sam.image_size as f32 / self.data.crop.unwrap_or(1.0)) as u32
    }
}

fn one() -> usize {
    1
}
