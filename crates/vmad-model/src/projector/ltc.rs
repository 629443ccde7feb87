//! Locality-enhanced token compression, equations (19)–(23).

use burn::module::Module;
use burn::tensor::Tensor;
use vmad_kernels::Activation;

use super::downsampler::Downsampler;
use super::learner::Learner;
use super::region::{LevelNames, RegionAttention, RegionLevel, RegionQuery};
use crate::ModelError;
use crate::config::LtcConfig;
use crate::nn::Mlp;
use crate::weights::{Builder, Init};

const LEVEL: LevelNames = LevelNames {
    key: "k_proj",
    value: "v_proj",
    key_norm: "ln_k",
    value_norm: "ln_v",
};

/// The projector; a configuration can leave parts out.
#[derive(Module, Debug)]
pub struct Ltc {
    learner: Option<Learner>,
    down: Downsampler,
    inject: Option<Injection>,
    out: Mlp,
}

/// Region attention from the coarse cells to each injected level, equation (21).
#[derive(Module, Debug)]
pub struct Injection {
    query: RegionQuery,
    attention: RegionAttention,
    levels: Vec<RegionLevel>,
    /// Which level each of `levels` reads.
    #[module(skip)]
    places: Vec<usize>,
}

impl Injection {
    /// A level is named by its place, so that a subset keeps the names of the whole.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &LtcConfig) -> Result<Self, ModelError> {
        let d = c.d_vision;
        let query = RegionQuery::new(b, ("q_proj", "ln_q"), d)?;
        let attention =
            RegionAttention::new(&mut b.at("attn"), d, c.inject_heads, c.stride, Init::Zeros)?;
        let mut list = b.at("levels");
        let places = c.injected();
        let levels = places
            .iter()
            .map(|l| RegionLevel::new(&mut list.at(l), &LEVEL, d, d))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            query,
            attention,
            levels,
            places,
        })
    }

    /// # Shapes
    /// - z0: `[batch, n_visual, d]`
    /// - levels: each `[batch, grid², d]`
    /// - output: O_l of each injected level, `[batch, n_visual, d]`
    pub fn forward(&self, z0: Tensor<3>, levels: &[Tensor<3>]) -> Vec<Tensor<3>> {
        let queries = self.query.forward(z0);
        self.levels
            .iter()
            .zip(&self.places)
            .map(|(level, place)| {
                let (keys, values) = level.forward(levels[*place].clone());
                self.attention.forward(queries.clone(), keys, values)
            })
            .collect()
    }
}

/// Output of [`Ltc::forward`] with its intermediate values.
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
        let learner = match c.n_learner_blocks {
            0 => None,
            _ => Some(Learner::new(&mut b.at("learner"), c)?),
        };
        let down = Downsampler::new(&mut b.at("down"), c)?;
        let inject = match c.injected().as_slice() {
            [] => None,
            _ => Some(Injection::new(&mut b.at("inject"), c)?),
        };
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
    /// - levels: F_1 … F_L, each `[batch, grid², d_vision]`; the last feeds the learner, or the
    ///   downsampler where there is none
    pub fn forward(&self, levels: &[Tensor<3>]) -> LtcOutput {
        let last = levels[levels.len() - 1].clone();
        let context = match &self.learner {
            Some(learner) => learner.forward(last),
            None => last,
        };
        let z0 = self.down.forward(context);
        let injected = match &self.inject {
            Some(inject) => inject.forward(z0.clone(), levels),
            None => Vec::new(),
        };
        let z = injected
            .into_iter()
            .fold(z0.clone(), |z, output| z + output);
        let tokens = self.out.forward(z.clone(), Activation::Gelu);
        LtcOutput { z0, z, tokens }
    }
}
