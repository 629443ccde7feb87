//! The language stage: the language model alone. Embeddings of scene facts replace visual tokens and mask
//! evidence. Losses: text, and the defect kind that the criterion allows.

use burn::tensor::Tensor;
use vmad_data::DefectKind;

use super::text_losses::{set_criterion_loss, set_text_loss};
use super::train_stage::{Step, StepOutput, TrainStage, projector_pattern};
use crate::TrainError;
use crate::config::TrainConfig;
use crate::lm_forward::LmForward;
use crate::scene_embedding::TokenFacts;
use crate::view::View;

/// Tokens that replace a picture. They cost as much as text tokens.
const FACT_TOKENS: usize = 4;

/// See the module.
pub struct Language;

impl TrainStage for Language {
    fn has_pictures(&self) -> bool {
        false
    }

    fn has_dialogues(&self) -> bool {
        true
    }

    fn unused(&self, run: &TrainConfig) -> Vec<String> {
        let mut unused = vec!["clip.*", projector_pattern(run), "seg.*", "sam.*"];
        if run.model.evidence.is_some() {
            // All but the place and the verdict.
            unused.extend(["evidence.*norm.*", "evidence.fc*"]);
        }
        unused.into_iter().map(str::to_owned).collect()
    }

    fn losses(&self, step: &Step) -> Result<StepOutput, TrainError> {
        let (model, config) = (step.train_model, &step.run.model);
        let (batch, device) = (step.batch, step.device);
        let with_mask = batch.with_mask();
        let targets: Vec<_> = batch.views.iter().map(|view| &view.targets).collect();
        let has_evidence = model.model.evidence.is_some();
        let facts = |i: usize| match with_mask.contains(&i) && has_evidence {
            true => TokenFacts::Object,
            false => TokenFacts::ObjectAndClasses,
        };
        let facts: Vec<TokenFacts> = (0..targets.len()).map(facts).collect();
        let embedding = model.heads.scene_embedding();
        let tokens = embedding.tokens(&targets, &facts, FACT_TOKENS, device);
        let evidence = model.model.evidence.as_ref();
        let evidence = evidence.filter(|_| !with_mask.is_empty()).map(|evidence| {
            let view = |i: &usize| (batch.views[*i], batch.tolerated(*i));
            let views: Vec<(&View, &[DefectKind])> = with_mask.iter().map(view).collect();
            let of_masks = embedding.mask_evidence(evidence, &views, device);
            evidence.with_verdict(of_masks, &batch.verdicts(&with_mask))
        });
        let (dialogues, dropout) = (batch.dialogues, batch.dropout);
        let lm = LmForward::new(model, config, tokens, dialogues, evidence.as_ref(), dropout)?;
        let mut output = StepOutput::default();
        set_text_loss(step, &mut output.parts, &lm);
        set_criterion_loss(step, &mut output.parts, &lm);
        Ok(output)
    }

    fn preview(&self, _: &Step) -> Result<(Tensor<2>, Tensor<3>), TrainError> {
        Err(TrainError::Readback(
            "the language stage has no pictures".to_owned(),
        ))
    }
}
