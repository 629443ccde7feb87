//! Names of every layout, one by one, and the recognition of layouts.

use vmad_convert::{ConvertError, Layout, Mapped, package_name, recognise};

fn name(target: &str) -> Mapped {
    Mapped::Name(target.into())
}

#[test]
fn every_layout() {
    let qkv = |leaf: &str| {
        Mapped::Split(
            ["q", "k", "v"]
                .map(|p| format!("clip.encoder.layers.3.self_attn.{p}_proj.{leaf}"))
                .into(),
        )
    };
    let cases = [
        // A
        (
            Layout::HfClip,
            "vision_model.embeddings.class_embedding",
            name("clip.embeddings.class_embedding"),
        ),
        (
            Layout::HfClip,
            "vision_model.pre_layrnorm.bias",
            name("clip.pre_layrnorm.bias"),
        ),
        (
            Layout::HfClip,
            "model.vision_tower.vision_tower.vision_model.encoder.layers.23.self_attn.out_proj.weight",
            name("clip.encoder.layers.23.self_attn.out_proj.weight"),
        ),
        (
            Layout::HfClip,
            "vision_model.encoder.layers.0.mlp.fc2.bias",
            name("clip.encoder.layers.0.mlp.fc2.bias"),
        ),
        (
            Layout::HfClip,
            "vision_model.post_layernorm.weight",
            Mapped::Ignore,
        ),
        (
            Layout::HfClip,
            "vision_model.embeddings.position_ids",
            Mapped::Ignore,
        ),
        (
            Layout::HfClip,
            "text_model.final_layer_norm.weight",
            Mapped::Ignore,
        ),
        (Layout::HfClip, "logit_scale", Mapped::Ignore),
        (
            Layout::HfClip,
            "vision_model.encoder.layers.0.mlp.fc3.bias",
            Mapped::Unknown,
        ),
        (
            Layout::OpenAiClip,
            "visual.transformer.resblocks.3.attn.in_proj_weight",
            qkv("weight"),
        ),
        (
            Layout::OpenAiClip,
            "visual.transformer.resblocks.3.attn.in_proj_bias",
            qkv("bias"),
        ),
        (
            Layout::OpenAiClip,
            "visual.transformer.resblocks.11.mlp.c_proj.weight",
            name("clip.encoder.layers.11.mlp.fc2.weight"),
        ),
        (
            Layout::OpenAiClip,
            "visual.transformer.resblocks.1.ln_2.bias",
            name("clip.encoder.layers.1.layer_norm2.bias"),
        ),
        (
            Layout::OpenAiClip,
            "visual.positional_embedding",
            name("clip.embeddings.position_embedding.weight"),
        ),
        (
            Layout::OpenAiClip,
            "visual.conv1.weight",
            name("clip.embeddings.patch_embedding.weight"),
        ),
        (Layout::OpenAiClip, "visual.proj", Mapped::Ignore),
        (Layout::OpenAiClip, "positional_embedding", Mapped::Ignore),
        (
            Layout::OpenAiClip,
            "transformer.resblocks.3.attn.in_proj_weight",
            Mapped::Ignore,
        ),
        // B
        (
            Layout::HfLlama,
            "model.embed_tokens.weight",
            name("llm.embed_tokens.weight"),
        ),
        (
            Layout::HfLlama,
            "model.layers.31.self_attn.o_proj.weight",
            name("llm.layers.31.self_attn.o_proj.weight"),
        ),
        (
            Layout::HfLlama,
            "model.layers.0.mlp.gate_proj.weight",
            name("llm.layers.0.mlp.gate_proj.weight"),
        ),
        (
            Layout::HfLlama,
            "model.layers.0.post_attention_layernorm.weight",
            name("llm.layers.0.post_attention_layernorm.weight"),
        ),
        (
            Layout::HfLlama,
            "model.norm.weight",
            name("llm.norm.weight"),
        ),
        (
            Layout::HfLlama,
            "lm_head.weight",
            name("llm.lm_head.weight"),
        ),
        (
            Layout::HfLlama,
            "model.layers.5.self_attn.rotary_emb.inv_freq",
            Mapped::Ignore,
        ),
        (
            Layout::HfLlama,
            "model.layers.5.self_attn.q_proj.bias",
            Mapped::Unknown,
        ),
        // C
        (
            Layout::Llava,
            "model.mm_projector.weight",
            name("projector.weight"),
        ),
        (
            Layout::Llava,
            "model.mm_projector.2.bias",
            name("projector.2.bias"),
        ),
        (Layout::Llava, "model.norm.weight", name("llm.norm.weight")),
        (
            Layout::Projector,
            "mm_projector.0.weight",
            name("projector.0.weight"),
        ),
        // D
        (
            Layout::Lisa,
            "model.text_hidden_fcs.0.2.weight",
            name("seg.2.weight"),
        ),
        (
            Layout::Lisa,
            "base_model.model.model.visual_model.mask_decoder.iou_token.weight",
            name("sam.mask_decoder.iou_token.weight"),
        ),
        (
            Layout::Lisa,
            "module.model.mm_projector.bias",
            name("projector.bias"),
        ),
        (
            Layout::Lisa,
            "model.visual_model.pixel_mean",
            Mapped::Ignore,
        ),
        // E
        (
            Layout::SamOriginal,
            "image_encoder.blocks.31.attn.rel_pos_h",
            name("sam.image_encoder.blocks.31.attn.rel_pos_h"),
        ),
        (
            Layout::SamOriginal,
            "image_encoder.layers.0.norm1.weight",
            Mapped::Unknown,
        ),
        (
            Layout::SamOriginal,
            "image_encoder.neck.0.bias",
            Mapped::Unknown,
        ),
        // F
        (
            Layout::HfSam,
            "mask_decoder.transformer.layers.1.layer_norm4.weight",
            name("sam.mask_decoder.transformer.layers.1.norm4.weight"),
        ),
        (
            Layout::HfSam,
            "mask_decoder.output_hypernetworks_mlps.2.layers.0.bias",
            name("sam.mask_decoder.output_hypernetworks_mlps.2.layers.1.bias"),
        ),
        // G
        (
            Layout::Projector,
            "model.mm_projector.k_proj_1.0.weight",
            name("projector.k_proj_1.0.weight"),
        ),
        (
            Layout::Projector,
            "model.mm_projector.clip_attn.in_proj_weight",
            name("projector.clip_attn.in_proj_weight"),
        ),
        // H
        (
            Layout::Honeybee,
            "abstractor.net.0.b1.conv2.bn.weight",
            name("ltc.down.pre.0.conv2.bn.weight"),
        ),
        (
            Layout::Honeybee,
            "abstractor.net.2.b3.se.fc2.bias",
            name("ltc.down.post.2.se.fc2.bias"),
        ),
        (
            Layout::Honeybee,
            "abstractor.layers.4.encoder_attn.sampling_offsets.weight",
            name("ltc.learner.blocks.4.encoder_attn.sampling_offsets.weight"),
        ),
        (
            Layout::Honeybee,
            "abstractor.layers.0.self_attn_layer_norm.bias",
            name("ltc.learner.blocks.0.self_attn_layer_norm.bias"),
        ),
        (
            Layout::Honeybee,
            "abstractor.pos_emb",
            Mapped::Positions("ltc.learner.pos".into()),
        ),
        (
            Layout::Honeybee,
            "abstractor.reference_points",
            Mapped::Ignore,
        ),
        // MobileSAM
        (
            Layout::MobileSam,
            "image_encoder.patch_embed.seq.2.c.weight",
            Mapped::BatchNormed("sam.image_encoder.patch_embed.seq.2.c".into()),
        ),
        (
            Layout::MobileSam,
            "image_encoder.layers.0.blocks.1.conv3.c.weight",
            Mapped::BatchNormed("sam.image_encoder.layers.0.blocks.1.conv3.c".into()),
        ),
        (
            Layout::MobileSam,
            "image_encoder.layers.2.downsample.conv2.c.weight",
            Mapped::BatchNormed("sam.image_encoder.layers.2.downsample.conv2.c".into()),
        ),
        (
            Layout::MobileSam,
            "image_encoder.layers.3.blocks.1.local_conv.bn.running_var",
            Mapped::Folded,
        ),
        (
            Layout::MobileSam,
            "image_encoder.layers.0.downsample.conv1.bn.num_batches_tracked",
            Mapped::Ignore,
        ),
        (
            Layout::MobileSam,
            "image_encoder.layers.2.blocks.5.attn.attention_biases",
            name("sam.image_encoder.layers.2.blocks.5.attn.attention_biases"),
        ),
        (
            Layout::MobileSam,
            "image_encoder.layers.2.blocks.5.attn.attention_bias_idxs",
            Mapped::Ignore,
        ),
        (
            Layout::MobileSam,
            "image_encoder.layers.1.blocks.0.mlp.norm.bias",
            name("sam.image_encoder.layers.1.blocks.0.mlp.norm.bias"),
        ),
        (
            Layout::MobileSam,
            "image_encoder.norm_head.weight",
            Mapped::Ignore,
        ),
        (
            Layout::MobileSam,
            "image_encoder.neck.3.bias",
            name("sam.image_encoder.neck.3.bias"),
        ),
        (
            Layout::MobileSam,
            "image_encoder.layers.1.blocks.0.mlp.fc3.bias",
            Mapped::Unknown,
        ),
        (
            Layout::Lisa,
            "model.visual_model.image_encoder.patch_embed.seq.0.c.weight",
            Mapped::BatchNormed("sam.image_encoder.patch_embed.seq.0.c".into()),
        ),
    ];
    for (layout, source, expected) in cases {
        assert_eq!(
            package_name(layout, source),
            expected,
            "{layout:?} {source}"
        );
    }
}

#[test]
fn layouts_are_recognised() {
    let clip = "vision_model.pre_layrnorm.weight";
    let llama = "model.layers.0.mlp.up_proj.weight";
    let cases: [(&[&str], Layout); 10] = [
        (
            &[clip, "text_model.final_layer_norm.weight"],
            Layout::HfClip,
        ),
        (
            &["visual.transformer.resblocks.0.ln_1.weight"],
            Layout::OpenAiClip,
        ),
        (&["lm_head.weight", llama], Layout::HfLlama),
        (&[llama, "model.mm_projector.weight"], Layout::Llava),
        (
            &["base_model.model.model.text_hidden_fcs.0.0.weight", llama],
            Layout::Lisa,
        ),
        (&["model.mm_projector.0.weight"], Layout::Projector),
        (
            &["module.image_encoder.blocks.0.norm1.weight"],
            Layout::SamOriginal,
        ),
        (
            &[
                "mask_decoder.output_upscaling.0.weight",
                "image_encoder.layers.1.blocks.0.attn.qkv.weight",
            ],
            Layout::MobileSam,
        ),
        (
            &["vision_encoder.layers.0.layer_norm1.weight"],
            Layout::HfSam,
        ),
        (&["abstractor.pos_emb"], Layout::Honeybee),
    ];
    for (names, expected) in cases {
        match recognise(names.iter().copied()) {
            Ok(layout) => assert_eq!(layout, expected, "{names:?}"),
            Err(error) => panic!("{names:?}: {error}"),
        }
    }
}

#[test]
fn what_cannot_be_converted_says_why() {
    let error = recognise(["tok_embeddings.weight", "layers.0.attention.wq.weight"]);
    assert!(matches!(error, Err(ConvertError::MetaInterleaved(_))));
    let message = error.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(message.contains("interleaved"), "{message}");

    assert!(matches!(
        recognise(["backbone.stem.weight"]),
        Err(ConvertError::UnknownLayout(_))
    ));
    assert!(matches!(recognise([]), Err(ConvertError::UnknownLayout(_))));
}

#[test]
fn factors_stand_beside_their_matrices() {
    let layer = "base_model.model.model.layers.7.self_attn";
    let base = || name("llm.layers.7.self_attn.v_proj.weight");
    for (leaf, expected) in [
        ("q_proj.lora_A.default.weight", Mapped::Factor),
        ("v_proj.lora_B.default.weight", Mapped::Factor),
        ("v_proj.lora_B.weight", Mapped::Factor),
        ("v_proj.base_layer.weight", base()),
        ("v_proj.weight", base()),
        ("v_proj.lora_C.weight", Mapped::Unknown),
    ] {
        for layout in [Layout::HfLlama, Layout::Lisa] {
            let actual = package_name(layout, &format!("{layer}.{leaf}"));
            assert_eq!(actual, expected, "{leaf}");
        }
    }
}
