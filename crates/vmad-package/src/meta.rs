//! The part of a manifest that describes the model: configuration, conversation format, templates, thresholds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::conversation::{Conversation, Templates};

/// Description of the model.
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
    /// The conversation format.
    pub conversation: Conversation,
    /// The wording of the tasks that the model was trained on.
    pub templates: Templates,
    /// Default decision thresholds.
    pub threshold: Threshold,
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
