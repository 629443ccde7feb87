//! Coarse-to-fine region attention, equation (21): each coarse query attends to the s² fine cells
//! that it covers. Reference: TokenPacker, with torch's `MultiheadAttention` inside.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use vmad_kernels::{Activation, matmul, region_attention};

use crate::ModelError;
use crate::nn::{LayerNorm, Linear, Mlp};
use crate::weights::{Builder, Init};

/// Norms of queries, keys and values.
const EPS: f64 = 1e-6;

/// Keys and values of one level: LN(φᵏ(F)) and LN(φᵛ(F)).
#[derive(Module, Debug)]
pub struct RegionLevel {
    key: Mlp,
    key_norm: LayerNorm,
    value: Mlp,
    value_norm: LayerNorm,
}

/// The names of a level's four parts, which differ between TokenPacker and LTC.
pub(super) struct LevelNames {
    pub key: &'static str,
    pub value: &'static str,
    pub key_norm: &'static str,
    pub value_norm: &'static str,
}

impl RegionLevel {
    pub(super) fn new(
        b: &mut Builder,
        names: &LevelNames,
        d_in: usize,
        d: usize,
    ) -> Result<Self, ModelError> {
        let widths = [d_in, d, d];
        Ok(Self {
            key: Mlp::new(&mut b.at(names.key), ("0", "2"), widths, Init::Torch)?,
            key_norm: LayerNorm::new(&mut b.at(names.key_norm), d, EPS)?,
            value: Mlp::new(&mut b.at(names.value), ("0", "2"), widths, Init::Torch)?,
            value_norm: LayerNorm::new(&mut b.at(names.value_norm), d, EPS)?,
        })
    }

    /// # Shapes
    /// - features: `[batch, grid², d_in]`
    /// - output: keys and values, each `[batch, grid², d]`
    pub fn forward(&self, features: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let keys = self
            .key_norm
            .forward(self.key.forward(features.clone(), Activation::Gelu));
        let values = self
            .value_norm
            .forward(self.value.forward(features, Activation::Gelu));
        (keys, values)
    }
}

/// The attention itself, with torch's packed input projection.
#[derive(Module, Debug)]
pub struct RegionAttention {
    in_proj_weight: Param<Tensor<2>>,
    in_proj_bias: Param<Tensor<1>>,
    out: Linear,
    n_heads: usize,
    stride: usize,
}

impl RegionAttention {
    /// `out_init` is zero for LTC, so that training starts from Z₀ (§4.4).
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(
        b: &mut Builder,
        d: usize,
        n_heads: usize,
        stride: usize,
        out_init: Init,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            in_proj_weight: b.dense("in_proj_weight", [3 * d, d], Init::Xavier)?,
            in_proj_bias: b.dense("in_proj_bias", [3 * d], Init::Zeros)?,
            out: Linear::new(&mut b.at("out_proj"), d, d, out_init)?,
            n_heads,
            stride,
        })
    }

    /// # Shapes
    /// - queries: `[batch, (grid / stride)², d]`, normalised
    /// - keys, values: `[batch, grid², d]`, normalised
    /// - output: `[batch, (grid / stride)², d]`, O_l
    pub fn forward(&self, queries: Tensor<3>, keys: Tensor<3>, values: Tensor<3>) -> Tensor<3> {
        let project = |x: Tensor<3>, which| {
            let [batch, n, d] = x.dims();
            let (weight, bias) = (&self.in_proj_weight, &self.in_proj_bias);
            packed_projection(weight, bias, x.reshape([batch * n, d]), which).reshape([batch, n, d])
        };
        let qkv = [project(queries, 0), project(keys, 1), project(values, 2)];
        self.out
            .forward(region_attention(qkv, self.n_heads, self.stride))
    }
}

/// Query (0), key (1) or value (2) projection of `[m, d]` by torch's packed `in_proj`.
pub(super) fn packed_projection(
    weight: &Param<Tensor<2>>,
    bias: &Param<Tensor<1>>,
    x: Tensor<2>,
    which: usize,
) -> Tensor<2> {
    let [_, d] = x.dims();
    let weight = weight.val().narrow(0, which * d, d);
    let bias = bias.val().narrow(0, which * d, d);
    matmul(x, weight.transpose()) + bias.unsqueeze()
}

/// The query norm LN(W_q ·).
#[derive(Module, Debug)]
pub(super) struct RegionQuery {
    proj: Linear,
    norm: LayerNorm,
}

impl RegionQuery {
    pub fn new(b: &mut Builder, names: (&str, &str), d: usize) -> Result<Self, ModelError> {
        Ok(Self {
            proj: Linear::without_bias(&mut b.at(names.0), d, d, Init::Xavier)?,
            norm: LayerNorm::new(&mut b.at(names.1), d, EPS)?,
        })
    }

    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.norm.forward(self.proj.forward(x))
    }
}
