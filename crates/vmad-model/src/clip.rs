//! CLIP's image encoder (Radford et al. 2021); reference: transformers' `CLIPVisionModel`.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use vmad_kernels::{Activation, Mask, attention};

use crate::ModelError;
use crate::config::ClipConfig;
use crate::nn::{FusedLinear, LayerNorm, Linear, Mlp, cut_patches, merge_heads, split_heads};
use crate::stem::{PatchEmbed, PatchShape};
use crate::weights::{Builder, Init};

/// One pre-norm transformer block.
#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    qkv: FusedLinear,
    out: Linear,
    norm2: LayerNorm,
    mlp: Mlp,
    n_heads: usize,
}

impl Block {
    fn new(b: &mut Builder, c: &ClipConfig) -> Result<Self, ModelError> {
        let d = c.d_model;
        let mut attention = b.at("self_attn");
        let q = Linear::new(&mut attention.at("q_proj"), d, d, Init::Xavier)?;
        let k = Linear::new(&mut attention.at("k_proj"), d, d, Init::Xavier)?;
        let v = Linear::new(&mut attention.at("v_proj"), d, d, Init::Xavier)?;
        let out = Linear::new(&mut attention.at("out_proj"), d, d, Init::Xavier)?;
        Ok(Self {
            norm1: LayerNorm::new(&mut b.at("layer_norm1"), d, c.layer_norm_eps)?,
            norm2: LayerNorm::new(&mut b.at("layer_norm2"), d, c.layer_norm_eps)?,
            mlp: Mlp::new(
                &mut b.at("mlp"),
                ("fc1", "fc2"),
                [d, c.d_ff, d],
                Init::Xavier,
            )?,
            n_heads: c.n_heads,
            qkv: FusedLinear::new(vec![q, k, v]),
            out,
        })
    }

    /// Keeps the shape `[batch, n, d_model]`.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let h = self.norm1.forward(x.clone());
        let Ok(qkv) = <[_; 3]>::try_from(self.qkv.forward(h)) else {
            unreachable!("three layers");
        };
        let [q, k, v] = qkv.map(|x| split_heads(x, self.n_heads));
        let attended = attention(q, k, v, Mask::None);
        let x = self.out.forward_added(merge_heads(attended), x);
        let h = self.norm2.forward(x.clone());
        self.mlp.forward_added(h, Activation::QuickGelu, x)
    }
}

/// The encoder.
#[derive(Module, Debug)]
pub struct ClipEncoder {
    class_embedding: Param<Tensor<1>>,
    patches: PatchEmbed,
    similarity_embedding: Option<Linear>,
    position_embedding: Param<Tensor<2>>,
    pre_norm: LayerNorm,
    blocks: Vec<Block>,
    /// Indices of the hidden states that are taps.
    #[module(skip)]
    taps: Vec<usize>,
}

/// Output of [`ClipEncoder::forward`].
#[derive(Clone, Debug)]
pub struct ClipOutput {
    /// Index 0 is after the first norm, `i` after block `i`; each `[batch, 1 + grid², d_model]`,
    /// class token first.
    pub hidden_states: Vec<Tensor<3>>,
    /// Those of [`ClipConfig::taps`] without their class token (§3), each `[batch, grid², d_model]`.
    pub taps: Vec<Tensor<3>>,
}

impl ClipEncoder {
    /// Builds only the blocks up to the last tap: later ones never run (§3).
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &ClipConfig) -> Result<Self, ModelError> {
        let n_positions = c.grid().pow(2) + 1;
        let mut embeddings = b.at("embeddings");
        let class_embedding =
            embeddings.dense("class_embedding", [c.d_model], Init::Normal(0.02))?;
        let d = c.d_model;
        let shape = PatchShape {
            stem: c.stem,
            patch_size: c.patch_size,
            d_model: d,
            eps: c.layer_norm_eps,
            bias: false,
        };
        let patches = PatchEmbed::new(&mut embeddings, "patch_embedding", shape)?;
        let similarity_embedding = if c.similarity_prompt {
            let mut similarity = embeddings.at("similarity_embedding");
            let (channels, cells) = (ClipConfig::PRIOR_CHANNELS, ClipConfig::PRIOR_CELLS);
            Some(Linear::patches(&mut similarity, channels, cells, d, false)?)
        } else {
            None
        };
        let position_embedding = embeddings.at("position_embedding").dense(
            "weight",
            [n_positions, c.d_model],
            Init::Normal(0.02),
        )?;
        let pre_norm = LayerNorm::new(&mut b.at("pre_layrnorm"), c.d_model, c.layer_norm_eps)?;
        let n_blocks = c.taps.iter().copied().max().unwrap_or(0);
        let mut layers = b.at("encoder");
        let mut layers = layers.at("layers");
        let blocks = (0..n_blocks)
            .map(|i| Block::new(&mut layers.at(i), c))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            class_embedding,
            patches,
            similarity_embedding,
            position_embedding,
            pre_norm,
            blocks,
            taps: c.taps.clone(),
        })
    }

    /// The encoder with the statistics of `pixels` in the batch norms of its stem, if it has any.
    ///
    /// # Shapes
    /// - pixels: `[batch, 3, image_size, image_size]`
    #[must_use]
    pub fn with_batch_statistics(mut self, pixels: Tensor<4>) -> Self {
        self.patches = self.patches.with_batch_statistics(pixels);
        self
    }

    /// Runs the blocks up to the last tap.
    ///
    /// # Shapes
    /// - pixels: `[batch, 3, image_size, image_size]`, normalised
    /// - prior: `[batch, PRIOR_CHANNELS, prior_side, prior_side]` ([`ClipConfig`]), if the model
    ///   takes one
    pub fn forward(&self, pixels: Tensor<4>, prior: Option<Tensor<4>>) -> ClipOutput {
        let patches = self.patches.forward(pixels);
        let patches = match (&self.similarity_embedding, prior) {
            (Some(embedding), Some(prior)) => {
                patches + embedding.forward(cut_patches(prior, ClipConfig::PRIOR_CELLS))
            }
            _ => patches,
        };
        let [batch, _, d_model] = patches.dims();
        let class = self
            .class_embedding
            .val()
            .reshape([1, 1, d_model])
            .repeat_dim(0, batch);
        let x = Tensor::cat(vec![class, patches], 1) + self.position_embedding.val().unsqueeze();
        let mut states = vec![self.pre_norm.forward(x)];
        for block in &self.blocks {
            let next = block.forward(states[states.len() - 1].clone());
            states.push(next);
        }
        let tap = |i: &usize| {
            let [_, n, _] = states[*i].dims();
            states[*i].clone().narrow(1, 1, n - 1)
        };
        ClipOutput {
            taps: self.taps.iter().map(tap).collect(),
            hidden_states: states,
        }
    }
}
