//! LoRA (Hu et al. 2022) on the language model's query and value projections (§6).
//!
//! The factors stay outside the model, as an [`Adapter`] that a training step passes along: the
//! model, its package and the code that runs in a browser know nothing of them. Burn's own
//! `apply_lora` puts B·A into the weight instead; then dropout has no input to act on, and each
//! step computes a gradient of the size of the frozen weight.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use vmad_model::config::LlamaConfig;
use vmad_model::llama::{Adapter, Projection};
use vmad_model::{Builder, Init, ModelError};

use crate::TrainError;

/// Settings of LoRA; the defaults are LISA's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// Rank of the factors, r.
    pub rank: usize,
    /// α; B·A is scaled by α / r.
    pub alpha: f64,
    /// Share of the factors' inputs that is dropped in training.
    pub dropout: f64,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            dropout: 0.05,
        }
    }
}

impl LoraConfig {
    /// The first setting that cannot be used, in words.
    ///
    /// # Errors
    /// What is wrong and what would do.
    pub fn validate(&self) -> Result<(), String> {
        if self.rank == 0 || self.rank > 4096 {
            return Err(format!("lora.rank is {}; 1 to 4096 is needed", self.rank));
        }
        if !self.alpha.is_finite() {
            return Err(format!("lora.alpha is {}; a number is needed", self.alpha));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let dropout = self.dropout;
            return Err(format!("lora.dropout is {dropout}; 0 to below 1 is needed"));
        }
        Ok(())
    }
}

/// The factors of one projection.
#[derive(Module, Debug)]
struct Pair {
    a: Param<Tensor<2>>,
    b: Param<Tensor<2>>,
}

impl Pair {
    /// A is drawn as `kaiming_uniform_(a=√5)`, ±√(1 / d_in); B is zero, so that training starts from
    /// the base.
    fn new(b: &mut Builder, d_in: usize, d_out: usize, rank: usize) -> Result<Self, ModelError> {
        Ok(Self {
            a: b.at("lora_A").dense("weight", [rank, d_in], Init::Torch)?,
            b: b.at("lora_B").dense("weight", [d_out, rank], Init::Zeros)?,
        })
    }

    /// B·A·x.
    ///
    /// # Shapes
    /// - x: `[batch, n, d_in]`
    /// - output: `[batch, n, d_out]`
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, n, d_in] = x.dims();
        let (a, b) = (self.a.val(), self.b.val());
        let [d_out, _] = b.dims();
        let y = x.reshape([batch * n, d_in]).matmul(a.transpose());
        y.matmul(b.transpose()).reshape([batch, n, d_out])
    }
}

/// The factors of all blocks.
#[derive(Module, Debug)]
pub struct Lora {
    query: Vec<Pair>,
    value: Vec<Pair>,
    scale: f64,
    dropout: f64,
}

/// The base weight of a projection in a package.
fn base_name(layer: usize, projection: Projection) -> String {
    let part = match projection {
        Projection::Query => "q_proj",
        Projection::Value => "v_proj",
    };
    format!("llm.layers.{layer}.self_attn.{part}")
}

impl Lora {
    /// Builds the factors from the root of the names: each is named after its base weight, as
    /// `llm.layers.0.self_attn.q_proj.lora_A.weight`, PEFT's names under a package's prefix.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(
        b: &mut Builder,
        llm: &LlamaConfig,
        config: &LoraConfig,
    ) -> Result<Self, ModelError> {
        let d_value = llm.n_kv_heads * llm.d_head();
        let mut pairs = |projection, d_out| {
            let pair = |layer| {
                let mut b = b.at(base_name(layer, projection));
                Pair::new(&mut b, llm.d_model, d_out, config.rank)
            };
            (0..llm.n_layers).map(pair).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            query: pairs(Projection::Query, llm.d_model)?,
            value: pairs(Projection::Value, d_value)?,
            scale: config.alpha / config.rank as f64,
            dropout: config.dropout,
        })
    }

    /// The adapter of a training step, with dropout drawn from `seed`: the same seed drops the same
    /// inputs, on whatever device and in whatever thread.
    #[must_use]
    pub fn with_dropout(&self, seed: u64) -> DroppingLora<'_> {
        DroppingLora { lora: self, seed }
    }

    fn pair(&self, layer: usize, projection: Projection) -> Option<&Pair> {
        match projection {
            Projection::Query => self.query.get(layer),
            Projection::Value => self.value.get(layer),
        }
    }

    /// Folds the factors into their base weights, W += (α / r)·B·A. `names` is what the model's
    /// constructor listed.
    ///
    /// # Errors
    /// [`TrainError::Unmergeable`] for a base weight that is quantised or not in the model.
    pub fn merge<M: Module>(&self, model: M, names: &[(String, ParamId)]) -> Result<M, TrainError> {
        let mut merge = Merge {
            deltas: HashMap::new(),
        };
        for projection in [Projection::Query, Projection::Value] {
            for layer in 0..self.query.len() {
                let name = format!("{}.weight", base_name(layer, projection));
                let id = names.iter().find(|(known, _)| *known == name);
                let (Some((_, id)), Some(pair)) = (id, self.pair(layer, projection)) else {
                    return Err(TrainError::Unmergeable { name });
                };
                let delta = pair.b.val().matmul(pair.a.val()) * self.scale;
                merge.deltas.insert(*id, (name, delta.detach()));
            }
        }
        let model = model.map(&mut merge);
        match merge.deltas.into_values().next() {
            Some((name, _)) => Err(TrainError::Unmergeable { name }),
            None => Ok(model),
        }
    }
}

/// Without dropout, as the merged model will be.
impl Adapter for Lora {
    fn delta(&self, layer: usize, projection: Projection, x: &Tensor<3>) -> Option<Tensor<3>> {
        let pair = self.pair(layer, projection)?;
        Some(pair.forward(x.clone()) * self.scale)
    }
}

/// LoRA in a training step.
#[derive(Clone, Copy, Debug)]
pub struct DroppingLora<'a> {
    lora: &'a Lora,
    seed: u64,
}

impl Adapter for DroppingLora<'_> {
    fn delta(&self, layer: usize, projection: Projection, x: &Tensor<3>) -> Option<Tensor<3>> {
        if self.lora.dropout == 0.0 {
            return self.lora.delta(layer, projection, x);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(2 * layer as u64 + u64::from(projection == Projection::Value));
        let kept = kept(&mut rng, x.dims(), self.lora.dropout);
        let kept = Tensor::from_data(kept, &x.device());
        self.lora.delta(layer, projection, &(x.clone() * kept))
    }
}

/// 0 where an input is dropped and 1 / (1 − share) elsewhere. Drawn on the host, for a device's
/// generator is one for all threads; 16 bits each, so the share is a multiple of 2⁻¹⁶.
fn kept(rng: &mut ChaCha8Rng, shape: [usize; 3], share: f64) -> TensorData {
    let n: usize = shape.iter().product();
    let limit = (share * 65536.0).round() as u32;
    let factor = 65536.0 / f64::from(65536 - limit.min(65535)) as f32;
    let mut bits = vec![0; 2 * n];
    rng.fill_bytes(&mut bits);
    let (draws, _) = bits.as_chunks::<2>();
    let values = draws.iter().map(|draw| {
        if u32::from(u16::from_le_bytes(*draw)) < limit {
            0.0
        } else {
            factor
        }
    });
    TensorData::new(values.collect::<Vec<f32>>(), shape)
}

/// Adds each delta to its parameter; deltas without a parameter remain.
struct Merge {
    deltas: HashMap<ParamId, (String, Tensor<2>)>,
}

impl ModuleMapper for Merge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some((_, delta)) = self.deltas.remove(&param.id) else {
            return param;
        };
        param.map(|weight| {
            let (learns, shape) = (weight.is_require_grad(), weight.dims());
            let merged = (weight + delta.reshape(shape)).detach();
            if learns {
                merged.require_grad()
            } else {
                merged
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        let parse = |text: &str| toml::from_str::<LoraConfig>(text);
        assert_eq!(parse("").ok(), Some(LoraConfig::default()));
        assert!(parse("r = 8").is_err());
        for (text, named) in [
            ("rank = 0", "lora.rank is 0"),
            ("alpha = inf", "lora.alpha is inf"),
            ("dropout = 1.0", "lora.dropout is 1"),
            ("dropout = nan", "lora.dropout is NaN"),
        ] {
            let problem = parse(text).map(|config| config.validate());
            assert!(
                matches!(&problem, Ok(Err(message)) if message.contains(named)),
                "{text}: {problem:?}"
            );
        }
        assert_eq!(LoraConfig::default().validate(), Ok(()));
    }

    #[test]
    fn dropout_keeps_the_mean_and_follows_its_seed() {
        let draw = |seed, share| -> Vec<f32> {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            kept(&mut rng, [5, 101, 99], share).iter::<f32>().collect()
        };
        for share in [0.05, 0.5, 0.9] {
            let kept = draw(1, share);
            let n = kept.len() as f64;
            let dropped = kept.iter().filter(|k| **k == 0.0).count() as f64 / n;
            // Five deviations of a share among 49,995 draws.
            let deviation = (share * (1.0 - share) / n).sqrt();
            assert!(
                (dropped - share).abs() < 5.0 * deviation,
                "{dropped} of {share}"
            );
            let mean = kept.iter().map(|k| f64::from(*k)).sum::<f64>() / n;
            assert!(
                (mean - 1.0).abs() < 5.0 * deviation / (1.0 - share),
                "mean {mean}"
            );
        }
        assert_eq!(draw(7, 0.05), draw(7, 0.05));
        assert_ne!(draw(7, 0.05), draw(8, 0.05));
    }
}
