//! `[loss]`: the weights of the objective.

use serde::{Deserialize, Serialize};

use super::serde_defaults::is_default;
use super::stage::Stage;

/// Weights of the losses, equations (6) and (7), and of the auxiliary losses of linear heads that only
/// training has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// Cross-entropy of the text.
    pub text: f64,
    /// Binary cross-entropy of the mask.
    pub bce: f64,
    /// DICE of the mask.
    pub dice: f64,
    /// Cross-entropy of the defect kind of each CLIP patch. It stands in for the pre-training of the
    /// paper's CLIP.
    pub patch: f64,
    /// Cross-entropy of the defect kind of each visual token and of the object of the photograph. The
    /// answers can only name what the projector keeps.
    #[serde(default)]
    pub token: f64,
    /// Cross-entropy of the defect kind of each cell of SAM's embedding, and of each whole defect there.
    /// Masks alone train the encoder slowly.
    #[serde(default)]
    pub cell: f64,
    /// Cross-entropy of the kind of each whole defect, over all patches or visual tokens that it covers.
    /// One patch of a scratch may look like a crack.
    #[serde(default)]
    pub kind: f64,
    /// Cross-entropy of the defect kind in the mask, read from [`vmad_model::evidence`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub evidence: f64,
    /// Cross-entropy of the defect kind that the user's criterion allows, read from the hidden state that
    /// prompts the mask.
    #[serde(default, skip_serializing_if = "is_default")]
    pub criterion: f64,
}

impl LossConfig {
    /// Checks that `stage` computes every loss with a weight.
    ///
    /// # Errors
    /// The first weight that cannot be used, in words.
    pub fn validate(&self, stage: Stage, has_evidence: bool, has_dssl: bool) -> Result<(), String> {
        if self.evidence != 0.0 && !(has_evidence && stage == Stage::Joint) {
            return Err("loss.evidence needs model.evidence, and stage = \"joint\"".to_owned());
        }
        if self.criterion != 0.0 && stage == Stage::Vision {
            return Err(
                "loss.criterion needs a language model that learns, not stage = \"vision\""
                    .to_owned(),
            );
        }
        let others = [
            self.bce,
            self.dice,
            self.patch,
            self.token,
            self.cell,
            self.kind,
            self.evidence,
        ];
        let has_others = others.iter().any(|weight| *weight != 0.0) || has_dssl;
        if stage == Stage::Language && has_others {
            return Err(
                "stage = \"language\" has no loss but loss.text and loss.criterion".to_owned(),
            );
        }
        Ok(())
    }
}
