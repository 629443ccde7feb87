//! Every part of the model against values computed by PyTorch (`tests/reference`).
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor, TensorData};
use common::{Fixture, Weights, on_every_device};
use vmad_kernels::{Activation, QuantWeight};
use vmad_model::clip::ClipEncoder;
use vmad_model::config::{ClipConfig, LlamaConfig, LtcConfig, ProjectorConfig, SamConfig};
use vmad_model::evidence::{Evidence, Features};
use vmad_model::llama::{KvCache, Llama};
use vmad_model::nn::Mlp;
use vmad_model::projector::{DeformableAttention, Ltc, Projector};
use vmad_model::sam::{ImageEncoder, MaskDecoder, PromptEncoder};
use vmad_model::{Builder, Init, LoadedWeight, ModelError, Vmad, VmadConfig, WeightSource};

#[test]
fn clip_hidden_states() {
    let fixture = Fixture::read("clip");
    let config: ClipConfig = fixture.config("clip");
    on_every_device(|device| {
        let (mut weights, mut names) = (fixture.weights(device), Vec::new());
        let mut root = Builder::new(&mut weights, &mut names);
        let clip = ClipEncoder::new(&mut root.at("clip"), &config).unwrap();
        let output = clip.forward(fixture.tensor("in.pixels", device), None);
        for (i, state) in output.hidden_states.iter().enumerate() {
            fixture.check(&format!("out.hidden.{i}"), state.clone());
        }
    });
}

/// The shipped stem and the similarity prior, with stored batch statistics and with those of the input.
#[test]
fn clip_extensions() {
    let fixture = Fixture::read("clip_extended");
    let config: ClipConfig = fixture.config("clip");
    on_every_device(|device| {
        let (mut weights, mut names) = (fixture.weights(device), Vec::new());
        let mut root = Builder::new(&mut weights, &mut names);
        let clip = ClipEncoder::new(&mut root.at("clip"), &config).unwrap();
        let prior = Some(fixture.tensor("in.prior", device));
        let pixels: Tensor<4> = fixture.tensor("in.pixels", device);
        let output = clip.forward(pixels.clone(), prior.clone());
        for (i, state) in output.hidden_states.iter().enumerate() {
            fixture.check(&format!("out.hidden.{i}"), state.clone());
        }
        let clip = clip.with_batch_statistics(pixels.clone());
        let output = clip.forward(pixels, prior);
        for (i, state) in output.hidden_states.iter().enumerate() {
            fixture.check(&format!("out.batch_statistics.hidden.{i}"), state.clone());
        }
    });
}

fn check_llama(name: &str, device: &Device) {
    let fixture = Fixture::read(name);
    let config: LlamaConfig = fixture.config("llm");
    let (mut weights, mut names) = (fixture.weights(device), Vec::new());
    let mut root = Builder::new(&mut weights, &mut names);
    let llama = Llama::new(&mut root.at("llm"), &config).unwrap();
    let [batch, n, d] = fixture.shape("out.hidden").try_into().unwrap();
    let x = llama
        .embed(fixture.ints("in.ids"), device)
        .unwrap()
        .reshape([batch, n, d]);

    let hidden = llama
        .forward(x.clone(), &mut KvCache::new(&config))
        .unwrap();
    fixture.check("out.hidden", hidden.clone());
    let logits = llama.logits(hidden.reshape([batch * n, d]));
    fixture.check("out.logits", logits.reshape([batch, n, config.vocab_size]));

    // A prefill of five, then token by token, equals the one pass.
    let mut cache = KvCache::new(&config);
    let mut parts = vec![
        llama
            .forward(x.clone().narrow(1, 0, 5), &mut cache)
            .unwrap(),
    ];
    for i in 5..n {
        parts.push(
            llama
                .forward(x.clone().narrow(1, i, 1), &mut cache)
                .unwrap(),
        );
    }
    fixture.check("out.hidden", Tensor::cat(parts, 1));

    // Going back to an earlier position and on again changes nothing.
    cache.truncate(7);
    let rest = llama.forward(x.narrow(1, 7, n - 7), &mut cache).unwrap();
    let whole: Tensor<3> = fixture.tensor("out.hidden", device);
    let difference = (rest - whole.narrow(1, 7, n - 7))
        .abs()
        .max()
        .into_scalar::<f32>();
    assert!(
        difference <= common::TOLERANCE,
        "after truncation: {difference}"
    );
}

#[test]
fn llama_multi_head() {
    on_every_device(|device| check_llama("llama_mha", device));
}

#[test]
fn llama_grouped_query() {
    on_every_device(|device| check_llama("llama_gqa", device));
}

/// SAM's own, and MobileSAM's with either norm: windows that the map does not fill, one as large as
/// the map and some larger.
#[test]
fn sam_image_encoder() {
    for name in [
        "sam_encoder",
        "sam_encoder_stem",
        "sam_encoder_overlap",
        "tiny_vit",
        "tiny_vit_layer",
    ] {
        let fixture = Fixture::read(name);
        let config: SamConfig = fixture.config("sam");
        on_every_device(|device| {
            let (mut weights, mut names) = (fixture.weights(device), Vec::new());
            let mut root = Builder::new(&mut weights, &mut names);
            let encoder = ImageEncoder::new(&mut root.at("sam.image_encoder"), &config).unwrap();
            let image = encoder.forward(fixture.tensor("in.pixels", device));
            fixture.check("out.image_embedding", image);
            // Nothing of the fixture is left over.
            let asked: BTreeSet<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(asked, fixture.weight_names(), "{name}");
        });
    }
}

/// TinyViT's matrices and 1×1 convolutions may be stored in int8, and then compute what their
/// dequantised values do.
#[test]
fn tiny_vit_quantised() {
    struct Int8<'a> {
        dense: Weights<'a>,
        device: &'a Device,
        keep_packed: bool,
    }
    impl WeightSource for Int8<'_> {
        fn take(
            &mut self,
            name: &str,
            shape: &[usize],
            init: Init,
        ) -> Result<LoadedWeight, ModelError> {
            let weight = self.dense.take(name, shape, init)?;
            let is_matrix = match shape {
                [_, _] => name.ends_with("weight"),
                [_, d_in, 1, 1] => *d_in > 1,
                _ => false,
            };
            let flat = match weight {
                LoadedWeight::Dense(flat, _) if is_matrix => flat,
                other => return Ok(other),
            };
            let (rows, values) = (shape[0], flat.into_data().iter().collect::<Vec<f32>>());
            let cols = values.len() / rows;
            let packed = vmad_quant::quantize_q8(&values, rows, cols).unwrap();
            Ok(if self.keep_packed {
                let (q, scales) = (packed.values(), packed.scales());
                let weight = QuantWeight::from_q8(rows, cols, q, scales, self.device)?;
                LoadedWeight::Quant(weight)
            } else {
                let data = TensorData::new(packed.dequantize(), [rows * cols]);
                LoadedWeight::Dense(Tensor::from_data(data, self.device), shape.to_vec())
            })
        }
    }
    let fixture = Fixture::read("tiny_vit");
    let config: SamConfig = fixture.config("sam");
    on_every_device(|device| {
        let [packed, dequantised] = [true, false].map(|keep_packed| {
            let dense = fixture.weights(device);
            let (mut source, mut names) = (
                Int8 {
                    dense,
                    device,
                    keep_packed,
                },
                Vec::new(),
            );
            let mut root = Builder::new(&mut source, &mut names);
            let encoder = ImageEncoder::new(&mut root.at("sam.image_encoder"), &config).unwrap();
            encoder.forward(fixture.tensor("in.pixels", device))
        });
        let difference = (packed - dequantised).abs().max().into_scalar::<f32>();
        assert!(difference <= common::TOLERANCE, "difference {difference}");
    });
}

#[test]
fn sam_prompt_encoder_and_mask_decoder() {
    let fixture = Fixture::read("sam_decoder");
    let mut config: SamConfig = fixture.config("sam");
    config.similarity_prompt = true;
    on_every_device(|device| {
        let (mut weights, mut names) = (fixture.weights(device), Vec::new());
        let mut root = Builder::new(&mut weights, &mut names);
        let mut sam = root.at("sam");
        let prompt = PromptEncoder::new(&mut sam.at("prompt_encoder"), &config).unwrap();
        let decoder = MaskDecoder::new(&mut sam.at("mask_decoder"), &config).unwrap();
        fixture.check("out.dense_pe", prompt.dense_pe());
        fixture.check("out.no_mask_dense", prompt.dense(None));
        fixture.check(
            "out.dense",
            prompt.dense(Some(fixture.tensor("in.mask", device))),
        );
        let image = fixture.tensor("in.image_embedding", device);
        let sparse = fixture.tensor("in.sparse", device);
        let (pe, dense) = (prompt.dense_pe(), prompt.dense(None));
        let all = decoder.masks(
            image.clone(),
            pe.clone(),
            Tensor::clone(&sparse),
            dense.clone(),
            config.n_mask_tokens,
        );
        fixture.check("out.mask_logits", all);
        // Golden test 2: mask 0 is the one that is used.
        fixture.check("out.mask0", decoder.forward(image, pe, sparse, dense));
    });
}

#[test]
fn deformable_attention() {
    for name in ["deformable", "deformable_zero"] {
        let fixture = Fixture::read(name);
        let config: LtcConfig = fixture.config("projector");
        on_every_device(|device| {
            let (mut weights, mut names) = (fixture.weights(device), Vec::new());
            let mut root = Builder::new(&mut weights, &mut names);
            let mut b = root.at("ltc.learner.blocks.0.encoder_attn");
            let attention =
                DeformableAttention::new(&mut b, config.d_vision, config.n_heads, config.n_points)
                    .unwrap();
            let query: Tensor<3> = fixture.tensor("in.query", device);
            let query = query + fixture.tensor("in.pos", device);
            let reference: Tensor<2> = fixture.tensor("in.reference", device);
            let reference = reference * config.grid as f64;
            let y = attention.forward(query, reference, fixture.tensor("in.value", device));
            fixture.check("out.y", y);
        });
    }
}

fn levels(fixture: &Fixture, device: &Device) -> Vec<Tensor<3>> {
    let all: Tensor<4> = fixture.tensor("in.levels", device);
    let [n_levels, batch, n, d] = all.dims();
    (0..n_levels)
        .map(|l| all.clone().narrow(0, l, 1).reshape([batch, n, d]))
        .collect()
}

#[test]
fn ltc_whole() {
    let fixture = Fixture::read("ltc");
    let config: LtcConfig = fixture.config("projector");
    on_every_device(|device| {
        let (mut weights, mut names) = (fixture.weights(device), Vec::new());
        let mut root = Builder::new(&mut weights, &mut names);
        let ltc = Ltc::new(&mut root.at("ltc"), &config).unwrap();
        let out = ltc.forward(&levels(&fixture, device));
        fixture.check("out.z0", out.z0);
        fixture.check("out.z", out.z);
        fixture.check("out.tokens", out.tokens);
    });
}

/// Golden test 4: with W_out and its bias zero, nothing is injected.
#[test]
fn ltc_without_output_projection_is_z0() {
    let fixture = Fixture::read("ltc");
    let config: LtcConfig = fixture.config("projector");
    let device = vmad_kernels::cpu_device();
    let (mut weights, mut names) = (fixture.weights(&device), Vec::new());
    weights.zeroed = vec![
        "ltc.inject.attn.out_proj.weight",
        "ltc.inject.attn.out_proj.bias",
    ];
    let mut root = Builder::new(&mut weights, &mut names);
    let ltc = Ltc::new(&mut root.at("ltc"), &config).unwrap();
    let out = ltc.forward(&levels(&fixture, &device));
    fixture.check("out.z0", out.z);
}

#[test]
fn region_attention() {
    for name in [
        "region_attention_1",
        "region_attention_4",
        "region_attention_s1",
    ] {
        let fixture = Fixture::read(name);
        let config: LtcConfig = fixture.config("projector");
        on_every_device(|device| {
            let (mut weights, mut names) = (fixture.weights(device), Vec::new());
            let mut root = Builder::new(&mut weights, &mut names);
            let inject =
                vmad_model::projector::Injection::new(&mut root.at("ltc.inject"), &config).unwrap();
            let z0: Tensor<3> = fixture.tensor("in.z0", device);
            let outputs = inject.forward(z0, &levels(&fixture, device));
            for (l, output) in outputs.iter().enumerate() {
                fixture.check(&format!("out.level.{l}"), output.clone());
            }
            let sum = outputs.into_iter().reduce(|a, b| a + b).unwrap();
            fixture.check("out.sum", sum);
        });
    }
}

#[test]
fn other_projectors() {
    for name in ["linear", "mlp2x_gelu", "token_packer", "token_packer_s3"] {
        let fixture = Fixture::read(name);
        let config: ProjectorConfig = fixture.config("projector");
        on_every_device(|device| {
            let (mut weights, mut names) = (fixture.weights(device), Vec::new());
            let mut root = Builder::new(&mut weights, &mut names);
            let projector = Projector::new(&mut root, &config).unwrap();
            fixture.check("out.tokens", projector.forward(&levels(&fixture, device)));
        });
    }
}

#[test]
fn seg_projection() {
    let fixture = Fixture::read("seg");
    on_every_device(|device| {
        let (mut weights, mut names) = (fixture.weights(device), Vec::new());
        let mut root = Builder::new(&mut weights, &mut names);
        let [_, d] = fixture.shape("in.hidden").try_into().unwrap();
        let [_, d_out] = fixture.shape("out.embedding").try_into().unwrap();
        let seg = Mlp::new(&mut root.at("seg"), ("0", "2"), [d, d, d_out], Init::Torch).unwrap();
        let hidden: Tensor<2> = fixture.tensor("in.hidden", device);
        fixture.check("out.embedding", seg.forward(hidden, Activation::Relu));
    });
}

/// Mask features (ours) of a square photograph and of a wide one.
#[test]
fn evidence_of_masks() {
    let fixture = Fixture::read("evidence");
    let config: VmadConfig = serde_json::from_value(fixture.config.clone()).unwrap();
    let sizes = config.evidence.as_ref().unwrap();
    let photos = fixture.ints("in.photos");
    on_every_device(|device| {
        let (mut weights, mut names) = (fixture.weights(device), Vec::new());
        let mut root = Builder::new(&mut weights, &mut names);
        let evidence = Evidence::new(&mut root.at("evidence"), &config, sizes).unwrap();
        let n_taps = config.clip.taps.len();
        let features = Features {
            taps: (0..n_taps)
                .map(|i| fixture.tensor(&format!("in.tap.{i}"), device))
                .collect(),
            image: fixture.tensor("in.image", device),
            frames: photos
                .chunks(2)
                .map(|photo| config.photo_frame((photo[0] as u32, photo[1] as u32)))
                .collect(),
        };
        let logits = fixture.tensor("in.logits", device);
        let found = evidence.forward(logits, &features, &config);
        fixture.check("out.evidence", found.clone());
        fixture.check("out.judged", evidence.with_verdict(found, &[true, false]));
    });
}

#[test]
fn composed_model() {
    const SENTINEL: i32 = -200;
    let fixture = Fixture::read("composed");
    let config: VmadConfig = serde_json::from_value(fixture.config.clone()).unwrap();
    on_every_device(|device| {
        let (model, _) = Vmad::new(&config, &mut fixture.weights(device)).unwrap();
        let pixels: Tensor<3> = fixture.tensor("in.clip.pixels", device);
        let output = model.clip.forward(pixels.unsqueeze(), None);
        for (i, state) in output.hidden_states.iter().enumerate() {
            fixture.check(
                &format!("out.clip.hidden.{i}"),
                state.clone().squeeze_dim::<2>(0),
            );
        }
        let visual = model.project(&output.taps);
        fixture.check("out.projector.out", visual.clone().squeeze_dim::<2>(0));
        let ids = fixture.ints("in.llm.input_ids");
        let x = model
            .embed_prompt(ids, SENTINEL, Some(&visual), device)
            .unwrap();
        let hidden = model
            .llm
            .forward(x, &mut KvCache::new(&config.llm))
            .unwrap();
        let hidden = hidden.squeeze_dim::<2>(0);
        fixture.check("out.llm.hidden", hidden.clone());
        fixture.check("out.llm.logits", model.llm.logits(hidden.clone()));
        // Golden test 1: the state that predicts [SEG] is at j + M − 2.
        let seg_id = fixture.ints("in.seg_id")[0];
        let j = ids.iter().position(|id| *id == seg_id).unwrap();
        let state = j + config.projector.n_visual() - 2;
        assert_eq!(state as i32, fixture.ints("out.seg.state_index")[0]);
        let seg = hidden.narrow(0, state, 1);
        fixture.check("out.seg.hidden", seg.clone().squeeze_dim::<1>(0));
        fixture.check(
            "out.seg.embedding",
            model.seg_embedding(seg.clone()).squeeze_dim::<1>(0),
        );
        let pixels: Tensor<3> = fixture.tensor("in.sam.pixels", device);
        let image = model.sam_encoder.forward(pixels.unsqueeze());
        fixture.check("out.sam.image_embedding", image.clone().squeeze_dim::<3>(0));
        let logits = model.segment(seg, image, None);
        fixture.check(
            "out.mask.logits",
            logits.squeeze_dim::<3>(0).squeeze_dim::<2>(0),
        );
    });
}
