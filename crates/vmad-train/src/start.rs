//! Weights to start from: those of a package, or random ones.

use std::path::Path;

use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
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

/// Random weights, but for those that packages give.
pub(crate) struct StartWeights {
    random: RandomWeights,
    fresh: Vec<String>,
    /// Patterns of tensor names, each with what gives them; the first that matches does.
    given: Vec<(String, DeviceWeights)>,
}

impl StartWeights {
    /// `start` is what `config` names.
    ///
    /// # Errors
    /// Another of the named packages cannot be read.
    pub fn new(
        device: &Device,
        seed: u64,
        start: Option<(Start, &StartConfig)>,
    ) -> Result<Self, TrainError> {
        let mut weights = Self {
            random: RandomWeights::new(device, seed),
            fresh: Vec::new(),
            given: Vec::new(),
        };
        if let Some((start, config)) = start {
            for (pattern, package) in &config.parts {
                let part = Start::read(package, device)?;
                weights.given.push((pattern.clone(), part.weights));
            }
            weights.given.push(("*".to_owned(), start.weights));
            weights.fresh.clone_from(&config.fresh);
        }
        Ok(weights)
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
        let mut given = self.given.iter_mut();
        match given.find(|(pattern, _)| !is_fresh && name_matches(pattern, name)) {
            Some((_, weights)) => {
                if let Some(weight) = weights.remove(name) {
                    weights.insert(name.to_owned(), fitted(name, weight, shape));
                }
                weights.take(name, shape, init)
            }
            None => self.random.take(name, shape, init),
        }
    }
}

/// A weight whose place depends on the picture's size, resampled where a run's pictures are of another
/// size than those of its start; any other weight as it is.
///
/// CLIP's position embeddings (the class token's row stays), SAM's, and, as SAM does it itself, those of
/// relative positions.
fn fitted(name: &str, weight: LoadedWeight, shape: &[usize]) -> LoadedWeight {
    let LoadedWeight::Dense(flat, actual) = weight else {
        return weight;
    };
    let is_square = |cells: usize| cells.isqrt().pow(2) == cells;
    let fitted = match (name, &actual[..], shape) {
        (_, actual, wanted) if actual == wanted => None,
        (name, [m, d], [n, _]) if name.ends_with(".position_embedding.weight") => {
            (is_square(m - 1) && is_square(n - 1)).then(|| {
                let rows: Tensor<2> = flat.clone().reshape([*m, *d]);
                let grid = rows.clone().narrow(0, 1, m - 1).reshape([-1]);
                let (from, to) = ((m - 1).isqrt(), (n - 1).isqrt());
                let grid = resampled(grid, [from; 2], [to; 2], *d);
                Tensor::cat(vec![rows.narrow(0, 0, 1).reshape([-1]), grid], 0)
            })
        }
        (name, [1, h, w, d], [1, rows, columns, _]) if name.ends_with(".pos_embed") => {
            Some(resampled(flat.clone(), [*h, *w], [*rows, *columns], *d))
        }
        (name, [m, d], [n, _]) if name.contains(".rel_pos_") => {
            Some(resampled(flat.clone(), [1, *m], [1, *n], *d))
        }
        _ => None,
    };
    match fitted {
        Some(fitted) => LoadedWeight::Dense(fitted, shape.to_vec()),
        None => LoadedWeight::Dense(flat, actual),
    }
}

/// A grid `[rows, columns, d]`, flat, brought to another size: bilinear, between centres of cells.
fn resampled(flat: Tensor<1>, from: [usize; 2], to: [usize; 2], d: usize) -> Tensor<1> {
    let grid = flat.reshape([1, from[0], from[1], d]).permute([0, 3, 1, 2]);
    let how = InterpolateOptions::new(InterpolateMode::Bilinear)
        .with_align_corners(false)
        .with_output_size(to);
    interpolate(grid, how).permute([0, 2, 3, 1]).reshape([-1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(values: &[f32], shape: &[usize]) -> LoadedWeight {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        LoadedWeight::Dense(Tensor::from_data(data, &Device::flex()), shape.to_vec())
    }

    fn check(name: &str, from: LoadedWeight, shape: &[usize], expected: &[f32]) {
        let LoadedWeight::Dense(flat, actual) = fitted(name, from, shape) else {
            panic!("{name} is dense");
        };
        assert_eq!(actual, shape, "{name}");
        let values: Vec<f32> = flat.into_data().iter().collect();
        assert_eq!(values, expected, "{name}");
    }

    /// Two cells at ¼ and ¾ of a side, read at ⅛, ⅜, ⅝ and ⅞; outside the outermost there is no more.
    #[test]
    fn positions_are_resampled() {
        let positions = dense(&[9.0, 0.0, 4.0, 0.0, 4.0], &[5, 1]);
        let row = [0.0, 1.0, 3.0, 4.0];
        let clip: Vec<f32> = [9.0].into_iter().chain([row; 4].concat()).collect();
        let name = "clip.embeddings.position_embedding.weight";
        check(name, positions, &[17, 1], &clip);

        let sam = dense(&[0.0, 4.0], &[1, 1, 2, 1]);
        check("sam.image_encoder.pos_embed", sam, &[1, 1, 4, 1], &row);

        let name = "sam.image_encoder.blocks.1.attn.rel_pos_h";
        check(name, dense(&[0.0, 4.0], &[2, 1]), &[4, 1], &row);
    }

    #[test]
    fn nothing_else_is_resampled() {
        let weight = dense(&[0.0, 4.0], &[2, 1]);
        let LoadedWeight::Dense(_, shape) = fitted("llm.norm.weight", weight, &[4, 1]) else {
            panic!("it is dense");
        };
        assert_eq!(shape, [2, 1]);
    }
}
