//! A trained model as a package.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use sha2::{Digest, Sha256};
use vmad_model::Vmad;
use vmad_package::{Manifest, PackageMeta, PackageWriter, Threshold};

use crate::TrainError;
use crate::config::TrainConfig;

/// The metadata of a package.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// One sentence for people.
    pub description: String,
    /// How the model was made.
    pub provenance: BTreeMap<String, String>,
    /// Default thresholds.
    pub threshold: Threshold,
}

/// Bytes of a shard at the most; small enough for a browser to load in pieces.
pub const SHARD_BYTES: u64 = 8 << 20;

/// Collects parameters by id.
struct Collector {
    values: HashMap<ParamId, (Vec<usize>, Vec<f32>)>,
}

impl ModuleVisitor for Collector {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let shape = value.dims().to_vec();
        let data = value.into_data().iter::<f32>().collect();
        self.values.insert(param.id, (shape, data));
    }
}

/// SHA-256 over the parameters whose names `counts`.
pub fn weights_hash(
    model: &Vmad,
    names: &[(String, ParamId)],
    counts: impl Fn(&str) -> bool,
) -> Vec<u8> {
    let mut collector = Collector {
        values: HashMap::new(),
    };
    model.visit(&mut collector);
    let mut hash = Sha256::new();
    for (name, id) in names.iter().filter(|(name, _)| counts(name)) {
        hash.update(name.as_bytes());
        if let Some((_, values)) = collector.values.get(id) {
            values.iter().for_each(|v| hash.update(v.to_le_bytes()));
        }
    }
    hash.finalize().to_vec()
}

/// Writes `model` as a package into `dir`, quantised by the run's recipe.
///
/// # Errors
/// The package writer's and the file system's.
pub fn export(
    model: &Vmad,
    names: &[(String, ParamId)],
    config: &TrainConfig,
    tokenizer_json: &[u8],
    options: &ExportOptions,
    dir: &Path,
) -> Result<Manifest, TrainError> {
    let io = |source| TrainError::Io {
        path: dir.to_owned(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(io)?;
    let mut collector = Collector {
        values: HashMap::new(),
    };
    model.visit(&mut collector);
    let shapes: HashMap<_, _> = Vmad::shapes(&config.model)?.into_iter().collect();
    let model_config = serde_json::to_value(&config.model).map_err(|error| TrainError::Config {
        path: dir.to_owned(),
        message: error.to_string(),
    })?;
    let meta = PackageMeta {
        name: config.name.clone(),
        description: options.description.clone(),
        license: "MIT OR Apache-2.0".to_owned(),
        provenance: options.provenance.clone(),
        config: model_config,
        conversation: config.conversation.clone(),
        templates: config.templates.clone(),
        threshold: options.threshold.clone(),
    };
    let mut writer = PackageWriter::new(meta, tokenizer_json.to_vec(), SHARD_BYTES)?;
    for (name, id) in names {
        let Some((shape, values)) = collector.values.get(id) else {
            continue;
        };
        // Matrices of convolutions are kept flat in the model; the package has the public shape.
        let shape = shapes.get(name).unwrap_or(shape);
        writer.add(name, shape, values, config.recipe.storage_for(name, shape))?;
    }
    let manifest = writer.finish(&mut |file, content| std::fs::write(dir.join(file), content))?;
    Ok(manifest)
}
