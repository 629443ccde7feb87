//! Recognises the layout of a checkpoint by its tensor names.

use crate::error::ConvertError;

/// The layouts that can be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// transformers' `CLIPVisionModel` or `CLIPModel`.
    HfClip,
    /// CLIP as OpenAI released it.
    OpenAiClip,
    /// transformers' `LlamaForCausalLM`.
    HfLlama,
    /// LLaVA: the language model, a projector, and perhaps CLIP.
    Llava,
    /// LISA: LLaVA, SAM and the `[SEG]` head, with LoRA merged or still beside its matrices.
    Lisa,
    /// A projector by itself: linear, MLP or TokenPacker.
    Projector,
    /// SAM as its authors released it.
    SamOriginal,
    /// MobileSAM as its authors released it: SAM with TinyViT as its image encoder.
    MobileSam,
    /// transformers' `SamModel`.
    HfSam,
    /// Honeybee's C-Abstractor or D-Abstractor.
    Honeybee,
}

/// Removes what distributed training and PEFT put in front of every name.
pub(crate) fn strip_wrappers(mut name: &str) -> &str {
    while let Some(rest) = name
        .strip_prefix("module.")
        .or_else(|| name.strip_prefix("base_model.model."))
    {
        name = rest;
    }
    name
}

/// Recognises the layout of a list of tensor names. What can't be converted at all, Meta's
/// interleaved LLaMA, is an error that says what to do.
pub fn recognise<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Layout, ConvertError> {
    let names: Vec<&str> = names.into_iter().map(strip_wrappers).collect();
    let find = |is: &dyn Fn(&str) -> bool| names.iter().copied().find(|name| is(name));
    let any = |prefix: &str| names.iter().any(|name| name.starts_with(prefix));

    if let Some(name) = find(&|name| {
        name == "tok_embeddings.weight"
            || (name.starts_with("layers.")
                && (name.contains(".attention.wq.") || name.contains(".feed_forward.w1.")))
    }) {
        return Err(ConvertError::MetaInterleaved(name.into()));
    }

    // From the layouts that contain others to those that are contained.
    let has_llama = any("model.layers.");
    let has_projector = any("model.mm_projector.") || any("mm_projector.");
    let layout = if any("model.visual_model.") || any("model.text_hidden_fcs.") {
        Layout::Lisa
    } else if has_llama && (has_projector || any("model.vision_tower.")) {
        Layout::Llava
    } else if has_llama {
        Layout::HfLlama
    } else if has_projector {
        Layout::Projector
    } else if any("abstractor.") {
        Layout::Honeybee
    } else if any("visual.transformer.resblocks.") {
        Layout::OpenAiClip
    } else if any("vision_encoder.") || any("shared_image_embedding.") {
        Layout::HfSam
    } else if any("image_encoder.layers.") || any("image_encoder.patch_embed.seq.") {
        Layout::MobileSam
    } else if any("image_encoder.blocks.") || any("mask_decoder.output_upscaling.") {
        Layout::SamOriginal
    } else if any("vision_model.") || any("model.vision_tower.") {
        Layout::HfClip
    } else {
        let first = names.first().copied().unwrap_or("there are none");
        return Err(ConvertError::UnknownLayout(first.into()));
    };
    Ok(layout)
}
