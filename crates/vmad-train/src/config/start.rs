//! `[start]`: the weights that a run starts from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The weights that a run starts from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartConfig {
    /// A package or checkpoint of the same sizes.
    pub package: PathBuf,
    /// Trains a new tokenizer in place of the package's. The embeddings then mean nothing, so
    /// `reinitialise` should name the language model's.
    #[serde(default)]
    pub new_tokenizer: bool,
    /// Patterns of tensor names that are initialised at random all the same.
    #[serde(default)]
    pub reinitialise: Vec<String>,
    /// Patterns of tensor names, each with the package that gives these tensors in place of
    /// [`Self::package`]: CLIP and SAM may each have had a run of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, PathBuf>,
}
