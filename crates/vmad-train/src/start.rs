//! Weights to start from: those of a package, or random ones.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use vmad_model::{DeviceWeights, Init, LoadedWeight, ModelError, RandomWeights, WeightSource};
use vmad_package::{Joiner, MANIFEST_FILE, Manifest, ShardReader, name_matches};

use crate::TrainError;
use crate::config::StartConfig;

/// A package's tensors in f32, and its tokenizer.
pub(crate) struct Start {
    weights: DeviceWeights,
    /// `tokenizer.json`
    pub tokenizer_json: Vec<u8>,
}

impl Start {
    /// Reads and checks a package; its weights go to `device`.
    pub fn read(folder: &Path, device: &Device) -> Result<Self, TrainError> {
        let read = |file: &str| {
            let path = folder.join(file);
            std::fs::read(&path).map_err(|source| TrainError::Io { path, source })
        };
        let manifest = Manifest::parse(&read(MANIFEST_FILE)?)?;
        let tokenizer_json = read(&manifest.tokenizer().file)?;
        manifest.tokenizer().verify(&tokenizer_json)?;
        let mut joiner = Joiner::default();
        let mut weights = DeviceWeights::default();
        for (index, file) in manifest.shards().iter().enumerate() {
            let bytes = read(&file.file)?;
            for piece in ShardReader::verify_and_parse(&manifest, index, &bytes)? {
                if let Some(tensor) = joiner.push(piece)? {
                    let values = tensor
                        .to_f32()
                        .map_err(|error| TrainError::Readback(error.to_string()))?;
                    let flat = TensorData::new(values, [tensor.shape.iter().product::<usize>()]);
                    let flat = Tensor::from_data(flat, device);
                    weights.insert(tensor.name, LoadedWeight::Dense(flat, tensor.shape));
                }
            }
        }
        joiner.finish()?;
        Ok(Self {
            weights,
            tokenizer_json,
        })
    }
}

/// Random weights, but for those that a package gives.
pub(crate) struct StartWeights {
    random: RandomWeights,
    start: Option<Start>,
    fresh: Vec<String>,
}

impl StartWeights {
    /// `start` is what `config` names.
    pub fn new(device: &Device, seed: u64, start: Option<(Start, &StartConfig)>) -> Self {
        let fresh = start.as_ref().map(|(_, config)| config.fresh.clone());
        Self {
            random: RandomWeights::new(device, seed),
            start: start.map(|(start, _)| start),
            fresh: fresh.unwrap_or_default(),
        }
    }
}

impl WeightSource for StartWeights {
    fn take(
        &mut self,
        name: &str,
        shape: &[usize],
        init: Init,
    ) -> Result<LoadedWeight, ModelError> {
        let is_fresh = self.fresh.iter().any(|pattern| name_matches(pattern, name));
        let Some(start) = self.start.as_mut().filter(|_| !is_fresh) else {
            return self.random.take(name, shape, init);
        };
        start.weights.take(name, shape, init)
    }
}
