//! Reads the tensors of a package, or of a checkpoint that holds only what its run has learned.
//!
//! Such a checkpoint has a file [`BASE_FILE`] beside its `model.json`. It names the packages that hold the
//! other tensors, with the hash of their weights, and the tensors that have no values: the run neither learned
//! nor used them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vmad_package::{Joiner, MANIFEST_FILE, Manifest, Sha256, ShardReader, name_matches};

use crate::TrainError;

/// The file that makes a package a checkpoint of learned tensors.
pub const BASE_FILE: &str = "base.json";
/// Most checkpoints that may build on each other.
const MAX_DEPTH: usize = 16;

/// The content of [`BASE_FILE`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The packages that hold the other tensors; the first whose pattern matches is used.
    pub bases: Vec<BasePackage>,
    /// Patterns of the tensors that have no values.
    pub absent: Vec<String>,
}

/// A package that holds tensors of a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasePackage {
    /// Pattern of the tensors' names.
    pub tensors: String,
    /// Its folder, from the checkpoint's folder.
    pub package: PathBuf,
    /// [`weights_sha256`] of its manifest.
    pub weights_sha256: Sha256,
}

/// The tensors of a package in f32, with their shapes.
pub struct PackageWeights {
    /// Its folder.
    pub folder: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// Values and shape by name.
    pub tensors: HashMap<String, (Vec<f32>, Vec<usize>)>,
    /// Patterns of the tensors that have no values.
    pub absent: Vec<String>,
    /// `tokenizer.json`
    pub tokenizer_json: Vec<u8>,
}

impl PackageWeights {
    /// Reads and checks a package, with the tensors that its bases hold.
    ///
    /// # Errors
    /// An unreadable or damaged file; a base that is not there or has other weights than recorded.
    pub fn read(folder: &Path) -> Result<Self, TrainError> {
        Self::read_at(folder, MAX_DEPTH)
    }

    fn read_at(folder: &Path, depth: usize) -> Result<Self, TrainError> {
        let mut package = Self::read_own(folder)?;
        let Some(base) = read_base(folder)? else {
            return Ok(package);
        };
        if depth == 0 {
            return Err(invalid(folder, "its bases lead in a circle".to_owned()));
        }
        package.absent = base.absent;
        for base in base.bases {
            let path = folder.join(&base.package);
            let other = Self::read_at(&path, depth - 1).map_err(|error| {
                let name = base.package.display();
                invalid(folder, format!("its base {name} cannot be read: {error}"))
            })?;
            let actual = weights_sha256(&other.manifest);
            if actual != base.weights_sha256 {
                return Err(TrainError::WrongBase {
                    checkpoint: folder.to_owned(),
                    base: path,
                    expected: base.weights_sha256,
                    actual,
                });
            }
            let matching = other.tensors.into_iter();
            for (name, tensor) in matching.filter(|(name, _)| name_matches(&base.tensors, name)) {
                package.tensors.entry(name).or_insert(tensor);
            }
            package.absent.extend(other.absent);
        }
        Ok(package)
    }

    /// The package without what its bases hold.
    fn read_own(folder: &Path) -> Result<Self, TrainError> {
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
                        .map_err(|error| invalid(folder, error.to_string()))?;
                    tensors.insert(tensor.name, (values, tensor.shape));
                }
            }
        }
        joiner.finish()?;
        Ok(Self {
            folder: folder.to_owned(),
            manifest,
            tensors,
            absent: Vec::new(),
            tokenizer_json,
        })
    }

    /// Returns whether the checkpoint has no values for a tensor that its model has.
    #[must_use]
    pub fn is_absent(&self, name: &str) -> bool {
        let mut patterns = self.absent.iter();
        !self.tensors.contains_key(name) && patterns.any(|p| name_matches(p, name))
    }
}

/// Reads [`BASE_FILE`]; `None` for a package that holds all its tensors.
fn read_base(folder: &Path) -> Result<Option<Base>, TrainError> {
    let path = folder.join(BASE_FILE);
    let json = match std::fs::read(&path) {
        Ok(json) => json,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(TrainError::Io { path, source }),
    };
    serde_json::from_slice(&json)
        .map(Some)
        .map_err(|error| invalid(folder, format!("{BASE_FILE}: {error}")))
}

/// SHA-256 over the hexadecimal SHA-256 of a package's shards, in their order.
#[must_use]
pub fn weights_sha256(manifest: &Manifest) -> Sha256 {
    let shards = manifest.shards().iter();
    let hashes: String = shards.map(|shard| shard.sha256.to_string()).collect();
    Sha256::of(hashes.as_bytes())
}

fn invalid(folder: &Path, message: String) -> TrainError {
    TrainError::Package {
        path: folder.to_owned(),
        message,
    }
}
