//! Weights to start from: those of packages, or random ones.

use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor, TensorData};
use vmad_model::{
    DeviceWeights, Init, LoadedWeight, ModelError, RandomWeights, Vmad, WeightSource,
};
use vmad_package::name_matches;

use crate::TrainError;
use crate::config::TrainConfig;
use crate::package_weights::PackageWeights;
use crate::stage::stage_of;

/// Weights of packages; random ones for the tensors that the run initialises anew.
pub struct StartWeights {
    random: RandomWeights,
    reinitialise: Vec<String>,
    /// Patterns of tensor names, each with the package that gives them; the first that matches is used.
    sources: Vec<(String, DeviceWeights)>,
    /// Tensors without values that no loss of the run reaches.
    unused: Vec<String>,
}

impl StartWeights {
    /// The weights that a run starts from: those of `package` and of other packages for `start.parts`.
    ///
    /// # Errors
    /// Another package that cannot be read, or a tensor that the run uses and its package has no values for.
    pub fn new(
        device: &Device,
        run: &TrainConfig,
        package: Option<PackageWeights>,
    ) -> Result<Self, TrainError> {
        let mut weights = Self {
            random: RandomWeights::new(device, run.seed),
            reinitialise: Vec::new(),
            sources: Vec::new(),
            unused: Vec::new(),
        };
        let (Some(package), Some(start)) = (package, &run.start) else {
            return Ok(weights);
        };
        let mut packages = Vec::new();
        for (pattern, folder) in &start.parts {
            packages.push((pattern.clone(), PackageWeights::read(folder)?));
        }
        packages.push(("*".to_owned(), package));
        weights.reinitialise.clone_from(&start.reinitialise);
        let unused = stage_of(run).unused(run);
        let matches = |patterns: &[String], name: &str| {
            let mut patterns = patterns.iter();
            patterns.any(|pattern| name_matches(pattern, name))
        };
        for (name, _) in Vmad::shapes(&run.model)? {
            let source = packages.iter().find(|(p, _)| name_matches(p, &name));
            let is_absent = source.is_some_and(|(_, package)| package.is_absent(&name));
            if !is_absent || matches(&start.reinitialise, &name) {
                continue;
            }
            if let Some((_, package)) = source
                && !matches(&unused, &name)
            {
                return Err(TrainError::AbsentTensor {
                    name,
                    package: package.folder.clone(),
                });
            }
            weights.unused.push(name);
        }
        weights.sources = packages
            .into_iter()
            .map(|(pattern, package)| (pattern, on_device(package, device)))
            .collect();
        Ok(weights)
    }
}

fn on_device(package: PackageWeights, device: &Device) -> DeviceWeights {
    let mut weights = DeviceWeights::default();
    for (name, (values, shape)) in package.tensors {
        let flat = TensorData::new(values, [shape.iter().product::<usize>()]);
        let flat = Tensor::from_data(flat, device);
        weights.insert(name, LoadedWeight::Dense(flat, shape));
    }
    weights
}

impl WeightSource for StartWeights {
    fn take(
        &mut self,
        name: &str,
        shape: &[usize],
        init: Init,
    ) -> Result<LoadedWeight, ModelError> {
        if self.unused.iter().any(|unused| unused == name) {
            // Nothing is drawn, so that the other tensors get the same random values.
            return self.random.take(name, shape, Init::Zeros);
        }
        let mut patterns = self.reinitialise.iter();
        let is_new = patterns.any(|pattern| name_matches(pattern, name));
        let mut sources = self.sources.iter_mut();
        match sources.find(|(pattern, _)| !is_new && name_matches(pattern, name)) {
            Some((_, weights)) => {
                if let Some(weight) = weights.remove(name) {
                    weights.insert(name.to_owned(), resized(name, weight, shape));
                }
                weights.take(name, shape, init)
            }
            None => self.random.take(name, shape, init),
        }
    }
}

/// Position embeddings resampled to the run's image size; any other weight as it is.
///
/// These are CLIP's (the class token's row stays), SAM's, and SAM's relative positions, as SAM itself does.
fn resized(name: &str, weight: LoadedWeight, shape: &[usize]) -> LoadedWeight {
    let LoadedWeight::Dense(flat, actual) = weight else {
        return weight;
    };
    let is_square = |cells: usize| cells.isqrt().pow(2) == cells;
    let resized = match (name, &actual[..], shape) {
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
    match resized {
        Some(flat) => LoadedWeight::Dense(flat, shape.to_vec()),
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
        let LoadedWeight::Dense(flat, actual) = resized(name, from, shape) else {
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
        let LoadedWeight::Dense(_, shape) = resized("llm.norm.weight", weight, &[4, 1]) else {
            panic!("it is dense");
        };
        assert_eq!(shape, [2, 1]);
    }
}
