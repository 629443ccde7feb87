//! The interface of a stage.

use burn::tensor::{Device, Tensor};
use vmad_model::config::ProjectorConfig;

use crate::TrainError;
use crate::batch::Batch;
use crate::config::TrainConfig;
use crate::dssl::Observation;
use crate::loss_parts::LossParts;
use crate::train_model::TrainModel;

/// A step, or a part of one: the model over a batch.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// The model.
    pub train_model: &'a TrainModel,
    /// The run's configuration.
    pub run: &'a TrainConfig,
    /// The samples.
    pub batch: &'a Batch<'a>,
    /// Where the model computes.
    pub device: &'a Device,
}

/// The result of a step.
#[derive(Default)]
pub struct StepOutput {
    /// The parts of the loss.
    pub parts: LossParts,
    /// Entries for DSSL's memory.
    pub observations: Vec<Observation>,
}

/// What a stage computes, and which parameters learn.
pub trait TrainStage: Sync {
    /// Whether samples are views of scenes with pixels. Without them there is no validation on
    /// held-out scenes.
    fn has_pictures(&self) -> bool;

    /// Whether samples have dialogues.
    fn has_dialogues(&self) -> bool;

    /// Patterns of the parameters that no loss of the run reaches.
    fn unused(&self, run: &TrainConfig) -> Vec<String>;

    /// The losses of a batch.
    ///
    /// # Errors
    /// The model's.
    fn losses(&self, step: &Step) -> Result<StepOutput, TrainError>;

    /// For validation: probabilities of each view's mask, `[n, mask_side²]`, and logits of the classes
    /// of CLIP's patches, SAM's cells or the visual tokens, `[n, cells, 16]`.
    ///
    /// # Errors
    /// The model's, or a stage without pictures.
    fn preview(&self, step: &Step) -> Result<(Tensor<2>, Tensor<3>), TrainError>;
}

/// The pattern of the projector's parameters.
pub fn projector_pattern(run: &TrainConfig) -> &'static str {
    match run.model.projector {
        ProjectorConfig::Ltc(_) => "ltc.*",
        _ => "projector.*",
    }
}
