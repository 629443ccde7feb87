//! SAM's ViT: windowed and global attention with decomposed relative positions.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use vmad_kernels::{Activation, Mask, attention, relative_positions};

use super::neck::Neck;
use super::windows::in_windows;
use crate::ModelError;
use crate::config::{SamConfig, SamVitConfig};
use crate::nn::{LayerNorm, Linear, Mlp, merge_heads, split_heads};
use crate::stem::{PatchEmbed, PatchShape};
use crate::weights::{Builder, Init};

/// Self-attention over a square of patches with the decomposed relative-position bias.
#[derive(Module, Debug)]
struct Attention {
    qkv: Linear,
    proj: Linear,
    rel_pos_h: Param<Tensor<2>>,
    rel_pos_w: Param<Tensor<2>>,
    n_heads: usize,
}

impl Attention {
    fn new(b: &mut Builder, c: &SamVitConfig, side: usize) -> Result<Self, ModelError> {
        let d = c.d_model;
        let shape = [2 * side - 1, d / c.n_heads];
        Ok(Self {
            qkv: Linear::new(&mut b.at("qkv"), d, 3 * d, Init::Xavier)?,
            proj: Linear::new(&mut b.at("proj"), d, d, Init::Xavier)?,
            rel_pos_h: b.dense("rel_pos_h", shape, Init::Zeros)?,
            rel_pos_w: b.dense("rel_pos_w", shape, Init::Zeros)?,
            n_heads: c.n_heads,
        })
    }

    /// Keeps the shape `[batch, side, side, d_model]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, side, _, d_model] = x.dims();
        let (n, n_heads) = (side * side, self.n_heads);
        let Ok(qkv) = <[_; 3]>::try_from(self.qkv.forward_parts(x, 3)) else {
            unreachable!("three parts");
        };
        let [q, k, v] = qkv.map(|x| split_heads(x.reshape([batch, n, d_model]), n_heads));
        let (rows, columns) = (self.rel_pos_h.val(), self.rel_pos_w.val());
        let mask = Mask::Relative(relative_positions(q.clone(), rows, columns));
        let attended = merge_heads(attention(q, k, v, mask));
        self.proj
            .forward(attended.reshape([batch, side, side, d_model]))
    }
}

/// One pre-norm block; `window` 0 is global attention.
#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
    window: usize,
}

impl Block {
    fn new(
        b: &mut Builder,
        c: &SamVitConfig,
        grid: usize,
        index: usize,
    ) -> Result<Self, ModelError> {
        let window = if c.global_blocks.contains(&index) {
            0
        } else {
            c.window
        };
        let side = if window == 0 { grid } else { window };
        let (d, eps) = (c.d_model, c.layer_norm_eps);
        Ok(Self {
            norm1: LayerNorm::new(&mut b.at("norm1"), d, eps)?,
            attn: Attention::new(&mut b.at("attn"), c, side)?,
            norm2: LayerNorm::new(&mut b.at("norm2"), d, eps)?,
            mlp: Mlp::new(
                &mut b.at("mlp"),
                ("lin1", "lin2"),
                [d, c.d_ff, d],
                Init::Xavier,
            )?,
            window,
        })
    }

    /// Keeps the shape `[batch, grid, grid, d_model]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let normed = self.norm1.forward(x.clone());
        let attended = if self.window == 0 {
            self.attn.forward(normed)
        } else {
            in_windows(normed, self.window, |x| self.attn.forward(x))
        };
        let x = x + attended;
        let h = self.norm2.forward(x.clone());
        self.mlp.forward_added(h, Activation::Gelu, x)
    }
}

/// SAM's own image encoder.
#[derive(Module, Debug)]
pub struct VitEncoder {
    patches: PatchEmbed,
    pos_embed: Param<Tensor<4>>,
    blocks: Vec<Block>,
    neck: Neck,
}

impl VitEncoder {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, sam: &SamConfig, c: &SamVitConfig) -> Result<Self, ModelError> {
        let (grid, d) = (sam.grid(), c.d_model);
        let shape = PatchShape {
            stem: c.stem,
            patch_size: sam.patch_size,
            d_model: d,
            eps: c.layer_norm_eps,
            bias: true,
        };
        let patches = PatchEmbed::new(&mut b.at("patch_embed"), "proj", shape)?;
        let pos_embed = b.dense("pos_embed", [1, grid, grid, d], Init::Normal(0.02))?;
        let mut layers = b.at("blocks");
        let blocks = (0..c.n_layers)
            .map(|i| Block::new(&mut layers.at(i), c, grid, i))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            patches,
            pos_embed,
            blocks,
            neck: Neck::new(&mut b.at("neck"), d, sam.d_out)?,
        })
    }

    /// As [`super::ImageEncoder::with_batch_statistics`].
    #[must_use]
    pub fn with_batch_statistics(mut self, pixels: Tensor<4>) -> Self {
        self.patches = self.patches.with_batch_statistics(pixels);
        self
    }

    /// # Shapes
    /// - pixels: `[batch, 3, image_size, image_size]`
    /// - output: `[batch, d_out, grid, grid]`
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<4> {
        let [_, grid, _, d] = self.pos_embed.dims();
        let [batch, ..] = pixels.dims();
        let patches = self.patches.forward(pixels);
        let x = patches.reshape([batch, grid, grid, d]) + self.pos_embed.val();
        self.neck
            .forward(self.blocks.iter().fold(x, |x, block| block.forward(x)))
    }
}
