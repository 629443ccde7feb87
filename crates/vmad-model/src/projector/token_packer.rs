//! TokenPacker, which is LTC with `fusion = concat`: pooled queries, no residual, one set of keys
//! and values from all levels together. Names are those of its checkpoints (§13 G).

use burn::module::Module;
use burn::tensor::Tensor;
use vmad_kernels::Activation;

use super::region::{LevelNames, RegionAttention, RegionLevel, RegionQuery};
use crate::ModelError;
use crate::config::RegionConfig;
use crate::nn::Mlp;
use crate::weights::{Builder, Init};

const LEVEL: LevelNames = LevelNames {
    key: "k_proj_1",
    value: "v_proj_1",
    key_norm: "ln_k_1",
    value_norm: "ln_v_1",
};

/// The projector.
#[derive(Module, Debug)]
pub struct TokenPacker {
    query: RegionQuery,
    level: RegionLevel,
    attention: RegionAttention,
    mlp: Mlp,
    grid: usize,
    stride: usize,
}

impl TokenPacker {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &RegionConfig) -> Result<Self, ModelError> {
        let d = c.d_vision;
        Ok(Self {
            query: RegionQuery::new(b, ("q_proj_1", "ln_q_1"), d)?,
            level: RegionLevel::new(b, &LEVEL, d * c.n_levels, d)?,
            attention: RegionAttention::new(
                &mut b.at("clip_attn"),
                d,
                c.inject_heads,
                c.stride,
                Init::Xavier,
            )?,
            mlp: Mlp::new(
                &mut b.at("mlp"),
                ("0", "2"),
                [d, c.d_text, c.d_text],
                Init::Xavier,
            )?,
            grid: c.grid,
            stride: c.stride,
        })
    }

    /// # Shapes
    /// - levels: each `[batch, grid², d_vision]`
    /// - output: `[batch, (grid / stride)², d_text]`
    pub fn forward(&self, levels: &[Tensor<3>]) -> Tensor<3> {
        let last = levels[levels.len() - 1].clone();
        let queries = self.query.forward(self.shrink(last));
        let (keys, values) = self.level.forward(Tensor::cat(levels.to_vec(), 2));
        self.mlp.forward(
            self.attention.forward(queries, keys, values),
            Activation::Gelu,
        )
    }

    /// Bilinear reduction by the stride with half-pixel centres and no antialiasing: the mean of
    /// the one or two cells on each axis that surround a region's centre.
    fn shrink(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, _, d] = x.dims();
        let (side, s) = (self.grid / self.stride, self.stride);
        let (low, high) = ((s - 1) / 2, s / 2);
        let x = x.reshape([batch, side, s, side, s, d]);
        let x = (x.clone().narrow(2, low, 1) + x.narrow(2, high, 1)) / 2.0;
        let x = (x.clone().narrow(4, low, 1) + x.narrow(4, high, 1)) / 2.0;
        x.reshape([batch, side * side, d])
    }
}
