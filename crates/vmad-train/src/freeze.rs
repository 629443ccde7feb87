//! Parts that do not learn.

use burn::module::{Module, ParamGroup, ParamId};
use serde::{Deserialize, Serialize};
use vmad_package::name_matches;

use crate::TrainError;

/// Parameters that keep their values, by patterns of their package names in which `*` stands for
/// any run of characters.
///
/// What is frozen asks for no gradient, so layers below which everything is frozen take no part in
/// the backward pass, and the optimiser, weight decay included, does not see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Freeze {
    /// The patterns.
    pub patterns: Vec<String>,
}

impl Freeze {
    /// Ids of the parameters that are frozen; `names` is what the module's constructor listed.
    ///
    /// # Errors
    /// [`TrainError::Unfrozen`] for a pattern that no name matches: most likely it is misspelt.
    pub fn ids(&self, names: &[(String, ParamId)]) -> Result<Vec<ParamId>, TrainError> {
        let matched = |pattern: &str| {
            let ids = names.iter().filter(|(name, _)| name_matches(pattern, name));
            ids.map(|(_, id)| *id).collect::<Vec<_>>()
        };
        let mut frozen = Vec::new();
        for pattern in &self.patterns {
            let ids = matched(pattern);
            if ids.is_empty() {
                return Err(TrainError::Unfrozen {
                    pattern: pattern.clone(),
                });
            }
            frozen.extend(ids);
        }
        Ok(frozen)
    }

    /// The module with these parameters frozen; others stay as they were. Cloning, forking and
    /// loading a record keep it so.
    ///
    /// # Errors
    /// As [`Self::ids`].
    pub fn apply<M: Module>(
        &self,
        module: M,
        names: &[(String, ParamId)],
    ) -> Result<M, TrainError> {
        let frozen = ParamGroup::from_ids(self.ids(names)?);
        Ok(module.set_require_grad_group(frozen, false))
    }
}
