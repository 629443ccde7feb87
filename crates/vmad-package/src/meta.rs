//! The part of a manifest that says what the model is and how to talk to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the model is and how to talk to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PackageMeta {
    /// Short name, for instance `tiny`.
    pub name: String,
    /// One or two sentences for people.
    pub description: String,
    /// SPDX expression of the weights' licence.
    pub license: String,
    /// Where the weights come from: free keys such as `source`, `commit`, `seed`.
    pub provenance: BTreeMap<String, String>,
    /// Sizes of all parts of the model. Opaque here; the model crate parses it.
    pub config: serde_json::Value,
    /// How questions and answers are framed.
    pub conversation: Conversation,
    /// The wording of the tasks that the model was trained on.
    pub templates: Templates,
    /// Default decision thresholds.
    pub threshold: Threshold,
}

/// How questions and answers are framed as one text.
///
/// With `␣` for a space, question `q` and answer `a`:
/// `{system}{separator}{user}:␣{q}{separator}{assistant}:␣{a}{end}`; each further
/// turn continues with `{user}:␣…`. A prompt for generation stops after
/// `{assistant}:`, without a space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Text before the first turn.
    pub system: String,
    /// Name of the asking side.
    pub user: String,
    /// Name of the answering side.
    pub assistant: String,
    /// Between the system text, a question and an answer.
    pub separator: String,
    /// After an answer; the text of the end-of-sequence token.
    pub end: String,
}

impl Conversation {
    /// The frame of Vicuna v1, as LLaVA and LISA use it.
    pub fn vicuna_v1() -> Self {
        Self {
            system: "A chat between a curious human and an artificial intelligence assistant. \
                     The assistant gives helpful, detailed, and polite answers to the human's \
                     questions."
                .into(),
            user: "USER".into(),
            assistant: "ASSISTANT".into(),
            separator: " ".into(),
            end: "</s>".into(),
        }
    }
}

/// The wording of the tasks. `{object}` stands for the object's name and
/// `{query}` for one of [`Queries`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Templates {
    /// Question that asks for a mask only. Holds `{object}`.
    pub segment: String,
    /// Question that asks for a mask and an answer. Holds `{object}` and `{query}`.
    pub segment_answer: String,
    /// What `{query}` becomes.
    pub queries: Queries,
    /// Start of an answer up to the segmentation token, for scoring without sampling.
    pub answer_prefix: String,
}

impl Templates {
    /// The wording of the paper.
    pub fn paper() -> Self {
        Self {
            segment: "Are there any abnormalities present in the {object}? \
                      If so, please output the defect segmentation result."
                .into(),
            segment_answer: "Are there any abnormalities present in the {object}? If so, please \
                             output the defect segmentation result and provide {query}."
                .into(),
            queries: Queries {
                description: "description".into(),
                impact: "impact analysis".into(),
                suggestion: "suggestion analysis".into(),
            },
            answer_prefix: "It is".into(),
        }
    }
}

/// What `{query}` becomes for the three kinds of question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queries {
    /// Asks what the defect looks like.
    pub description: String,
    /// Asks what follows from it.
    pub impact: String,
    /// Asks what to do about it.
    pub suggestion: String,
}

/// Default decision thresholds, and the temperature they were found at.
///
/// All are finite numbers and the temperature is above zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// An image whose score reaches this is anomalous.
    pub image: f32,
    /// A pixel whose map value reaches this is part of the mask.
    pub pixel: f32,
    /// The map is the logistic function of `logit / temperature`.
    pub temperature: f32,
    /// How the thresholds were found, for people.
    pub source: String,
}
