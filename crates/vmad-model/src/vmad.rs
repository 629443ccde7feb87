//! The composition of the parts: prompt embedding, visual tokens, and mask logits from a `[SEG]` state.

use burn::module::{Module, ParamId};
use burn::tensor::{Device, Tensor};
use vmad_kernels::Activation;

use crate::ModelError;
use crate::clip::ClipEncoder;
use crate::config::VmadConfig;
use crate::evidence::Evidence;
use crate::llama::Llama;
use crate::nn::Mlp;
use crate::projector::Projector;
use crate::sam::{ImageEncoder, MaskDecoder, PromptEncoder};
use crate::weights::{Builder, Init, ShapeList, WeightSource};

/// The whole model.
#[derive(Module, Debug)]
pub struct Vmad {
    /// CLIP's image encoder.
    pub clip: ClipEncoder,
    /// Patch features to visual tokens.
    pub projector: Projector,
    /// The language model.
    pub llm: Llama,
    /// `text_hidden_fcs`: a `[SEG]` state to SAM's prompt space.
    pub seg: Mlp,
    /// SAM's image encoder.
    pub sam_encoder: ImageEncoder,
    /// SAM's prompt encoder.
    pub sam_prompt: PromptEncoder,
    /// SAM's mask decoder.
    pub sam_decoder: MaskDecoder,
    /// Mask features for the words after `[SEG]`.
    pub evidence: Option<Evidence>,
}

impl Vmad {
    /// Builds the model from `source`. Also returns the name of every floating-point parameter.
    ///
    /// # Errors
    /// A configuration that contradicts itself, a missing tensor or one of another shape.
    pub fn new(
        config: &VmadConfig,
        source: &mut dyn WeightSource,
    ) -> Result<(Self, Vec<(String, ParamId)>), ModelError> {
        config.validate()?;
        let mut names = Vec::new();
        let mut root = Builder::new(source, &mut names);
        let d = config.llm.d_model;
        let clip = ClipEncoder::new(&mut root.at("clip"), &config.clip)?;
        let projector = Projector::new(&mut root, &config.projector)?;
        let llm = Llama::new(&mut root.at("llm"), &config.llm)?;
        let widths = [d, d, config.sam.d_out];
        let seg = Mlp::new(&mut root.at("seg"), ("0", "2"), widths, Init::Torch)?;
        let mut sam = root.at("sam");
        let sam_encoder = ImageEncoder::new(&mut sam.at("image_encoder"), &config.sam)?;
        let sam_prompt = PromptEncoder::new(&mut sam.at("prompt_encoder"), &config.sam)?;
        let sam_decoder = MaskDecoder::new(&mut sam.at("mask_decoder"), &config.sam)?;
        let evidence = match &config.evidence {
            Some(sizes) => Some(Evidence::new(&mut root.at("evidence"), config, sizes)?),
            None => None,
        };
        let model = Self {
            clip,
            projector,
            llm,
            seg,
            sam_encoder,
            sam_prompt,
            sam_decoder,
            evidence,
        };
        Ok((model, names))
    }

    /// Name and shape of every tensor that `config` asks for.
    ///
    /// # Errors
    /// A configuration that contradicts itself.
    pub fn shapes(config: &VmadConfig) -> Result<Vec<(String, Vec<usize>)>, ModelError> {
        let mut list = ShapeList::new();
        Self::new(config, &mut list)?;
        Ok(list.shapes)
    }

    /// Visual tokens of CLIP's taps.
    ///
    /// # Shapes
    /// - taps: CLIP's ([`crate::clip::ClipOutput`]), each `[batch, grid², d_vision]`
    /// - output: visual tokens `[batch, n_visual, d_text]`
    pub fn project(&self, taps: &[Tensor<3>]) -> Tensor<3> {
        self.projector.forward(taps)
    }

    /// Mask logits for each `[SEG]` state.
    ///
    /// # Shapes
    /// - seg_hidden: `[n, d_text]`, states at the predicting positions, after the final norm
    /// - image: `[1 or n, d_out, grid, grid]`
    /// - prior: `[1 or n, 1, 4·grid, 4·grid]`, the dense mask prompt, if the model takes one
    /// - output: `[n, 1, 4·grid, 4·grid]`
    pub fn segment(
        &self,
        seg_hidden: Tensor<2>,
        image: Tensor<4>,
        prior: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let prompt = self.seg_embedding(seg_hidden);
        let [n, d] = prompt.dims();
        self.sam_decoder.forward(
            image,
            self.sam_prompt.dense_pe(),
            prompt.reshape([n, 1, d]),
            self.sam_prompt.dense(prior),
        )
    }

    /// Projects `[SEG]` states to SAM's prompt space.
    ///
    /// # Shapes
    /// - seg_hidden: `[n, d_text]`
    /// - output: `[n, d_out]`
    pub fn seg_embedding(&self, seg_hidden: Tensor<2>) -> Tensor<2> {
        self.seg.forward(seg_hidden, Activation::Relu)
    }

    /// Embeds a prompt; the image sentinel, if there is one, becomes the visual tokens.
    ///
    /// # Shapes
    /// - visual: `[1, n_visual, d_text]`
    /// - output: `[1, n, d_text]`
    ///
    /// # Errors
    /// An id outside the vocabulary.
    pub fn embed_prompt(
        &self,
        ids: &[i32],
        sentinel: i32,
        visual: Option<&Tensor<3>>,
        device: &Device,
    ) -> Result<Tensor<3>, ModelError> {
        let (before, after, visual) = match (expand_visual(ids, sentinel), visual) {
            (Some((before, after)), Some(visual)) => (before, after, Some(visual.clone())),
            (Some((_, _)), None) => {
                return Err(ModelError::TokenId {
                    id: sentinel,
                    vocab_size: 0,
                });
            }
            (None, _) => (ids, &[][..], None),
        };
        let mut parts = Vec::new();
        if !before.is_empty() {
            parts.push(self.llm.embed(before, device)?.unsqueeze::<3>());
        }
        parts.extend(visual);
        if !after.is_empty() {
            parts.push(self.llm.embed(after, device)?.unsqueeze::<3>());
        }
        Ok(Tensor::cat(parts, 1))
    }
}

/// The ids before and after the image sentinel, or `None` where there is none.
#[must_use]
pub fn expand_visual(ids: &[i32], sentinel: i32) -> Option<(&[i32], &[i32])> {
    let at = ids.iter().position(|id| *id == sentinel)?;
    Some((&ids[..at], &ids[at + 1..]))
}
