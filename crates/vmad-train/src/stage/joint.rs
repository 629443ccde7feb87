//! The joint stage: the whole model, as in the paper. Losses: text, masks, DSSL, and the auxiliary losses of
//! the visual tokens, the mask evidence and the criterion.
//!
//! With `model.evidence` a step has two passes of the language model: the dialogues up to `[SEG]` give the
//! masks, then the whole dialogues run with the evidence of these masks. No gradient goes from the text into
//! the masks.

use burn::tensor::{Tensor, activation};
use vmad_model::evidence::Features;

use super::encoded::{
    Encoded, add_dssl, patches_of, set_cell_loss, set_kind_loss, set_mask_losses,
};
use super::text_losses::{set_criterion_loss, set_text_loss};
use super::train_stage::{Step, StepOutput, TrainStage};
use crate::TrainError;
use crate::config::TrainConfig;
use crate::dialogue::Dialogue;
use crate::heads::patch_loss;
use crate::lm_forward::{LmForward, swapped_tokens};
use crate::loss_parts::{LossPart, LossParts};
use crate::train_model::Selection;

/// See the module.
pub struct Joint;

/// The model over a batch.
struct Forward {
    encoded: Encoded,
    /// The visual tokens, `[n, n_visual, d_text]`.
    visual: Tensor<3>,
    /// The pass that gives the prompts of the masks.
    prompt_pass: LmForward,
    /// The pass over the whole dialogues, where it is another.
    text_pass: Option<LmForward>,
    /// Mask logits, `[with_mask, mask_side²]`.
    masks: Option<Tensor<2>>,
    /// Their evidence, `[with_mask, d_text]`.
    evidence: Option<Tensor<2>>,
}

impl TrainStage for Joint {
    fn has_pictures(&self) -> bool {
        true
    }

    fn has_dialogues(&self) -> bool {
        true
    }

    fn unused(&self, _: &TrainConfig) -> Vec<String> {
        Vec::new()
    }

    fn losses(&self, step: &Step) -> Result<StepOutput, TrainError> {
        let run = step.run;
        let forward = Forward::new(step, run.learns_masks())?;
        let mut output = StepOutput::default();
        let parts = &mut output.parts;
        set_token_losses(step, parts, &forward);
        let text_pass = forward.text_pass.as_ref();
        set_text_loss(step, parts, text_pass.unwrap_or(&forward.prompt_pass));
        let with_mask = &forward.prompt_pass.with_mask;
        if let Some(evidence) = forward.evidence.filter(|_| run.loss.evidence != 0.0) {
            let views = &step.batch.views;
            let class = |i: &usize| views[*i].targets.only_class(step.batch.tolerated(*i));
            let classes = with_mask.iter().map(class).collect::<Vec<_>>();
            if let Some(loss) = step.train_model.heads.evidence_loss(evidence, &classes) {
                parts.set(LossPart::Evidence, loss);
            }
        }
        set_criterion_loss(step, parts, &forward.prompt_pass);
        let Some(image) = forward.encoded.image.clone() else {
            return Ok(output);
        };
        set_cell_loss(step, parts, &image);
        if let Some(logits) = forward.masks.filter(|_| run.learns_masks()) {
            set_mask_losses(step, parts, logits, with_mask);
        }
        add_dssl(step, &mut output, &forward.encoded, &image)?;
        Ok(output)
    }

    fn preview(&self, step: &Step) -> Result<(Tensor<2>, Tensor<3>), TrainError> {
        let forward = Forward::new(step, true)?;
        let Some(masks) = forward.masks else {
            return Err(TrainError::Readback("no dialogue has a mask".to_owned()));
        };
        let classes = step.train_model.heads.token_classes(forward.visual);
        Ok((activation::sigmoid(masks), classes))
    }
}

/// Sets the losses of CLIP's patches and of the visual tokens.
fn set_token_losses(step: &Step, parts: &mut LossParts, forward: &Forward) {
    let heads = &step.train_model.heads;
    let mut classes = None;
    if step.run.learns_patches() {
        let logits = heads.patch_classes(forward.encoded.last_tap());
        let loss = patch_loss(logits.clone(), &patches_of(step));
        parts.set(LossPart::Patch, loss);
        classes = Some(logits);
    }
    if step.run.learns_tokens() {
        let targets: Vec<_> = step.batch.views.iter().map(|view| &view.targets).collect();
        let logits = heads.token_classes(forward.visual.clone());
        let loss = heads.token_loss(forward.visual.clone(), logits.clone(), &targets);
        parts.set(LossPart::Token, loss);
        classes = Some(logits);
    }
    if let Some(logits) = classes {
        set_kind_loss(step, parts, logits);
    }
}

impl Forward {
    /// Runs the model; `with_masks` also where no loss needs the masks.
    fn new(step: &Step, with_masks: bool) -> Result<Self, TrainError> {
        let Step {
            train_model,
            run,
            batch,
            ..
        } = *step;
        let config = &run.model;
        let has_evidence = train_model.model.evidence.is_some();
        let with_masks = with_masks || has_evidence;
        let needs_image = with_masks || run.loss.cell != 0.0 || train_model.dssl.is_some();
        let encoded = Encoded::new(step, true, needs_image);
        let visual = train_model.model.projector.forward(&encoded.taps);
        let is_cut = has_evidence && !batch.with_mask().is_empty();
        let cut: Vec<Dialogue>;
        let dialogues = match is_cut {
            true => {
                cut = batch.dialogues.iter().map(Dialogue::up_to_seg).collect();
                &cut[..]
            }
            false => batch.dialogues,
        };
        let lm = |visual, dialogues, evidence: Option<&Tensor<2>>| {
            LmForward::new(
                train_model,
                config,
                visual,
                dialogues,
                evidence,
                batch.dropout,
            )
        };
        let prompt_pass = lm(visual.clone(), dialogues, None)?;
        let mut forward = Self {
            encoded,
            visual,
            prompt_pass,
            text_pass: None,
            masks: None,
            evidence: None,
        };
        if with_masks && !forward.prompt_pass.with_mask.is_empty() {
            let seg_evidence = forward.segment(step);
            if let Some(evidence) = seg_evidence {
                let visual = swapped_tokens(forward.visual.clone(), batch.dialogues);
                forward.text_pass = Some(lm(visual, batch.dialogues, Some(&evidence))?);
            }
        }
        Ok(forward)
    }

    /// Computes the masks and, where the model has it, their evidence. Returns the evidence with the
    /// verdicts, which is added to the embeddings of `[SEG]`.
    fn segment(&mut self, step: &Step) -> Option<Tensor<2>> {
        let (train_model, config) = (step.train_model, &step.run.model);
        let image = self.encoded.image.clone()?;
        let with_mask = &self.prompt_pass.with_mask;
        let selection = Selection::new(with_mask, step.batch.views);
        let rows = selection.rows(step.device);
        let image = image.select(0, rows.clone());
        let (prompts, taps) = (self.prompt_pass.seg_states(), &self.encoded.taps);
        let logits = train_model.segment(config, prompts, image.clone(), taps, &selection);
        let judged = train_model.model.evidence.as_ref().map(|evidence| {
            let taps = taps.iter().map(|tap| tap.clone().select(0, rows.clone()));
            let features = Features {
                taps: taps.collect(),
                image,
                frames: selection.frames(),
            };
            let of_masks = evidence.forward(logits.clone(), &features, config);
            self.evidence = Some(of_masks.clone());
            evidence.with_verdict(of_masks, &step.batch.verdicts(with_mask))
        });
        self.masks = Some(logits.flatten::<2>(1, 3));
        judged
    }
}
