//! SAM's mask decoder: a two-way transformer and a hypernetwork over upscaled features.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use vmad_kernels::{Activation, Mask, attention, matmul};

use crate::ModelError;
use crate::config::SamConfig;
use crate::nn::{LayerNorm, Linear, Mlp, Upsample2x, gelu, merge_heads, split_heads};
use crate::weights::{Builder, Init};

/// Attention whose inner width may be narrower than its outer one.
#[derive(Module, Debug)]
struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    n_heads: usize,
}

impl Attention {
    fn new(b: &mut Builder, c: &SamConfig, downsample: usize) -> Result<Self, ModelError> {
        let (d, inner) = (c.d_out, c.d_out / downsample);
        Ok(Self {
            q: Linear::new(&mut b.at("q_proj"), d, inner, Init::Xavier)?,
            k: Linear::new(&mut b.at("k_proj"), d, inner, Init::Xavier)?,
            v: Linear::new(&mut b.at("v_proj"), d, inner, Init::Xavier)?,
            out: Linear::new(&mut b.at("out_proj"), inner, d, Init::Xavier)?,
            n_heads: c.decoder_heads,
        })
    }

    /// # Shapes
    /// - q: `[batch, n_q, d]`; k, v: `[batch, n_k, d]`
    /// - output: `[batch, n_q, d]`
    fn forward(&self, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
        let heads = |layer: &Linear, x| split_heads(layer.forward(x), self.n_heads);
        let attended = attention(
            heads(&self.q, q),
            heads(&self.k, k),
            heads(&self.v, v),
            Mask::None,
        );
        self.out.forward(merge_heads(attended))
    }
}

/// One two-way block: tokens attend to themselves and the image, then the image to the tokens.
#[derive(Module, Debug)]
struct TwoWayBlock {
    self_attn: Attention,
    norm1: LayerNorm,
    token_to_image: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
    norm3: LayerNorm,
    image_to_token: Attention,
    norm4: LayerNorm,
    first: bool,
}

impl TwoWayBlock {
    fn new(b: &mut Builder, c: &SamConfig, first: bool) -> Result<Self, ModelError> {
        let d = c.d_out;
        let down = c.cross_downsample;
        Ok(Self {
            self_attn: Attention::new(&mut b.at("self_attn"), c, 1)?,
            norm1: LayerNorm::new(&mut b.at("norm1"), d, 1e-5)?,
            token_to_image: Attention::new(&mut b.at("cross_attn_token_to_image"), c, down)?,
            norm2: LayerNorm::new(&mut b.at("norm2"), d, 1e-5)?,
            mlp: Mlp::new(
                &mut b.at("mlp"),
                ("lin1", "lin2"),
                [d, c.decoder_ff, d],
                Init::Torch,
            )?,
            norm3: LayerNorm::new(&mut b.at("norm3"), d, 1e-5)?,
            image_to_token: Attention::new(&mut b.at("cross_attn_image_to_token"), c, down)?,
            norm4: LayerNorm::new(&mut b.at("norm4"), d, 1e-5)?,
            first,
        })
    }

    /// # Shapes
    /// - tokens, token_pe: `[n, n_tokens, d]`; image, image_pe: `[n, grid², d]`
    /// - output: tokens and image of the same shapes
    fn forward(
        &self,
        tokens: Tensor<3>,
        image: Tensor<3>,
        token_pe: &Tensor<3>,
        image_pe: &Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>) {
        // Layer 0 uses no position and replaces its input (SAM: skip_first_layer_pe).
        let tokens = if self.first {
            self.self_attn
                .forward(tokens.clone(), tokens.clone(), tokens)
        } else {
            let q = tokens.clone() + token_pe.clone();
            tokens.clone() + self.self_attn.forward(q.clone(), q, tokens)
        };
        let tokens = self.norm1.forward(tokens);

        let q = tokens.clone() + token_pe.clone();
        let k = image.clone() + image_pe.clone();
        let tokens = tokens + self.token_to_image.forward(q, k.clone(), image.clone());
        let tokens = self.norm2.forward(tokens);

        let tokens = self
            .mlp
            .forward_added(tokens.clone(), Activation::Relu, tokens);
        let tokens = self.norm3.forward(tokens);

        let q = tokens.clone() + token_pe.clone();
        let image = image + self.image_to_token.forward(k, q, tokens.clone());
        (tokens, self.norm4.forward(image))
    }
}

/// Three linear layers with ReLU between them.
#[derive(Module, Debug)]
struct HyperMlp {
    layers: Vec<Linear>,
}

impl HyperMlp {
    fn new(b: &mut Builder, d: usize) -> Result<Self, ModelError> {
        let mut b = b.at("layers");
        let widths = [d, d, d, d / 8];
        let layers = (0..3)
            .map(|i| Linear::new(&mut b.at(i), widths[i], widths[i + 1], Init::Torch))
            .collect::<Result<_, _>>()?;
        Ok(Self { layers })
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        self.layers.iter().enumerate().fold(x, |x, (i, layer)| {
            if i < last {
                layer.forward_activated(x, Activation::Relu)
            } else {
                layer.forward(x)
            }
        })
    }
}

/// The mask decoder. The IoU head is left out: it gets no loss in LISA's training and must not be
/// shown as a confidence (§6).
#[derive(Module, Debug)]
pub struct MaskDecoder {
    iou_token: Param<Tensor<2>>,
    mask_tokens: Param<Tensor<2>>,
    blocks: Vec<TwoWayBlock>,
    final_attn: Attention,
    norm_final: LayerNorm,
    upscale1: Upsample2x,
    upscale_norm: LayerNorm,
    upscale2: Upsample2x,
    hyper: Vec<HyperMlp>,
}

impl MaskDecoder {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &SamConfig) -> Result<Self, ModelError> {
        let d = c.d_out;
        let iou_token = b
            .at("iou_token")
            .dense("weight", [1, d], Init::Normal(0.02))?;
        let mask_tokens =
            b.at("mask_tokens")
                .dense("weight", [c.n_mask_tokens, d], Init::Normal(0.02))?;
        let mut transformer = b.at("transformer");
        let mut layers = transformer.at("layers");
        let blocks = (0..c.decoder_layers)
            .map(|i| TwoWayBlock::new(&mut layers.at(i), c, i == 0))
            .collect::<Result<_, _>>()?;
        let final_attn = Attention::new(
            &mut transformer.at("final_attn_token_to_image"),
            c,
            c.cross_downsample,
        )?;
        let norm_final = LayerNorm::new(&mut transformer.at("norm_final_attn"), d, 1e-5)?;
        let mut upscaling = b.at("output_upscaling");
        let upscale1 = Upsample2x::new(&mut upscaling.at(0), d, d / 4)?;
        let upscale_norm = LayerNorm::new(&mut upscaling.at(1), d / 4, 1e-6)?;
        let upscale2 = Upsample2x::new(&mut upscaling.at(3), d / 4, d / 8)?;
        let mut networks = b.at("output_hypernetworks_mlps");
        let hyper = (0..c.n_mask_tokens)
            .map(|i| HyperMlp::new(&mut networks.at(i), d))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            iou_token,
            mask_tokens,
            blocks,
            final_attn,
            norm_final,
            upscale1,
            upscale_norm,
            upscale2,
            hyper,
        })
    }

    /// Logits of mask 0, SAM's single-mask output, for each prompt.
    ///
    /// # Shapes
    /// - image: `[n or 1, d, grid, grid]`; a single embedding serves all prompts
    /// - image_pe: `[1, d, grid, grid]`
    /// - sparse: `[n, n_sparse, d]`
    /// - dense: `[n or 1, d, grid, grid]`
    /// - output: `[n, 1, 4·grid, 4·grid]`
    pub fn forward(
        &self,
        image: Tensor<4>,
        image_pe: Tensor<4>,
        sparse: Tensor<3>,
        dense: Tensor<4>,
    ) -> Tensor<4> {
        self.masks(image, image_pe, sparse, dense, 1)
    }

    /// Logits of the first `n_masks` mask tokens; shapes as in [`Self::forward`].
    pub fn masks(
        &self,
        image: Tensor<4>,
        image_pe: Tensor<4>,
        sparse: Tensor<3>,
        dense: Tensor<4>,
        n_masks: usize,
    ) -> Tensor<4> {
        let [n, _, d] = sparse.dims();
        let [_, _, rows, cols] = image.dims();
        let (mask_side_y, mask_side_x) = (rows * 4, cols * 4);
        let own = Tensor::cat(vec![self.iou_token.val(), self.mask_tokens.val()], 0);
        let tokens = Tensor::cat(vec![own.unsqueeze::<3>().repeat_dim(0, n), sparse], 1);
        let flat = |x: Tensor<4>| {
            let [batch, ..] = x.dims();
            let x = x.reshape([batch, d, rows * cols]).swap_dims(1, 2); // [batch, grid², d]
            if batch < n { x.repeat_dim(0, n) } else { x }
        };
        let image = flat(image + dense);
        let image_pe = flat(image_pe);

        let token_pe = tokens.clone();
        let (tokens, image) = self
            .blocks
            .iter()
            .fold((tokens, image), |(tokens, image), block| {
                block.forward(tokens, image, &token_pe, &image_pe)
            });
        let q = tokens.clone() + token_pe;
        let k = image.clone() + image_pe;
        let tokens = tokens + self.final_attn.forward(q, k, image.clone());
        let tokens = self.norm_final.forward(tokens); // [n, 1 + n_mask_tokens + n_sparse, d]

        let features = image.swap_dims(1, 2).reshape([n, d, rows, cols]);
        let features = gelu(
            self.upscale_norm
                .forward_image(self.upscale1.forward(features)),
        );
        let features =
            gelu(self.upscale2.forward(features)).reshape([n, d / 8, mask_side_y * mask_side_x]);
        let weights = self
            .hyper
            .iter()
            .take(n_masks)
            .enumerate()
            .map(|(i, mlp)| {
                let token = tokens.clone().narrow(1, 1 + i, 1).reshape([n, d]);
                mlp.forward(token).reshape([n, 1, d / 8])
            })
            .collect();
        matmul(Tensor::cat(weights, 1), features).reshape([n, n_masks, mask_side_y, mask_side_x])
    }
}
