//! The losses that the language and the joint stage have in common.

use super::train_stage::Step;
use crate::lm_forward::LmForward;
use crate::loss_functions::cross_entropy;
use crate::loss_parts::{LossPart, LossParts};
use crate::patch_classes::{NORMAL_PATCH, UNKNOWN_PATCH, class_of};

/// Sets [`LossPart::Text`].
pub fn set_text_loss(step: &Step, parts: &mut LossParts, lm: &LmForward) {
    let (hidden, tokens) = lm.next_tokens();
    let logits = step.train_model.model.llm.logits(hidden);
    parts.set(LossPart::Text, cross_entropy(logits, tokens));
}

/// Sets [`LossPart::Criterion`], where the run has it and a dialogue has a mask.
pub fn set_criterion_loss(step: &Step, parts: &mut LossParts, lm: &LmForward) {
    if step.run.loss.criterion == 0.0 || lm.with_mask.is_empty() {
        return;
    }
    // Unknown where the criterion allows several kinds.
    let class = |i: &usize| match step.batch.tolerated(*i) {
        [] => NORMAL_PATCH,
        [kind] => class_of(*kind),
        _ => UNKNOWN_PATCH,
    };
    let classes = lm.with_mask.iter().map(class).collect::<Vec<_>>();
    let heads = &step.train_model.heads;
    if let Some(loss) = heads.criterion_loss(lm.seg_states(), &classes) {
        parts.set(LossPart::Criterion, loss);
    }
}
