//! The tables of names, one per public layout.
//!
//! A tensor that a layout is known to hold and that a package has no place for is ignored by name;
//! a name that no table holds is unknown, so that a changed layout is noticed.

use crate::layout::{Layout, strip_wrappers};
use crate::pattern::{Rule, apply};

/// Where a tensor of a checkpoint goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mapped {
    /// Unchanged, under this name.
    Name(String),
    /// In equal parts along the first dimension, under these names in order.
    Split(Vec<String>),
    /// A table of positions `[1, n, d]` or `[n, d]` becomes `[n', d]` under this name, without the
    /// row of the class token where n = n' + 1 and n' is a square.
    Positions(String),
    /// A LoRA factor, which goes into the matrix beside it.
    Factor,
    /// The weight of a convolution that a batch norm follows, called `c` and `bn` in one place: they
    /// become weight and bias of one convolution of this name.
    BatchNormed(String),
    /// Part of a batch norm: taken together with the convolution before it.
    Folded,
    /// Known, and of no use in a package.
    Ignore,
    /// In no table.
    Unknown,
}

const CLIP: &[Rule] = &[
    ("embeddings.class_embedding", "clip.@"),
    ("embeddings.patch_embedding.weight", "clip.@"),
    ("embeddings.position_embedding.weight", "clip.@"),
    ("pre_layrnorm.{weight,bias}", "clip.@"),
    (
        "encoder.layers.#.self_attn.{q,k,v,out}_proj.{weight,bias}",
        "clip.@",
    ),
    ("encoder.layers.#.layer_norm{1,2}.{weight,bias}", "clip.@"),
    ("encoder.layers.#.mlp.fc{1,2}.{weight,bias}", "clip.@"),
];

// The taps are taken before it.
const CLIP_IGNORED: &[Rule] = &[
    ("embeddings.position_ids", ""),
    ("post_layernorm.{weight,bias}", ""),
];

const OPENAI_CLIP: &[Rule] = &[
    ("class_embedding", "clip.embeddings.class_embedding"),
    ("conv1.weight", "clip.embeddings.patch_embedding.weight"),
    (
        "positional_embedding",
        "clip.embeddings.position_embedding.weight",
    ),
    ("ln_pre.{weight,bias}", "clip.pre_layrnorm.$"),
    (
        "transformer.resblocks.#.attn.out_proj.{weight,bias}",
        "clip.encoder.layers.$.self_attn.out_proj.$",
    ),
    (
        "transformer.resblocks.#.ln_{1,2}.{weight,bias}",
        "clip.encoder.layers.$.layer_norm$.$",
    ),
    (
        "transformer.resblocks.#.mlp.{c_fc>fc1,c_proj>fc2}.{weight,bias}",
        "clip.encoder.layers.$.mlp.$.$",
    ),
];

// `|` stands where the name of the projection goes.
const OPENAI_CLIP_QKV: &[Rule] = &[(
    "transformer.resblocks.#.attn.in_proj_{weight,bias}",
    "clip.encoder.layers.$.self_attn.|_proj.$",
)];

const OPENAI_CLIP_IGNORED: &[Rule] = &[("ln_post.{weight,bias}", ""), ("proj", "")];

const LLAMA: &[Rule] = &[
    ("model.embed_tokens.weight", "llm.embed_tokens.weight"),
    (
        "model.layers.#.self_attn.{q,k,v,o}_proj.{weight,base_layer.weight>weight}",
        "llm.layers.$.self_attn.$_proj.$",
    ),
    (
        "model.layers.#.mlp.{gate,up,down}_proj.weight",
        "llm.layers.$.mlp.$_proj.weight",
    ),
    (
        "model.layers.#.{input,post_attention}_layernorm.weight",
        "llm.layers.$.$_layernorm.weight",
    ),
    ("model.norm.weight", "llm.norm.weight"),
    ("lm_head.weight", "llm.lm_head.weight"),
];

// PEFT's, in a dump of a model under training and in an adapter's own file.
const LORA_FACTORS: &[Rule] = &[(
    "model.layers.#.self_attn.{q,v}_proj.lora_{A,B}.{default.weight,weight}",
    "",
)];

// Computed from the configuration.
const LLAMA_IGNORED: &[Rule] = &[
    ("model.layers.#.self_attn.rotary_emb.inv_freq", ""),
    ("model.rotary_emb.inv_freq", ""),
];

const PROJECTOR: &[Rule] = &[
    // Linear, and the MLP of LLaVA-1.5.
    ("{weight,bias}", "projector.@"),
    ("{0,2}.{weight,bias}", "projector.@"),
    // TokenPacker.
    ("q_proj_1.weight", "projector.@"),
    ("{k,v}_proj_1.{0,2}.{weight,bias}", "projector.@"),
    ("ln_{q,k,v}_1.{weight,bias}", "projector.@"),
    ("clip_attn.in_proj_{weight,bias}", "projector.@"),
    ("clip_attn.out_proj.{weight,bias}", "projector.@"),
    ("mlp.{0,2}.{weight,bias}", "projector.@"),
];

const SEG: &[Rule] = &[("0.{0,2}.{weight,bias}", "seg.$.$")];

const SAM: &[Rule] = &[
    ("image_encoder.pos_embed", "sam.@"),
    ("image_encoder.patch_embed.proj.{weight,bias}", "sam.@"),
    ("image_encoder.blocks.#.norm{1,2}.{weight,bias}", "sam.@"),
    (
        "image_encoder.blocks.#.attn.{qkv,proj}.{weight,bias}",
        "sam.@",
    ),
    ("image_encoder.blocks.#.attn.rel_pos_{h,w}", "sam.@"),
    ("image_encoder.blocks.#.mlp.lin{1,2}.{weight,bias}", "sam.@"),
    ("image_encoder.neck.{0,2}.weight", "sam.@"),
    ("image_encoder.neck.{1,3}.{weight,bias}", "sam.@"),
    (
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
        "sam.@",
    ),
    (
        "prompt_encoder.{no_mask_embed,not_a_point_embed}.weight",
        "sam.@",
    ),
    ("prompt_encoder.point_embeddings.#.weight", "sam.@"),
    (
        "prompt_encoder.mask_downscaling.{0,1,3,4,6}.{weight,bias}",
        "sam.@",
    ),
    ("mask_decoder.{iou_token,mask_tokens}.weight", "sam.@"),
    (
        "mask_decoder.transformer.layers.#.{self_attn,cross_attn_token_to_image,cross_attn_image_to_token}.{q,k,v,out}_proj.{weight,bias}",
        "sam.@",
    ),
    (
        "mask_decoder.transformer.layers.#.norm{1,2,3,4}.{weight,bias}",
        "sam.@",
    ),
    (
        "mask_decoder.transformer.layers.#.mlp.lin{1,2}.{weight,bias}",
        "sam.@",
    ),
    (
        "mask_decoder.transformer.final_attn_token_to_image.{q,k,v,out}_proj.{weight,bias}",
        "sam.@",
    ),
    (
        "mask_decoder.transformer.norm_final_attn.{weight,bias}",
        "sam.@",
    ),
    (
        "mask_decoder.output_upscaling.{0,1,3}.{weight,bias}",
        "sam.@",
    ),
    (
        "mask_decoder.output_hypernetworks_mlps.#.layers.#.{weight,bias}",
        "sam.@",
    ),
    (
        "mask_decoder.iou_prediction_head.layers.#.{weight,bias}",
        "sam.@",
    ),
];

const SAM_IGNORED: &[Rule] = &[("pixel_{mean,std}", "")];

// MobileSAM's image encoder. The neck is SAM's.
const TINY_VIT: &[Rule] = &[
    (
        "image_encoder.layers.#.blocks.#.attn.{norm,qkv,proj}.{weight,bias}",
        "sam.@",
    ),
    (
        "image_encoder.layers.#.blocks.#.attn.attention_biases",
        "sam.@",
    ),
    (
        "image_encoder.layers.#.blocks.#.mlp.{norm,fc1,fc2}.{weight,bias}",
        "sam.@",
    ),
];

const TINY_VIT_CONVOLUTIONS: &[Rule] = &[
    (
        "image_encoder.patch_embed.seq.{0,2}.c.weight",
        "sam.image_encoder.patch_embed.seq.$.c",
    ),
    (
        "image_encoder.layers.#.blocks.#.{conv1,conv2,conv3,local_conv}.c.weight",
        "sam.image_encoder.layers.$.blocks.$.$.c",
    ),
    (
        "image_encoder.layers.#.downsample.conv{1,2,3}.c.weight",
        "sam.image_encoder.layers.$.downsample.conv$.c",
    ),
];

const TINY_VIT_NORMS: &[Rule] = &[
    (
        "image_encoder.patch_embed.seq.{0,2}.bn.{weight,bias,running_mean,running_var}",
        "",
    ),
    (
        "image_encoder.layers.#.blocks.#.{conv1,conv2,conv3,local_conv}.bn.{weight,bias,running_mean,running_var}",
        "",
    ),
    (
        "image_encoder.layers.#.downsample.conv{1,2,3}.bn.{weight,bias,running_mean,running_var}",
        "",
    ),
];

// Counters of training, a table that follows from the window's size, and the classifier that TinyViT
// was pre-trained with.
const TINY_VIT_IGNORED: &[Rule] = &[
    (
        "image_encoder.patch_embed.seq.{0,2}.bn.num_batches_tracked",
        "",
    ),
    (
        "image_encoder.layers.#.blocks.#.{conv1,conv2,conv3,local_conv}.bn.num_batches_tracked",
        "",
    ),
    (
        "image_encoder.layers.#.downsample.conv{1,2,3}.bn.num_batches_tracked",
        "",
    ),
    (
        "image_encoder.layers.#.blocks.#.attn.attention_bias_idxs",
        "",
    ),
    ("image_encoder.{norm_head,head}.{weight,bias}", ""),
];

// transformers' SamModel → the original. Its `layers` are the original's `blocks` in the image
// encoder only: the decoder's transformer has `layers` in both.
const HF_SAM: &[Rule] = &[
    ("vision_encoder.pos_embed", "image_encoder.pos_embed"),
    (
        "vision_encoder.patch_embed.projection.{weight,bias}",
        "image_encoder.patch_embed.proj.$",
    ),
    (
        "vision_encoder.layers.#.layer_norm{1,2}.{weight,bias}",
        "image_encoder.blocks.$.norm$.$",
    ),
    (
        "vision_encoder.layers.#.attn.{qkv,proj}.{weight,bias}",
        "image_encoder.blocks.$.attn.$.$",
    ),
    (
        "vision_encoder.layers.#.attn.rel_pos_{h,w}",
        "image_encoder.blocks.$.attn.rel_pos_$",
    ),
    (
        "vision_encoder.layers.#.mlp.lin{1,2}.{weight,bias}",
        "image_encoder.blocks.$.mlp.lin$.$",
    ),
    (
        "vision_encoder.neck.{conv1>0,conv2>2}.weight",
        "image_encoder.neck.$.weight",
    ),
    (
        "vision_encoder.neck.{layer_norm1>1,layer_norm2>3}.{weight,bias}",
        "image_encoder.neck.$.$",
    ),
    // The same matrix stands under two names.
    (
        "{shared_image_embedding,prompt_encoder.shared_embedding}.positional_embedding",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    ),
    (
        "prompt_encoder.{no_mask_embed,not_a_point_embed}.weight",
        "@",
    ),
    (
        "prompt_encoder.point_embed.#.weight",
        "prompt_encoder.point_embeddings.$.weight",
    ),
    (
        "prompt_encoder.mask_embed.{conv1>0,layer_norm1>1,conv2>3,layer_norm2>4,conv3>6}.{weight,bias}",
        "prompt_encoder.mask_downscaling.$.$",
    ),
    ("mask_decoder.{iou_token,mask_tokens}.weight", "@"),
    (
        "mask_decoder.transformer.layers.#.{self_attn,cross_attn_token_to_image,cross_attn_image_to_token}.{q,k,v,out}_proj.{weight,bias}",
        "@",
    ),
    (
        "mask_decoder.transformer.layers.#.layer_norm{1,2,3,4}.{weight,bias}",
        "mask_decoder.transformer.layers.$.norm$.$",
    ),
    (
        "mask_decoder.transformer.layers.#.mlp.lin{1,2}.{weight,bias}",
        "@",
    ),
    (
        "mask_decoder.transformer.final_attn_token_to_image.{q,k,v,out}_proj.{weight,bias}",
        "@",
    ),
    (
        "mask_decoder.transformer.layer_norm_final_attn.{weight,bias}",
        "mask_decoder.transformer.norm_final_attn.$",
    ),
    (
        "mask_decoder.{upscale_conv1>0,upscale_layer_norm>1,upscale_conv2>3}.{weight,bias}",
        "mask_decoder.output_upscaling.$.$",
    ),
    (
        "mask_decoder.output_hypernetworks_mlps.#.{proj_in>0,layers.0>1,proj_out>2}.{weight,bias}",
        "mask_decoder.output_hypernetworks_mlps.$.layers.$.$",
    ),
    (
        "mask_decoder.iou_prediction_head.{proj_in>0,layers.0>1,proj_out>2}.{weight,bias}",
        "mask_decoder.iou_prediction_head.layers.$.$",
    ),
];

const HONEYBEE: &[Rule] = &[
    // C-Abstractor: three blocks before the pooling (net.1), three after; timm counts from 1.
    (
        "net.{0>pre,2>post}.b{1>0,2>1,3>2}.conv{1,2,3}.{conv.weight,bn.weight,bn.bias}",
        "ltc.down.$.$.conv$.$",
    ),
    (
        "net.{0>pre,2>post}.b{1>0,2>1,3>2}.se.fc{1,2}.{weight,bias}",
        "ltc.down.$.$.se.fc$.$",
    ),
    // SiLU between the two layers there, GELU here: a start for training, not the same function.
    ("readout.{0,2}.{weight,bias}", "ltc.out.$.$"),
    // D-Abstractor.
    (
        "layers.#.self_attn.{q,k,v,out}_proj.{weight,bias}",
        "ltc.learner.blocks.$.self_attn.$_proj.$",
    ),
    (
        "layers.#.encoder_attn.{sampling_offsets,attention_weights,value_proj,output_proj}.{weight,bias}",
        "ltc.learner.blocks.$.encoder_attn.$.$",
    ),
    (
        "layers.#.{self_attn_layer_norm,encoder_attn_layer_norm,final_layer_norm}.{weight,bias}",
        "ltc.learner.blocks.$.$.$",
    ),
    (
        "layers.#.fc{1,2}.{weight,bias}",
        "ltc.learner.blocks.$.fc$.$",
    ),
];

const HONEYBEE_POSITIONS: &[Rule] = &[("{pos_emb,v_pos_emb}", "ltc.learner.pos")];

// The abstractor has one query per output token, LTC's learner one per input token; and the
// abstractor's own way out is LTC's downsampler.
const HONEYBEE_IGNORED: &[Rule] = &[
    ("reference_points", ""),
    ("query_position_embeddings.weight", ""),
    ("output_proj.{weight,bias}", ""),
];

/// The original SAM name of a tensor of transformers' `SamModel`.
pub fn sam_original_from_hf(name: &str) -> Option<String> {
    apply(HF_SAM, strip_wrappers(name))
}

/// Where the tensor `name` of a checkpoint in `layout` goes in a package.
pub fn package_name(layout: Layout, name: &str) -> Mapped {
    let name = strip_wrappers(name);
    match layout {
        Layout::HfClip => hf_clip(name),
        Layout::OpenAiClip => openai_clip(name),
        Layout::HfLlama => llama(name),
        Layout::Llava | Layout::Projector => llava(name),
        Layout::Lisa => lisa(name),
        Layout::SamOriginal | Layout::MobileSam => sam(name),
        Layout::HfSam => match sam_original_from_hf(name) {
            Some(original) => by_table(SAM, &[], &original),
            None => Mapped::Unknown,
        },
        Layout::Honeybee => honeybee(name),
    }
}

fn by_table(rules: &[Rule], ignored: &[Rule], name: &str) -> Mapped {
    match apply(rules, name) {
        Some(target) => Mapped::Name(target),
        None if apply(ignored, name).is_some() => Mapped::Ignore,
        None => Mapped::Unknown,
    }
}

fn hf_clip(name: &str) -> Mapped {
    let name = strip_any(
        name,
        &["model.vision_tower.vision_tower.", "model.vision_tower."],
    );
    match name.strip_prefix("vision_model.") {
        Some(name) => by_table(CLIP, CLIP_IGNORED, name),
        None if name.starts_with("text_model.")
            || name.starts_with("visual_projection.")
            || name.starts_with("text_projection.")
            || name == "logit_scale" =>
        {
            Mapped::Ignore
        }
        None => Mapped::Unknown,
    }
}

fn openai_clip(name: &str) -> Mapped {
    let Some(visual) = name.strip_prefix("visual.") else {
        // The text encoder and what describes it.
        let is_text = name.starts_with("transformer.resblocks.")
            || name.starts_with("ln_final.")
            || [
                "token_embedding.weight",
                "positional_embedding",
                "text_projection",
                "logit_scale",
                "input_resolution",
                "context_length",
                "vocab_size",
            ]
            .contains(&name);
        return if is_text {
            Mapped::Ignore
        } else {
            Mapped::Unknown
        };
    };
    if let Some(target) = apply(OPENAI_CLIP_QKV, visual)
        && let Some((before, after)) = target.split_once('|')
    {
        let parts = ["q", "k", "v"].map(|part| format!("{before}{part}{after}"));
        return Mapped::Split(parts.into());
    }
    by_table(OPENAI_CLIP, OPENAI_CLIP_IGNORED, visual)
}

fn llama(name: &str) -> Mapped {
    if apply(LORA_FACTORS, name).is_some() {
        return Mapped::Factor;
    }
    by_table(LLAMA, LLAMA_IGNORED, name)
}

fn llava(name: &str) -> Mapped {
    if let Some(leaf) = strip_first(name, &["model.mm_projector.", "mm_projector."]) {
        by_table(PROJECTOR, &[], leaf)
    } else if name.starts_with("model.vision_tower.") {
        hf_clip(name)
    } else {
        llama(name)
    }
}

fn lisa(name: &str) -> Mapped {
    if let Some(name) = name.strip_prefix("model.visual_model.") {
        sam(name)
    } else if let Some(seg) = name.strip_prefix("model.text_hidden_fcs.") {
        by_table(SEG, &[], seg)
    } else {
        llava(name)
    }
}

fn sam(name: &str) -> Mapped {
    if let Some(target) = apply(TINY_VIT_CONVOLUTIONS, name) {
        return Mapped::BatchNormed(target);
    }
    if apply(TINY_VIT_NORMS, name).is_some() {
        return Mapped::Folded;
    }
    match by_table(TINY_VIT, TINY_VIT_IGNORED, name) {
        Mapped::Unknown => by_table(SAM, SAM_IGNORED, name),
        mapped => mapped,
    }
}

fn honeybee(name: &str) -> Mapped {
    let Some(name) = name.strip_prefix("abstractor.") else {
        return Mapped::Unknown;
    };
    match apply(HONEYBEE_POSITIONS, name) {
        Some(target) => Mapped::Positions(target),
        None => by_table(HONEYBEE, HONEYBEE_IGNORED, name),
    }
}

fn strip_first<'a>(name: &'a str, prefixes: &[&str]) -> Option<&'a str> {
    prefixes.iter().find_map(|prefix| name.strip_prefix(prefix))
}

fn strip_any<'a>(name: &'a str, prefixes: &[&str]) -> &'a str {
    strip_first(name, prefixes).unwrap_or(name)
}
