//! The sizes of every part. One serialisable value describes a whole model.

use serde::{Deserialize, Serialize};

use crate::ModelError;

/// Sizes of the whole model (`config` in `model.json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VmadConfig {
    /// The CLIP image encoder.
    pub clip: ClipConfig,
    /// From patch features to visual tokens.
    pub projector: ProjectorConfig,
    /// The language model.
    pub llm: LlamaConfig,
    /// SAM's image encoder, prompt encoder and mask decoder.
    pub sam: SamConfig,
    /// How a photograph is fitted to the CLIP encoder's square: `pad` or `crop`.
    #[serde(default)]
    pub clip_mode: ClipFit,
}

/// How a photograph is fitted to the CLIP encoder's square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClipFit {
    /// Pad to a centred square, so that nothing near a long edge is lost.
    #[default]
    Pad,
    /// Centre crop, as the public LISA checkpoints expect.
    Crop,
}

/// CLIP ViT (Radford et al. 2021), named as in transformers' `CLIPVisionModel`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipConfig {
    /// Side of the input square, pixels.
    pub image_size: usize,
    /// Side of a patch, pixels.
    pub patch_size: usize,
    /// Width of the hidden states.
    pub d_model: usize,
    /// Number of transformer blocks in the checkpoint.
    pub n_layers: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Width of the feed-forward layer.
    pub d_ff: usize,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f64,
    /// Hidden states handed to the projector; `i` is the output of block `i`, 0 the embeddings.
    pub taps: Vec<usize>,
    /// How pixels become patch features.
    #[serde(default)]
    pub stem: Stem,
    /// Whether the patch-similarity prior is added to the patch embeddings, so that the words know
    /// of it as the mask does.
    ///
    /// An extension of ours, not part of the paper: see ARCHITECTURE.md.
    #[serde(default)]
    pub similarity_prompt: bool,
}

impl ClipConfig {
    /// Channels of the prior that `similarity_prompt` asks for.
    pub const PRIOR_CHANNELS: usize = 4;
    /// Samples of the prior along a patch.
    pub const PRIOR_CELLS: usize = 4;

    /// Side of the prior that `similarity_prompt` asks for.
    #[must_use]
    pub fn prior_side(&self) -> usize {
        self.grid() * Self::PRIOR_CELLS
    }

    /// Patches along one side.
    #[must_use]
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }
}

/// The projector from patch features to visual tokens (§4 of the specification).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProjectorConfig {
    /// LLaVA v1: one linear layer on the last tap.
    Linear {
        /// Patches along one side.
        grid: usize,
        /// Width of the patch features.
        d_vision: usize,
        /// Width of the language model.
        d_text: usize,
    },
    /// LLaVA-1.5: linear, GELU, linear on the last tap.
    #[serde(rename = "mlp2x_gelu")]
    Mlp2xGelu {
        /// Patches along one side.
        grid: usize,
        /// Width of the patch features.
        d_vision: usize,
        /// Width of the language model.
        d_text: usize,
    },
    /// TokenPacker: region attention from pooled queries to the concatenated taps.
    #[serde(rename = "tokenpacker")]
    TokenPacker(RegionConfig),
    /// Locality-enhanced token compression, the paper's projector.
    Ltc(LtcConfig),
}

impl ProjectorConfig {
    /// Number of visual tokens that the projector gives the language model.
    #[must_use]
    pub fn n_visual(&self) -> usize {
        match self {
            Self::Linear { grid, .. } | Self::Mlp2xGelu { grid, .. } => grid * grid,
            Self::TokenPacker(region) => (region.grid / region.stride).pow(2),
            Self::Ltc(ltc) => (ltc.grid / ltc.stride).pow(2),
        }
    }

    /// Width of the language model that the projector feeds.
    #[must_use]
    pub fn d_text(&self) -> usize {
        match self {
            Self::Linear { d_text, .. } | Self::Mlp2xGelu { d_text, .. } => *d_text,
            Self::TokenPacker(region) => region.d_text,
            Self::Ltc(ltc) => ltc.d_text,
        }
    }

    fn grid_and_width(&self) -> (usize, usize) {
        match self {
            Self::Linear { grid, d_vision, .. } | Self::Mlp2xGelu { grid, d_vision, .. } => {
                (*grid, *d_vision)
            }
            Self::TokenPacker(region) => (region.grid, region.d_vision),
            Self::Ltc(ltc) => (ltc.grid, ltc.d_vision),
        }
    }
}

/// Sizes of TokenPacker (equal to LTC with `fusion = "concat"`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionConfig {
    /// Patches along one side.
    pub grid: usize,
    /// Width of the patch features.
    pub d_vision: usize,
    /// Width of the language model.
    pub d_text: usize,
    /// Levels concatenated for keys and values.
    pub n_levels: usize,
    /// Side of a region, patches.
    pub stride: usize,
    /// Heads of the region attention.
    pub inject_heads: usize,
}

/// Sizes of LTC (§4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LtcConfig {
    /// Patches along one side.
    pub grid: usize,
    /// Width of the patch features, d.
    pub d_vision: usize,
    /// Width of the language model.
    pub d_text: usize,
    /// Hidden width of the output MLP.
    pub d_hidden: usize,
    /// CLIP levels injected.
    pub n_levels: usize,
    /// Side of a region, s; the output grid is `grid / stride`.
    pub stride: usize,
    /// Heads of self-attention and deformable attention.
    pub n_heads: usize,
    /// Sampling points of a head, K_p.
    pub n_points: usize,
    /// Learner blocks, N.
    pub n_learner_blocks: usize,
    /// Residual blocks before and after the pooling, R.
    pub n_res_blocks: usize,
    /// Width of the learner's feed-forward layer.
    pub d_ff: usize,
    /// Width of the squeeze-excite bottleneck.
    pub se_dim: usize,
    /// Heads of the region attention.
    pub inject_heads: usize,
    /// How levels are combined; only `residual` (22)(23) here, `concat` is `token_packer`.
    #[serde(default)]
    pub fusion: Fusion,
}

/// How the levels are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fusion {
    /// Sum over levels plus the residual, equations (22) and (23).
    #[default]
    Residual,
}

/// LLaMA, named as in transformers' `LlamaForCausalLM`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaConfig {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub d_model: usize,
    /// Transformer blocks.
    pub n_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; fewer than `n_heads` is grouped-query attention.
    pub n_kv_heads: usize,
    /// Width of the SwiGLU layer.
    pub d_ff: usize,
    /// Epsilon of the RMS norms.
    pub rms_norm_eps: f64,
    /// Base of the rotary embedding.
    pub rope_theta: f64,
    /// Longest sequence, visual tokens included.
    pub max_positions: usize,
    /// Whether the head is the transposed embedding table.
    pub tie_embeddings: bool,
}

impl LlamaConfig {
    /// Width of one head.
    #[must_use]
    pub fn d_head(&self) -> usize {
        self.d_model / self.n_heads
    }
}

/// SAM (Kirillov et al. 2023): ViT image encoder, prompt encoder and mask decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamConfig {
    /// Side of the padded input square, pixels.
    pub image_size: usize,
    /// Side of a patch, pixels.
    pub patch_size: usize,
    /// Width of the encoder.
    pub d_model: usize,
    /// Encoder blocks.
    pub n_layers: usize,
    /// Encoder heads.
    pub n_heads: usize,
    /// Width of the encoder's feed-forward layer.
    pub d_ff: usize,
    /// Side of an attention window, patches.
    pub window: usize,
    /// Blocks with global attention.
    pub global_blocks: Vec<usize>,
    /// Channels of the image embedding and width of the decoder.
    pub d_out: usize,
    /// Epsilon of the encoder's norms.
    pub layer_norm_eps: f64,
    /// Heads of the decoder.
    pub decoder_heads: usize,
    /// Two-way blocks of the decoder.
    pub decoder_layers: usize,
    /// Width of the decoder's feed-forward layer.
    pub decoder_ff: usize,
    /// Mask tokens; mask 0 is the single-mask output.
    pub n_mask_tokens: usize,
    /// Factor by which cross-attention narrows its inner width.
    pub cross_downsample: usize,
    /// How pixels become patch features.
    #[serde(default)]
    pub stem: Stem,
    /// Whether the patch-similarity prior is given to the dense mask prompt.
    ///
    /// An extension of ours, not part of the paper: see ARCHITECTURE.md.
    #[serde(default)]
    pub similarity_prompt: bool,
    /// What that prior compares.
    // Written where it is not the default, so that hashes of configurations from before hold.
    #[serde(default, skip_serializing_if = "SimilaritySource::is_pixels")]
    pub similarity_source: SimilaritySource,
}

/// What the patch-similarity prior of SAM's mask prompt compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimilaritySource {
    /// Hand-made statistics of pixels, known before any encoder has run.
    #[default]
    Pixels,
    /// CLIP's features ([`VmadConfig::similarity_tap`]).
    Clip,
}

impl SimilaritySource {
    fn is_pixels(&self) -> bool {
        *self == Self::Pixels
    }
}

impl SamConfig {
    /// Patches along one side.
    #[must_use]
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Side of the mask decoder's logits.
    #[must_use]
    pub fn mask_side(&self) -> usize {
        self.grid() * 4
    }
}

/// How an encoder turns pixels into patch features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stem {
    /// One convolution as large as its stride, CLIP's and SAM's own.
    #[default]
    Patch,
    /// 3×3 convolutions of stride 2 (Xiao et al. 2021); learns faster from scratch. Ours.
    Conv,
    /// Overlapping patches of 8 pixels every 4, then 4×4 cells every 2. Ours: learns as the
    /// convolutions do, and a step of training takes half the time.
    Overlap,
}

impl VmadConfig {
    /// Whether any part takes the patch-similarity prior from pixels.
    #[must_use]
    pub fn needs_prior(&self) -> bool {
        self.clip.similarity_prompt || self.sam_compares(SimilaritySource::Pixels)
    }

    /// Whether SAM's mask prompt is a prior from this source.
    #[must_use]
    pub fn sam_compares(&self, source: SimilaritySource) -> bool {
        self.sam.similarity_prompt && self.sam.similarity_source == source
    }

    /// Which of `clip.taps` [`SimilaritySource::Clip`] compares: the second, whose features know
    /// their surroundings and are not yet about the picture as a whole; with one tap, that.
    #[must_use]
    pub fn similarity_tap(&self) -> usize {
        self.clip.taps.len().saturating_sub(1).min(1)
    }

    /// Checks that the parts fit each other.
    ///
    /// # Errors
    /// [`ModelError::Config`] names the first contradiction.
    pub fn validate(&self) -> Result<(), ModelError> {
        let check = |holds: bool, what: &str| {
            if holds {
                Ok(())
            } else {
                Err(ModelError::Config(what.to_owned()))
            }
        };
        let bounded = |value: usize| (1..=1 << 20).contains(&value);
        let (c, l, s) = (&self.clip, &self.llm, &self.sam);
        let sizes = [
            c.image_size,
            c.patch_size,
            c.d_model,
            c.n_layers,
            c.n_heads,
            c.d_ff,
            l.vocab_size,
            l.d_model,
            l.n_layers,
            l.n_heads,
            l.n_kv_heads,
            l.d_ff,
            l.max_positions,
            s.image_size,
            s.patch_size,
            s.d_model,
            s.n_layers,
            s.n_heads,
            s.d_ff,
            s.d_out,
            s.decoder_heads,
            s.decoder_layers,
            s.decoder_ff,
            s.n_mask_tokens,
            s.cross_downsample,
        ];
        check(
            sizes.into_iter().all(bounded),
            "every size must lie between 1 and 1048576",
        )?;
        check(
            c.image_size % c.patch_size == 0,
            "clip.image_size must be a multiple of patch_size",
        )?;
        check(
            c.d_model % c.n_heads == 0,
            "clip.d_model must be a multiple of n_heads",
        )?;
        check(
            !c.taps.is_empty(),
            "clip.taps must name at least one hidden state",
        )?;
        check(
            c.taps.iter().all(|tap| *tap <= c.n_layers),
            "clip.taps must not exceed clip.n_layers",
        )?;
        check(
            l.d_model % l.n_heads == 0,
            "llm.d_model must be a multiple of n_heads",
        )?;
        check(
            l.d_head() % 2 == 0,
            "llm: the head width must be even for RoPE",
        )?;
        check(
            l.n_heads % l.n_kv_heads == 0,
            "llm.n_heads must be a multiple of n_kv_heads",
        )?;
        check(
            s.image_size % s.patch_size == 0,
            "sam.image_size must be a multiple of patch_size",
        )?;
        check(
            s.d_model % s.n_heads == 0,
            "sam.d_model must be a multiple of n_heads",
        )?;
        check(
            s.window > 0 || s.global_blocks.len() >= s.n_layers,
            "sam.window must be positive",
        )?;
        check(
            s.similarity_prompt || s.similarity_source == SimilaritySource::Pixels,
            "sam.similarity_source needs similarity_prompt",
        )?;
        check(s.d_out % 8 == 0, "sam.d_out must be a multiple of 8")?;
        check(
            s.d_out % (s.decoder_heads * s.cross_downsample) == 0,
            "sam.d_out must be a multiple of decoder_heads * cross_downsample",
        )?;
        let stem_fits = |stem: Stem, patch_size: usize, d_model: usize| {
            let first_stride = match stem {
                Stem::Patch => return true,
                Stem::Conv => 2,
                Stem::Overlap => 4,
            };
            patch_size.is_power_of_two()
                && patch_size >= first_stride
                && d_model.is_multiple_of(patch_size / first_stride)
        };
        const STEM: &str = "stem = conv (overlap) needs a patch_size that is a power of two from 2 \
                            (4) on, and a d_model that is a multiple of a half (quarter) of it";
        check(
            stem_fits(c.stem, c.patch_size, c.d_model),
            &format!("clip.{STEM}"),
        )?;
        check(
            stem_fits(s.stem, s.patch_size, s.d_model),
            &format!("sam.{STEM}"),
        )?;
        let (grid, width) = self.projector.grid_and_width();
        check(grid == c.grid(), "projector.grid must be the CLIP grid")?;
        check(
            width == c.d_model,
            "projector.d_vision must be clip.d_model",
        )?;
        check(
            self.projector.d_text() == l.d_model,
            "projector.d_text must be llm.d_model",
        )?;
        match &self.projector {
            ProjectorConfig::Ltc(ltc) => {
                check(
                    ltc.stride > 0 && grid % ltc.stride == 0,
                    "projector.grid must be a multiple of stride",
                )?;
                check(
                    ltc.n_levels == c.taps.len(),
                    "projector.n_levels must count clip.taps",
                )?;
                check(
                    ltc.n_heads > 0
                        && ltc.inject_heads > 0
                        && width % ltc.n_heads == 0
                        && width % ltc.inject_heads == 0,
                    "projector heads must divide d_vision",
                )?;
                check(ltc.n_points > 0, "projector.n_points must be positive")
            }
            ProjectorConfig::TokenPacker(region) => {
                check(
                    region.stride > 0 && grid % region.stride == 0,
                    "projector.grid must be a multiple of stride",
                )?;
                check(
                    region.n_levels == c.taps.len(),
                    "projector.n_levels must count clip.taps",
                )?;
                check(
                    region.inject_heads > 0 && width % region.inject_heads == 0,
                    "projector heads must divide d_vision",
                )
            }
            ProjectorConfig::Linear { .. } | ProjectorConfig::Mlp2xGelu { .. } => Ok(()),
        }
    }
}
