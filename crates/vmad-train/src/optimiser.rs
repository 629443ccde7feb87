//! The optimiser of a run: AdamW, Muon for some matrices, learning rates by groups.

use burn::grad_clipping::GradientClippingConfig;
use burn::lr_scheduler::LrSchedulerConfig;
use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrSchedulerConfig};
use burn::module::{ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamWConfig, AdjustLrFn, ModuleOptimizer, MuonConfig};

use crate::TrainError;
use crate::config::OptimiserConfig;
use crate::freeze::Freeze;

/// Groups of parameters with a learning rate of their own, as a multiple of the run's.
pub struct RateGroups(Vec<(ParamGroup, f64)>);

/// The optimiser and its groups; `names` is what the model's constructor listed.
///
/// # Errors
/// A pattern that no name matches.
pub fn optimiser(
    config: &OptimiserConfig,
    names: &[(String, ParamId)],
) -> Result<(ModuleOptimizer, RateGroups), TrainError> {
    let clipping = GradientClippingConfig::Norm(config.clip_norm);
    let mut optimiser = AdamWConfig::new()
        .with_beta_2(config.beta_2)
        .with_epsilon(1e-8)
        .with_weight_decay(config.weight_decay)
        .with_grad_clipping(Some(clipping.clone()))
        .init();
    let group = |patterns: &[String]| {
        let patterns = patterns.to_vec();
        Ok::<_, TrainError>(ParamGroup::from_ids(Freeze { patterns }.ids(names)?))
    };
    let mut groups = Vec::new();
    for (pattern, factor) in &config.rate_factors {
        groups.push((group(std::slice::from_ref(pattern))?, *factor));
    }
    if let Some(muon) = &config.muon {
        let group = group(&muon.matrices)?;
        groups.push((group.clone(), muon.rate));
        let muon = MuonConfig::new()
            .with_weight_decay(Some(WeightDecayConfig::new(config.weight_decay)))
            .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
            .build();
        optimiser = optimiser.with_group(group, muon, Some(clipping.init()));
    }
    Ok((optimiser, RateGroups(groups)))
}

impl RateGroups {
    /// The learning rate of each group where the run's is `learning_rate`.
    ///
    /// # Errors
    /// A rate that burn does not accept, in words.
    pub fn rates(&self, learning_rate: f64) -> Result<ModuleLearningRate, String> {
        let constant = |factor: f64| LrSchedulerConfig::Constant(learning_rate * factor);
        let mut rates = ModuleLrSchedulerConfig::new(constant(1.0));
        for (group, factor) in &self.0 {
            rates = rates.with_group(group.clone(), constant(*factor));
        }
        Ok(rates.init()?.step())
    }
}
