//! `[tasks]`: the mix of conversations.

use serde::{Deserialize, Serialize};

use super::serde_defaults::{is_default, is_mixture, is_share};

/// The shares of the paper's three tasks (§5), and how conversations vary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tasks {
    /// Task 1, a mask and no text.
    pub segment: f32,
    /// Task 2, a mask and an answer.
    pub answer: f32,
    /// Task 3, a question of its own and no mask.
    pub question: f32,
    /// Share of conversations of tasks 1 and 2 with a second turn.
    pub second_turn: f32,
    /// Share of conversations that describe the normal scene.
    pub normal_description: f32,
    /// Share of conversations whose description of the normal scene allows or forbids a kind of
    /// defect.
    pub criteria: f32,
    /// Share of conversations in which the object has another name, so that the model learns to
    /// repeat the name from the question.
    pub renamed: f32,
    /// Share of these names that are words of no language. The model can recall a known name; a new
    /// one it has to copy token by token, as a user's.
    #[serde(skip_serializing_if = "is_default")]
    pub invented: f32,
    /// Share of second turns that ask for the place, beside those of the even choice.
    #[serde(skip_serializing_if = "is_default")]
    pub places: f32,
    /// Share of conversations with a mask whose text follows the visual tokens of another photograph,
    /// so that the text learns to follow the mask and the verdict. Only with `model.evidence`.
    #[serde(skip_serializing_if = "is_default")]
    pub swapped: f32,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            segment: 2.0,
            answer: 2.0,
            question: 1.0,
            second_turn: 0.5,
            normal_description: 0.3,
            ..Self::segment_only()
        }
    }
}

impl Tasks {
    /// Task 1 alone, without variation: for validation.
    #[must_use]
    pub fn segment_only() -> Self {
        Self {
            segment: 1.0,
            answer: 0.0,
            question: 0.0,
            second_turn: 0.0,
            normal_description: 0.0,
            criteria: 0.0,
            renamed: 0.0,
            invented: 0.0,
            places: 0.0,
            swapped: 0.0,
        }
    }

    /// # Errors
    /// The first share that cannot be used, in words.
    pub fn validate(&self) -> Result<(), String> {
        if !is_mixture([self.segment, self.answer, self.question].into_iter()) {
            return Err("tasks needs shares of at least 0 whose sum is positive".to_owned());
        }
        for (name, share) in [
            ("second_turn", self.second_turn),
            ("normal_description", self.normal_description),
            ("criteria", self.criteria),
            ("renamed", self.renamed),
            ("invented", self.invented),
            ("places", self.places),
            ("swapped", self.swapped),
        ] {
            if !is_share(share) {
                return Err(format!(
                    "tasks.{name} must be a share from 0 to 1, not {share}"
                ));
            }
        }
        Ok(())
    }
}
