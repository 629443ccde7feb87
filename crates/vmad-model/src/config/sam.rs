//! SAM's sizes, and their form in `model.json`.

use serde::{Deserialize, Serialize};

use super::check::{check, is_size};
use super::stem::Stem;
use crate::ModelError;

/// SAM (Kirillov et al. 2023): image encoder, prompt encoder and mask decoder.
///
/// In `model.json` the sizes of SAM's own encoder are keys of this table and `encoder` is absent; those
/// of another encoder are keys of `encoder`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SerializedSam", into = "SerializedSam")]
pub struct SamConfig {
    /// Side of the padded input square, pixels.
    pub image_size: usize,
    /// Side of a patch, pixels.
    pub patch_size: usize,
    /// Which image encoder, and its sizes.
    pub encoder: SamEncoder,
    /// Channels of the image embedding and width of the decoder.
    pub d_out: usize,
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
    /// Whether the patch-similarity prior is given to the dense mask prompt.
    ///
    /// An extension of ours, not part of the paper: see docs/extensions.md.
    pub similarity_prompt: bool,
    /// What that prior compares.
    pub similarity_source: SimilaritySource,
}

/// What the patch-similarity prior of SAM's mask prompt compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimilaritySource {
    /// Statistics of pixels ([`vmad_prep::similarity`]); needs no encoder.
    #[default]
    Pixels,
    /// CLIP's features ([`crate::VmadConfig::similarity_tap`]).
    Clip,
}

/// The image encoder.
#[derive(Clone, Debug, PartialEq)]
pub enum SamEncoder {
    /// SAM's own.
    Vit(SamVitConfig),
    /// MobileSAM's.
    TinyVit(TinyVitConfig),
}

/// SAM's own image encoder: a ViT with windowed and global attention.
#[derive(Clone, Debug, PartialEq)]
pub struct SamVitConfig {
    /// Width of the encoder.
    pub d_model: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Heads.
    pub n_heads: usize,
    /// Width of the feed-forward layer.
    pub d_ff: usize,
    /// Side of an attention window, patches.
    pub window: usize,
    /// Blocks with global attention.
    pub global_blocks: Vec<usize>,
    /// Epsilon of the norms.
    pub layer_norm_eps: f64,
    /// How pixels become patch features.
    pub stem: Stem,
}

/// TinyViT (Wu et al. 2022) as MobileSAM (Zhang et al. 2023) has it, named as there.
///
/// Four stages; the first is convolutional, the others attend in windows. The picture is halved
/// twice before the first and once before the second and the third, so a patch has 16 pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TinyVitConfig {
    /// Width of each stage.
    pub embed_dims: [usize; 4],
    /// Blocks of each stage.
    pub depths: [usize; 4],
    /// Attention heads of each stage; the first number is not used.
    pub num_heads: [usize; 4],
    /// Side of an attention window in each stage, cells; the first number is not used.
    pub window_sizes: [usize; 4],
    /// Hidden width of a feed-forward layer, as a multiple of the stage's.
    pub mlp_ratio: usize,
    /// Hidden width of a block of the first stage, as a multiple of the stage's.
    pub mbconv_expand_ratio: usize,
    /// Side of the depthwise kernel between attention and feed-forward layer.
    pub local_conv_size: usize,
    /// The norm after each convolution.
    #[serde(default)]
    pub norm: ConvNorm,
}

/// The norm after a convolution of TinyViT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConvNorm {
    /// Batch norm, as in public weights. Its statistics are fixed: they are folded into the weights
    /// and biases of the convolutions, and nothing is left of them in a package. To be fine-tuned,
    /// not trained from nothing.
    #[default]
    Batch,
    /// A norm over the channels of each place, ours: for training from nothing in small batches.
    Layer,
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

    pub(super) fn validate(&self) -> Result<(), ModelError> {
        let sizes = [
            self.image_size,
            self.patch_size,
            self.d_out,
            self.decoder_heads,
            self.decoder_layers,
            self.decoder_ff,
            self.n_mask_tokens,
            self.cross_downsample,
        ];
        check(
            sizes.into_iter().all(is_size),
            "every size of sam must lie between 1 and 1048576",
        )?;
        check(
            self.image_size.is_multiple_of(self.patch_size),
            "sam.image_size must be a multiple of patch_size",
        )?;
        check(
            self.similarity_prompt || self.similarity_source == SimilaritySource::Pixels,
            "sam.similarity_source needs similarity_prompt",
        )?;
        match &self.encoder {
            SamEncoder::Vit(vit) => vit.validate(self.patch_size)?,
            SamEncoder::TinyVit(tiny) => tiny.validate(self.patch_size)?,
        }
        check(
            self.d_out.is_multiple_of(8),
            "sam.d_out must be a multiple of 8",
        )?;
        check(
            self.d_out
                .is_multiple_of(self.decoder_heads * self.cross_downsample),
            "sam.d_out must be a multiple of decoder_heads * cross_downsample",
        )
    }
}

impl SamVitConfig {
    fn validate(&self, patch_size: usize) -> Result<(), ModelError> {
        let sizes = [self.d_model, self.n_layers, self.n_heads, self.d_ff];
        check(
            sizes.into_iter().all(is_size),
            "every size of sam must lie between 1 and 1048576",
        )?;
        check(
            self.d_model.is_multiple_of(self.n_heads),
            "sam.d_model must be a multiple of n_heads",
        )?;
        check(
            self.window > 0 || self.global_blocks.len() >= self.n_layers,
            "sam.window must be positive",
        )?;
        self.stem.validate("sam", patch_size, self.d_model)
    }
}

impl TinyVitConfig {
    /// Pixels along a side of what becomes one cell of the output.
    pub const PATCH_SIZE: usize = 16;
    /// Largest window and largest ratio.
    const MAX_FACTOR: usize = 256;

    fn validate(&self, patch_size: usize) -> Result<(), ModelError> {
        let (dims, heads) = (self.embed_dims, self.num_heads);
        let factor = |value: usize| (1..=Self::MAX_FACTOR).contains(&value);
        check(
            patch_size == Self::PATCH_SIZE,
            "sam.patch_size must be 16 for the encoder tiny_vit, which halves the picture four times",
        )?;
        check(
            dims.into_iter().chain(self.depths).all(is_size),
            "sam.encoder: embed_dims and depths must lie between 1 and 1048576",
        )?;
        check(
            dims[0].is_multiple_of(2),
            "sam.encoder.embed_dims must begin with an even number: the first convolution makes \
             half as many channels",
        )?;
        check(
            (1..4).all(|stage| heads[stage] > 0 && dims[stage].is_multiple_of(heads[stage])),
            "sam.encoder: from the second stage on, embed_dims must be multiples of num_heads",
        )?;
        check(
            self.window_sizes.into_iter().skip(1).all(factor),
            "sam.encoder.window_sizes must lie between 1 and 256 from the second stage on",
        )?;
        check(
            factor(self.mlp_ratio) && factor(self.mbconv_expand_ratio),
            "sam.encoder: mlp_ratio and mbconv_expand_ratio must lie between 1 and 256",
        )?;
        check(
            factor(self.local_conv_size) && self.local_conv_size % 2 == 1,
            "sam.encoder.local_conv_size must be odd and lie between 1 and 255, so that the map \
             keeps its size",
        )
    }
}

/// The table `sam` of `model.json`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SerializedSam {
    image_size: usize,
    patch_size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    d_model: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n_layers: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n_heads: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    d_ff: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    global_blocks: Option<Vec<usize>>,
    d_out: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer_norm_eps: Option<f64>,
    decoder_heads: usize,
    decoder_layers: usize,
    decoder_ff: usize,
    n_mask_tokens: usize,
    cross_downsample: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    stem: Option<Stem>,
    #[serde(default)]
    similarity_prompt: bool,
    // Serialised only where it is not the default, so that hashes of older configurations hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity_source: Option<SimilaritySource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoder: Option<SerializedEncoder>,
}

/// The table `sam.encoder`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum SerializedEncoder {
    Vit,
    TinyVit(TinyVitConfig),
}

impl TryFrom<SerializedSam> for SamConfig {
    type Error = ModelError;

    fn try_from(w: SerializedSam) -> Result<Self, ModelError> {
        let encoder = match w.encoder {
            None | Some(SerializedEncoder::Vit) => SamEncoder::Vit(SamVitConfig {
                d_model: required("d_model", w.d_model)?,
                n_layers: required("n_layers", w.n_layers)?,
                n_heads: required("n_heads", w.n_heads)?,
                d_ff: required("d_ff", w.d_ff)?,
                window: required("window", w.window)?,
                global_blocks: required("global_blocks", w.global_blocks)?,
                layer_norm_eps: required("layer_norm_eps", w.layer_norm_eps)?,
                stem: w.stem.unwrap_or_default(),
            }),
            Some(SerializedEncoder::TinyVit(tiny)) => {
                let of_vit = [
                    ("d_model", w.d_model.is_some()),
                    ("n_layers", w.n_layers.is_some()),
                    ("n_heads", w.n_heads.is_some()),
                    ("d_ff", w.d_ff.is_some()),
                    ("window", w.window.is_some()),
                    ("global_blocks", w.global_blocks.is_some()),
                    ("layer_norm_eps", w.layer_norm_eps.is_some()),
                    ("stem", w.stem.is_some()),
                ];
                if let Some((field, _)) = of_vit.into_iter().find(|(_, is_there)| *is_there) {
                    return Err(ModelError::Config(format!(
                        "sam.{field} is a size of the encoder vit; leave it out beside the encoder \
                         tiny_vit"
                    )));
                }
                SamEncoder::TinyVit(tiny)
            }
        };
        Ok(Self {
            image_size: w.image_size,
            patch_size: w.patch_size,
            encoder,
            d_out: w.d_out,
            decoder_heads: w.decoder_heads,
            decoder_layers: w.decoder_layers,
            decoder_ff: w.decoder_ff,
            n_mask_tokens: w.n_mask_tokens,
            cross_downsample: w.cross_downsample,
            similarity_prompt: w.similarity_prompt,
            similarity_source: w.similarity_source.unwrap_or_default(),
        })
    }
}

fn required<T>(field: &str, value: Option<T>) -> Result<T, ModelError> {
    value.ok_or_else(|| {
        ModelError::Config(format!(
            "sam: missing field `{field}`, which the encoder vit needs"
        ))
    })
}

impl From<SamConfig> for SerializedSam {
    fn from(c: SamConfig) -> Self {
        let (vit, encoder) = match c.encoder {
            SamEncoder::Vit(vit) => (Some(vit), None),
            SamEncoder::TinyVit(tiny) => (None, Some(SerializedEncoder::TinyVit(tiny))),
        };
        let size = |pick: fn(&SamVitConfig) -> usize| vit.as_ref().map(pick);
        Self {
            image_size: c.image_size,
            patch_size: c.patch_size,
            d_model: size(|vit| vit.d_model),
            n_layers: size(|vit| vit.n_layers),
            n_heads: size(|vit| vit.n_heads),
            d_ff: size(|vit| vit.d_ff),
            window: size(|vit| vit.window),
            global_blocks: vit.as_ref().map(|vit| vit.global_blocks.clone()),
            d_out: c.d_out,
            layer_norm_eps: vit.as_ref().map(|vit| vit.layer_norm_eps),
            decoder_heads: c.decoder_heads,
            decoder_layers: c.decoder_layers,
            decoder_ff: c.decoder_ff,
            n_mask_tokens: c.n_mask_tokens,
            cross_downsample: c.cross_downsample,
            stem: vit.as_ref().map(|vit| vit.stem),
            similarity_prompt: c.similarity_prompt,
            similarity_source: (c.similarity_source != SimilaritySource::Pixels)
                .then_some(c.similarity_source),
            encoder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIT: &str = r#"{"image_size":64,"patch_size":16,"d_model":24,"n_layers":2,"n_heads":3,"d_ff":32,"window":3,"global_blocks":[1],"d_out":32,"layer_norm_eps":1e-6,"decoder_heads":4,"decoder_layers":2,"decoder_ff":48,"n_mask_tokens":4,"cross_downsample":2,"stem":"patch","similarity_prompt":true}"#;
    const TINY: &str = r#"{"image_size":1024,"patch_size":16,"d_out":256,"decoder_heads":8,"decoder_layers":2,"decoder_ff":2048,"n_mask_tokens":4,"cross_downsample":2,"similarity_prompt":false,"encoder":{"kind":"tiny_vit","embed_dims":[64,128,160,320],"depths":[2,2,6,2],"num_heads":[2,4,5,10],"window_sizes":[7,7,14,7],"mlp_ratio":4,"mbconv_expand_ratio":4,"local_conv_size":3,"norm":"batch"}}"#;

    #[test]
    fn json_survives_the_round_trip() -> Result<(), serde_json::Error> {
        for text in [VIT, TINY] {
            let config: SamConfig = serde_json::from_str(text)?;
            assert_eq!(serde_json::to_string(&config)?, text);
        }
        Ok(())
    }

    #[test]
    fn contradictions_are_named() {
        let cases = [
            (VIT, "\"d_ff\":32,", "", "missing field `d_ff`"),
            (VIT, "\"d_out\"", "\"d_uot\"", "unknown field `d_uot`"),
            (
                VIT,
                "\"stem\"",
                "\"encoder\":{\"kind\":\"vit\"},\"stem\"",
                "",
            ),
            (
                TINY,
                "\"d_out\"",
                "\"window\":7,\"d_out\"",
                "sam.window is a size of the encoder vit",
            ),
            (
                TINY,
                "\"norm\":\"batch\"",
                "\"norms\":1",
                "unknown field `norms`",
            ),
            (TINY, ",\"norm\":\"batch\"", "", ""),
            (
                TINY,
                "\"patch_size\":16",
                "\"patch_size\":8",
                "patch_size must be 16",
            ),
            (TINY, "1024", "1000", "image_size must be a multiple"),
            (TINY, "[64,", "[63,", "even number"),
            (TINY, "[2,4,5,10]", "[2,4,7,10]", "multiples of num_heads"),
            (TINY, "[2,4,5,10]", "[0,4,5,10]", ""),
            (TINY, "[7,7,14,7]", "[0,7,14,0]", "window_sizes"),
            (
                TINY,
                "\"mlp_ratio\":4",
                "\"mlp_ratio\":1000000",
                "mlp_ratio",
            ),
            (
                TINY,
                "\"local_conv_size\":3",
                "\"local_conv_size\":4",
                "must be odd",
            ),
        ];
        for (text, from, to, expected) in cases {
            let text = text.replacen(from, to, 1);
            let outcome = serde_json::from_str::<SamConfig>(&text)
                .map_err(|error| error.to_string())
                .and_then(|config| config.validate().map_err(|error| error.to_string()));
            let message = outcome.err().unwrap_or_default();
            let fits = match expected {
                "" => message.is_empty(),
                _ => message.contains(expected),
            };
            assert!(fits, "{from} → {to}: {message:?}, expected {expected:?}");
        }
    }
}
