//! Locality-enhanced token compression, equations (19)–(23).

use burn::module::Module;
use burn::tensor::Tensor;

use super::downsampler::Downsampler;
use super::learner::Learner;
use super::region::{LevelNames, RegionAttention, RegionLevel, RegionQuery};
use crate::ModelError;
use crate::config::LtcConfig;
use crate::nn::{Mlp, gelu};
use crate::weights::{Builder, Init};

const LEVEL: LevelNames = LevelNames {
    key: "k_proj",
    value: "v_proj",
    key_norm: "ln_k",
    value_norm: "ln_v",
};

/// The whole projector.
#[derive(Module, Debug)]
pub struct Ltc {
    learner: Learner,
    down: Downsampler,
    inject: Injection,
    out: Mlp,
}

/// Region attention from the coarse cells to every level, equation (21).
#[derive(Module, Debug)]
pub struct Injection {
    query: RegionQuery,
    attention: RegionAttention,
    levels: Vec<RegionLevel>,
}

impl Injection {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &LtcConfig) -> Result<Self, ModelError> {
        let d = c.d_vision;
        let query = RegionQuery::new(b, ("q_proj", "ln_q"), d)?;
        let regions = (c.grid, c.stride);
        let attention =
            RegionAttention::new(&mut b.at("attn"), d, c.inject_heads, regions, Init::Zeros)?;
        let mut list = b.at("levels");
        let levels = (0..c.n_levels)
            .map(|l| RegionLevel::new(&mut list.at(l), &LEVEL, d, d))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            query,
            attention,
            levels,
        })
    }

    /// # Shapes
    /// - z0: `[batch, n_visual, d]`
    /// - levels: each `[batch, grid², d]`
    /// - output: O_l of each level, `[batch, n_visual, d]`
    pub fn forward(&self, z0: Tensor<3>, levels: &[Tensor<3>]) -> Vec<Tensor<3>> {
        let queries = self.query.forward(z0);
        self.levels
            .iter()
            .zip(levels)
            .map(|(level, features)| {
                let (keys, values) = level.forward(features.clone());
                self.attention.forward(queries.clone(), keys, values)
            })
            .collect()
    }
}

/// What LTC computes on its way.
pub struct LtcOutput {
    /// The downsampled context Z₀, `[batch, n_visual, d_vision]`.
    pub z0: Tensor<3>,
    /// With the levels injected, Z = Z₀ + Σ O_l, `[batch, n_visual, d_vision]`.
    pub z: Tensor<3>,
    /// The visual tokens, `[batch, n_visual, d_text]`.
    pub tokens: Tensor<3>,
}

impl Ltc {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &LtcConfig) -> Result<Self, ModelError> {
        let d = c.d_vision;
        let learner = Learner::new(&mut b.at("learner"), c)?;
        let down = Downsampler::new(&mut b.at("down"), c)?;
        let inject = Injection::new(&mut b.at("inject"), c)?;
        let out = Mlp::new(
            &mut b.at("out"),
            ("0", "2"),
            [d, c.d_hidden, c.d_text],
            Init::Xavier,
        )?;
        Ok(Self {
            learner,
            down,
            inject,
            out,
        })
    }

    /// # Shapes
    /// - levels: F_1 … F_L, each `[batch, grid², d_vision]`; the last feeds the learner
    pub fn forward(&self, levels: &[Tensor<3>]) -> LtcOutput {
        let last = levels[levels.len() - 1].clone();
        let z0 = self.down.forward(self.learner.forward(last));
        let injected = self.inject.forward(z0.clone(), levels);
        let z = injected
            .into_iter()
            .fold(z0.clone(), |z, output| z + output);
        let tokens = self.out.forward(z.clone(), gelu);
        LtcOutput { z0, z, tokens }
    }
}
