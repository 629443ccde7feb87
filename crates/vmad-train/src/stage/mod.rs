//! The training stages. A stage is a [`TrainStage`]: what a step computes, its losses, and which parameters learn.

mod encoded;
mod joint;
mod language;
mod text_losses;
mod train_stage;
mod vision;

pub use train_stage::{Step, StepOutput, TrainStage};

use crate::config::{Stage, TrainConfig};
use crate::freeze::Freeze;

/// The stage of a run.
pub fn stage_of(run: &TrainConfig) -> &'static dyn TrainStage {
    match run.stage {
        Stage::Vision => &vision::Vision,
        Stage::Language => &language::Language,
        Stage::Joint => &joint::Joint,
    }
}

/// Parameters that keep their values: those in the run's `freeze`, the language model's blocks under LoRA, and
/// those that no loss reaches.
pub fn frozen(run: &TrainConfig) -> Freeze {
    const BLOCKS: [&str; 2] = ["llm.layers.*", "llm.norm.*"];
    let mut freeze = run.freeze.clone();
    if run.ablation.lora.is_some() {
        freeze.patterns.extend(BLOCKS.map(str::to_owned));
    }
    // burn keeps bookkeeping of gradients for parameters that are tracked and get no gradient, more with
    // every step. Of SAM's mask tokens only the first gets one.
    let others = (1..run.model.sam.n_mask_tokens)
        .map(|i| format!("sam.mask_decoder.output_hypernetworks_mlps.{i}.*"));
    freeze.patterns.extend(others);
    freeze.patterns.extend(stage_of(run).unused(run));
    freeze
}
