//! The resampler of Qwen-VL (Bai et al. 2023): learned queries attend once to all patches of the
//! last tap, with sines and cosines of the two coordinates added to queries and keys. Names are
//! those of its checkpoints, `attn_pool.*`, `ln_post` and `proj`.
//!
//! Qwen-VL keeps a table for the queries' grid and interpolates it for the patches'. Here both come
//! from the formula, the patches' at their centres in units of the queries' cells.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use vmad_kernels::{Mask, attention};

use super::region::packed_projection;
use crate::ModelError;
use crate::config::ResamplerConfig;
use crate::nn::{LayerNorm, Linear, merge_heads, split_heads};
use crate::weights::{Builder, Init};

const EPS: f64 = 1e-6;
/// Longest wave of the positions, in units of 2π cells.
const LONGEST_WAVE: f64 = 10_000.0;

/// The projector.
#[derive(Module, Debug)]
pub struct Resampler {
    query: Param<Tensor<2>>,
    kv_proj: Linear,
    ln_q: LayerNorm,
    ln_kv: LayerNorm,
    in_proj_weight: Param<Tensor<2>>,
    in_proj_bias: Param<Tensor<1>>,
    out: Linear,
    ln_post: LayerNorm,
    proj: Linear,
    n_heads: usize,
    grid: usize,
    side: usize,
}

impl Resampler {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &ResamplerConfig) -> Result<Self, ModelError> {
        let d = c.d_text;
        let mut attn = b.at("attn");
        let in_proj_weight = attn.dense("in_proj_weight", [3 * d, d], Init::Xavier)?;
        let in_proj_bias = attn.dense("in_proj_bias", [3 * d], Init::Zeros)?;
        let out = Linear::new(&mut attn.at("out_proj"), d, d, Init::Xavier)?;
        Ok(Self {
            query: b.dense("query", [c.side * c.side, d], Init::Normal(0.02))?,
            kv_proj: Linear::without_bias(&mut b.at("kv_proj"), c.d_vision, d, Init::Xavier)?,
            ln_q: LayerNorm::new(&mut b.at("ln_q"), d, EPS)?,
            ln_kv: LayerNorm::new(&mut b.at("ln_kv"), d, EPS)?,
            in_proj_weight,
            in_proj_bias,
            out,
            ln_post: LayerNorm::new(&mut b.at("ln_post"), d, EPS)?,
            proj: Linear::without_bias(&mut b.at("proj"), d, d, Init::Xavier)?,
            n_heads: c.n_heads,
            grid: c.grid,
            side: c.side,
        })
    }

    /// # Shapes
    /// - features: `[batch, grid², d_vision]`
    /// - output: `[batch, side², d_text]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        let [batch, n_cells, _] = features.dims();
        let device = features.device();
        let values = self.ln_kv.forward(self.kv_proj.forward(features));
        let [_, _, d] = values.dims();
        let keys = values.clone() + self.positions(self.grid, d, &device).unsqueeze();
        let queries = self.ln_q.forward(self.query.val()) + self.positions(self.side, d, &device);
        let queries = queries.unsqueeze::<3>().repeat_dim(0, batch);
        let heads = |x: Tensor<3>, n: usize, which: usize| {
            let x = x.reshape([batch * n, d]);
            let x = packed_projection(&self.in_proj_weight, &self.in_proj_bias, x, which);
            split_heads(x.reshape([batch, n, d]), self.n_heads)
        };
        let attended = attention(
            heads(queries, self.side * self.side, 0),
            heads(keys, n_cells, 1),
            heads(values, n_cells, 2),
            Mask::None,
        );
        let attended = self.out.forward(merge_heads(attended));
        self.proj.forward(self.ln_post.forward(attended))
    }

    /// Positions of `n` × `n` cells that cover the picture as the queries' cells do: a quarter of
    /// the width each for sin x, cos x, sin y, cos y, as MAE lays them out.
    ///
    /// # Shapes
    /// - output: `[n², d]`, row-major
    fn positions(&self, n: usize, d: usize, device: &Device) -> Tensor<2> {
        let n_waves = d / 4;
        let waves = |i: usize| {
            let at = (i as f64 + 0.5) * self.side as f64 / n as f64 - 0.5;
            let angles = (0..n_waves).map(|k| at / LONGEST_WAVE.powf(k as f64 / n_waves as f64));
            let angles: Vec<f64> = angles.collect();
            let sines = angles.iter().map(|angle| angle.sin() as f32);
            let cosines = angles.iter().map(|angle| angle.cos() as f32);
            sines.chain(cosines).collect::<Vec<f32>>()
        };
        let axis: Vec<Vec<f32>> = (0..n).map(waves).collect();
        let cells = axis
            .iter()
            .flat_map(|y| axis.iter().flat_map(move |x| x.iter().chain(y).copied()));
        let table = TensorData::new(cells.collect(), [n * n, d]);
        Tensor::from_data(table, device)
    }
}
