//! The vision stage: encoders and mask decoder, without a language model. Losses: defect kinds of CLIP's
//! patches and SAM's cells, and masks for a prompt that does not depend on the picture.

use burn::tensor::{Tensor, activation};
use vmad_model::config::SimilaritySource;

use super::encoded::{
    Encoded, add_dssl, patches_of, set_cell_loss, set_kind_loss, set_mask_losses,
};
use super::train_stage::{Step, StepOutput, TrainStage, projector_pattern};
use crate::TrainError;
use crate::config::TrainConfig;
use crate::heads::patch_loss;
use crate::loss_parts::LossPart;
use crate::train_model::Selection;

/// See the module.
pub struct Vision;

impl TrainStage for Vision {
    fn has_pictures(&self) -> bool {
        true
    }

    fn has_dialogues(&self) -> bool {
        false
    }

    fn unused(&self, run: &TrainConfig) -> Vec<String> {
        if run.ablation.dssl.is_some() {
            return Vec::new();
        }
        let mut unused = vec!["llm.*", projector_pattern(run)];
        if run.model.evidence.is_some() {
            unused.push("evidence.*");
        }
        if !run.learns_patches() {
            unused.push("clip.*");
        }
        if !run.learns_masks() {
            unused.push("seg.*");
            unused.extend(match run.loss.cell == 0.0 {
                true => &["sam.*"][..],
                false => &["sam.prompt_encoder.*", "sam.mask_decoder.*"],
            });
        }
        unused.into_iter().map(str::to_owned).collect()
    }

    fn losses(&self, step: &Step) -> Result<StepOutput, TrainError> {
        let run = step.run;
        let mut output = StepOutput::default();
        let parts = &mut output.parts;
        let encoded = encode(step, run.learns_masks());
        if run.learns_patches() {
            let logits = step.train_model.heads.patch_classes(encoded.last_tap());
            let loss = patch_loss(logits.clone(), &patches_of(step));
            parts.set(LossPart::Patch, loss);
            set_kind_loss(step, parts, logits);
        }
        let Some(image) = encoded.image.clone() else {
            return Ok(output);
        };
        set_cell_loss(step, parts, &image);
        if run.learns_masks() {
            let all: Vec<usize> = (0..step.batch.views.len()).collect();
            let logits = masks(step, &encoded, image.clone());
            set_mask_losses(step, parts, logits, &all);
        }
        add_dssl(step, &mut output, &encoded, &image)?;
        Ok(output)
    }

    fn preview(&self, step: &Step) -> Result<(Tensor<2>, Tensor<3>), TrainError> {
        let encoded = encode(step, true);
        let Some(image) = encoded.image.clone() else {
            return Err(TrainError::Readback("no SAM embedding".to_owned()));
        };
        let masks = masks(step, &encoded, image.clone());
        let heads = &step.train_model.heads;
        let classes = match step.run.learns_patches() {
            true => heads.patch_classes(encoded.last_tap()),
            false => heads.cell_classes(image),
        };
        Ok((activation::sigmoid(masks), classes))
    }
}

/// Runs the encoders that the run's losses, or the masks, need.
fn encode(step: &Step, with_masks: bool) -> Encoded {
    let run = step.run;
    let has_dssl = run.ablation.dssl.is_some();
    let needs_clip =
        run.learns_patches() || has_dssl || run.model.sam_compares(SimilaritySource::Clip);
    Encoded::new(
        step,
        needs_clip,
        with_masks || run.loss.cell != 0.0 || has_dssl,
    )
}

/// Logits of all views' masks, `[n, mask_side²]`, for the prompt of a zero state.
fn masks(step: &Step, encoded: &Encoded, image: Tensor<4>) -> Tensor<2> {
    let (config, n) = (&step.run.model, step.batch.views.len());
    let prompts = Tensor::zeros([n, config.llm.d_model], step.device);
    let all: Vec<usize> = (0..n).collect();
    let selection = Selection::new(&all, step.batch.views);
    let image = image.select(0, selection.rows(step.device));
    let model = step.train_model;
    let logits = model.segment(config, prompts, image, &encoded.taps, &selection);
    logits.flatten::<2>(1, 3)
}
