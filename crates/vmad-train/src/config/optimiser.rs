//! `[optimiser]`: AdamW, Muon and the learning rates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vmad_model::{Vmad, VmadConfig};
use vmad_package::name_matches;

/// AdamW with linear warm-up and cosine decay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimiserConfig {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Learning rate at the end, as a share of the peak.
    pub final_share: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Decay of the second moment; the first moment's is 0.9.
    #[serde(default = "beta_2")]
    pub beta_2: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Largest norm of a parameter's gradient.
    pub clip_norm: f32,
    /// Matrices that Muon trains in place of AdamW.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muon: Option<MuonConfig>,
    /// Learning rates of some parameters, as multiples of the run's, by patterns of their names.
    /// Pre-trained parameters need a lower rate than new ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rate_factors: BTreeMap<String, f64>,
}

/// Muon (Jordan 2024), with the step length of Liu et al. 2025: each update is made orthogonal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MuonConfig {
    /// Patterns of the matrices' names: those of hidden layers, neither embeddings nor heads.
    pub matrices: Vec<String>,
    /// Its learning rate, as a multiple of AdamW's.
    pub rate: f64,
}

impl OptimiserConfig {
    /// Checks the values, and that no parameter of `model` gets two learning rates.
    ///
    /// # Errors
    /// The first value that cannot be used, in words.
    pub fn validate(&self, model: &VmadConfig) -> Result<(), String> {
        let is_positive = |rate: f64| rate.is_finite() && rate > 0.0;
        let muon = self.muon.as_ref();
        if let Some(muon) = muon.filter(|muon| !is_positive(muon.rate)) {
            let rate = muon.rate;
            return Err(format!(
                "optimiser.muon.rate is {rate}; more than 0 is needed"
            ));
        }
        if let Some((name, rate)) = self.rate_factors.iter().find(|(_, r)| !is_positive(**r)) {
            return Err(format!(
                "optimiser.rate_factors.{name:?} is {rate}; more than 0 is needed"
            ));
        }
        let mut groups: Vec<Vec<&String>> = self.rate_factors.keys().map(|p| vec![p]).collect();
        groups.extend(muon.map(|muon| muon.matrices.iter().collect()));
        let shapes = Vmad::shapes(model).map_err(|error| error.to_string())?;
        for (name, shape) in shapes {
            let is_named = |group: &[&String]| group.iter().any(|p| name_matches(p, &name));
            let is_muons = muon.is_some() && groups.last().is_some_and(|group| is_named(group));
            if is_muons && shape.len() != 2 {
                return Err(format!(
                    "optimiser.muon.matrices name {name}, which is no matrix"
                ));
            }
            if groups.iter().filter(|group| is_named(group)).count() > 1 {
                return Err(format!(
                    "optimiser.rate_factors and optimiser.muon give {name} two learning rates"
                ));
            }
        }
        Ok(())
    }

    /// Learning rate of `step` in a run of `steps`: linear warm-up, then cosine.
    #[must_use]
    pub fn learning_rate(&self, step: u64, steps: u64) -> f64 {
        if step < self.warmup_steps {
            return self.learning_rate * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let span = steps.saturating_sub(self.warmup_steps).max(1);
        let done = ((step - self.warmup_steps) as f64 / span as f64).min(1.0);
        let cosine = (1.0 + (std::f64::consts::PI * done).cos()) / 2.0;
        self.learning_rate * (self.final_share + (1.0 - self.final_share) * cosine)
    }
}

fn beta_2() -> f32 {
    0.95
}
