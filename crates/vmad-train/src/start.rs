//! Weights to start from: those of a package, or random ones.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use vmad_model::{Init, LoadedWeight, ModelError, RandomWeights, WeightSource};
use vmad_package::{Joiner, MANIFEST_FILE, Manifest, ShardReader, name_matches};

use crate::TrainError;
use crate::config::StartConfig;

/// A package's tensors in f32, and its tokenizer.
pub(crate) struct Start {
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
    /// `tokenizer.json`
    pub tokenizer_json: Vec<u8>,
}

impl Start {
    /// Reads and checks a package.
    pub fn read(folder: &Path) -> Result<Self, TrainError> {
        let read = |file: &str| {
            let path = folder.join(file);
            std::fs::read(&path).map_err(|source| TrainError::Io { path, source })
        };
        let manifest = Manifest::parse(&read(MANIFEST_FILE)?)?;
        let tokenizer_json = read(&manifest.tokenizer().file)?;
        manifest.tokenizer().verify(&tokenizer_json)?;
        let mut joiner = Joiner::default();
        let mut tensors = HashMap::new();
        for (index, file) in manifest.shards().iter().enumerate() {
            let bytes = read(&file.file)?;
            for piece in ShardReader::verify_and_parse(&manifest, index, &bytes)? {
                if let Some(tensor) = joiner.push(piece)? {
                    let values = tensor
                        .to_f32()
                        .map_err(|error| TrainError::Readback(error.to_string()))?;
                    tensors.insert(tensor.name.clone(), (tensor.shape.clone(), values));
                }
            }
        }
        joiner.finish()?;
        Ok(Self {
            tensors,
            tokenizer_json,
        })
    }
}

/// Random weights, but for those that a package gives.
pub(crate) struct StartWeights {
    random: RandomWeights,
    start: Option<Start>,
    fresh: Vec<String>,
    device: Device,
}

impl StartWeights {
    /// `start` is what `config` names.
    pub fn new(device: &Device, seed: u64, start: Option<(Start, &StartConfig)>) -> Self {
        let fresh = start.as_ref().map(|(_, config)| config.fresh.clone());
        Self {
            random: RandomWeights::new(device, seed),
            start: start.map(|(start, _)| start),
            fresh: fresh.unwrap_or_default(),
            device: device.clone(),
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
        let (actual, values) = start
            .tensors
            .remove(name)
            .ok_or_else(|| ModelError::Missing {
                name: name.to_owned(),
                expected: shape.to_vec(),
            })?;
        if actual != shape {
            return Err(ModelError::Shape {
                name: name.to_owned(),
                expected: shape.to_vec(),
                actual,
            });
        }
        let len = values.len();
        let flat = Tensor::from_data(TensorData::new(values, [len]), &self.device);
        Ok(LoadedWeight::Dense(flat, actual))
    }
}
