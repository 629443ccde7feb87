//! A test package of under a megabyte with random weights. It has every part of the model, every
//! kind of storage, and the similarity prior.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use vmad_kernels::cpu_device;
use vmad_model::{Init, LoadedWeight, ModelError, Vmad, VmadConfig, WeightSource};
use vmad_package::{
    Conversation, PackageError, PackageMeta, PackageWriter, Recipe, Storage, Templates, Threshold,
};

use crate::{EngineError, MemorySource};

/// A small BPE of 603 tokens.
const TOKENIZER: &[u8] = include_bytes!("../../../tests/fixtures/prep/tokenizer.json");

/// The configuration of the nano model, as in `model.json`.
#[must_use]
pub fn config() -> serde_json::Value {
    json!({
        "clip": {
            "image_size": 56, "patch_size": 14, "d_model": 32, "n_layers": 4, "n_heads": 4,
            "d_ff": 32, "layer_norm_eps": 1e-5, "taps": [1, 2, 3, 4], "similarity_prompt": true
        },
        "projector": {
            "kind": "ltc", "grid": 4, "d_vision": 32, "d_text": 64, "d_hidden": 64, "n_levels": 4,
            "stride": 2, "n_heads": 4, "n_points": 4, "n_learner_blocks": 1, "n_res_blocks": 1,
            "d_ff": 32, "se_dim": 8, "inject_heads": 4, "fusion": "residual"
        },
        "llm": {
            "vocab_size": 603, "d_model": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2,
            "d_ff": 48, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "max_positions": 640,
            "tie_embeddings": false
        },
        "sam": {
            "image_size": 64, "patch_size": 16, "d_model": 24, "n_layers": 2, "n_heads": 3,
            "d_ff": 32, "window": 3, "global_blocks": [1], "d_out": 32, "layer_norm_eps": 1e-6,
            "decoder_heads": 4, "decoder_layers": 2, "decoder_ff": 48, "n_mask_tokens": 4,
            "cross_downsample": 2, "similarity_prompt": true
        },
        "evidence": { "d_hidden": 24, "place": true }
    })
}

/// The storage of each tensor; every kind occurs.
#[must_use]
pub fn recipe() -> Recipe {
    Recipe::new(Storage::F16)
        .rule("*.bias", Storage::F32)
        .rule("llm.*_proj.weight", Storage::Int4)
        .rule("llm.embed_tokens.weight", Storage::Int8)
        .rule("llm.lm_head.weight", Storage::Int8)
        .rule("clip.encoder.*_proj.weight", Storage::Int8)
        .rule("clip.encoder.*.fc1.weight", Storage::Int8)
        .rule("sam.image_encoder.*.qkv.weight", Storage::Int8)
}

/// Builds the package. The same seed gives the same bytes.
///
/// # Errors
/// None, unless this module has a bug.
pub fn package(seed: u64, shard_limit_bytes: u64) -> Result<MemorySource, EngineError> {
    let config: VmadConfig = serde_json::from_value(config()).map_err(EngineError::ConfigJson)?;
    let meta = PackageMeta {
        name: "nano".to_owned(),
        description: "Random weights, for tests: its answers mean nothing.".to_owned(),
        license: "MIT OR Apache-2.0".to_owned(),
        provenance: BTreeMap::from([("seed".to_owned(), seed.to_string())]),
        config: self::config(),
        conversation: Conversation::vicuna_v1(),
        templates: Templates::paper(),
        threshold: Threshold {
            image: 0.5,
            pixel: 0.5,
            temperature: 1.0,
            source: "none: the weights are random".to_owned(),
        },
    };
    let writer = PackageWriter::new(meta, TOKENIZER.to_vec(), shard_limit_bytes)?;
    let mut recorder = Recorder {
        rng: StdRng::seed_from_u64(seed),
        recipe: recipe(),
        failure: None,
        writer,
    };
    if let Err(error) = Vmad::new(&config, &mut recorder) {
        return Err(recorder.failure.map_or(error.into(), EngineError::from));
    }
    let mut files = MemorySource::default();
    recorder.writer.finish(&mut |file, bytes| {
        files.insert(file, bytes.to_vec());
        Ok(())
    })?;
    Ok(files)
}

/// Draws every tensor that the model requests and writes it into a package. Biases and scales are
/// random as well, so that every term of the model has an effect in tests.
struct Recorder {
    rng: StdRng,
    recipe: Recipe,
    writer: PackageWriter,
    failure: Option<PackageError>,
}

impl Recorder {
    fn draw(&mut self, shape: &[usize], init: Init) -> Vec<f32> {
        let len: usize = shape.iter().product();
        let fan_in: usize = shape.iter().skip(1).product::<usize>().max(1);
        let fan_out = shape.first().copied().unwrap_or(1);
        let (centre, spread) = match init {
            Init::Zeros => (0.0, 0.05),
            Init::Ones => (1.0, 0.1),
            // A uniform distribution of this standard deviation.
            Init::Normal(std) => (0.0, std * 3f64.sqrt()),
            Init::Xavier => (0.0, (6.0 / (fan_in + fan_out) as f64).sqrt()),
            Init::Torch => (0.0, (1.0 / fan_in as f64).sqrt()),
            Init::Directions { .. } => (0.0, 2.0),
        };
        (0..len)
            .map(|_| (centre + spread * self.rng.random_range(-1.0..1.0)) as f32)
            .collect()
    }
}

impl WeightSource for Recorder {
    fn take(
        &mut self,
        name: &str,
        shape: &[usize],
        init: Init,
    ) -> Result<LoadedWeight, ModelError> {
        let values = self.draw(shape, init);
        let storage = self.recipe.storage_for(name, shape);
        if let Err(error) = self.writer.add(name, shape, &values, storage) {
            let message = error.to_string();
            self.failure = Some(error);
            return Err(ModelError::Config(message));
        }
        let len = values.len();
        let flat = Tensor::from_data(TensorData::new(values, [len]), &cpu_device());
        Ok(LoadedWeight::Dense(flat, shape.to_vec()))
    }
}
