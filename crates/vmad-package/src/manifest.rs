//! `model.json`: what a package holds, and the checks that make it trustworthy.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::clip;
use crate::plan::{Names, Placement};
use crate::storage::{Dims, stored_entries};
use crate::{MAX_RANK, PackageError, PackageMeta, Sha256, Storage};

/// The `format` field of every manifest.
pub const FORMAT: &str = "vmad-package";
/// The only version this parser knows.
pub const VERSION: u64 = 1;
/// File name of the manifest.
pub const MANIFEST_FILE: &str = "model.json";
/// File name that the writer gives the tokenizer.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// Largest manifest that is read.
pub const MAX_MANIFEST_BYTES: usize = 64 << 20;
/// Largest shard or tokenizer.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// Most tensors a package may have; pieces of split tensors count each.
pub const MAX_TENSORS: usize = 100_000;
/// Most shards a package may have.
pub const MAX_SHARDS: usize = 4096;

const MAX_FILE_NAME: usize = 128;
const MAX_TENSOR_NAME: usize = 512;

/// A checked `model.json`.
///
/// Invariant: file names are plain and distinct, tensors have valid shapes and
/// distinct names, and every piece of a tensor lies in a listed shard that is
/// large enough for all of its pieces.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Manifest {
    format: &'static str,
    version: u64,
    /// What the model is and how to talk to it.
    #[serde(flatten)]
    pub meta: PackageMeta,
    tokenizer: FileEntry,
    shards: Vec<FileEntry>,
    tensors: Vec<TensorEntry>,
}

/// A file of the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name, relative to `model.json`.
    pub file: String,
    /// Its exact size.
    pub bytes: u64,
    /// The digest of its content.
    pub sha256: Sha256,
}

/// A tensor of the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorEntry {
    /// Its name, as in the public checkpoints, prefixed with the model part.
    pub name: String,
    /// Its shape in PyTorch's orientation, `[out, in]` for a matrix.
    #[serde(deserialize_with = "deserialize_shape")]
    pub shape: Vec<usize>,
    /// How its values are stored.
    pub storage: Storage,
    /// The shard that holds it, or its first piece; counted from 0.
    pub shard: usize,
    /// Present on a tensor too large for one shard: its first dimension is cut
    /// into pieces of this many rows (the last may have fewer), one piece in
    /// each of the shards `shard`, `shard + 1`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_per_shard: Option<usize>,
}

#[derive(Deserialize)]
struct Probe {
    format: String,
    version: u64,
}

#[derive(Deserialize)]
struct Body {
    tokenizer: FileEntry,
    shards: Vec<FileEntry>,
    tensors: Vec<TensorEntry>,
}

impl Manifest {
    /// Reads and checks a `model.json`.
    pub fn parse(json: &[u8]) -> Result<Self, PackageError> {
        if json.len() > MAX_MANIFEST_BYTES {
            return Err(PackageError::ManifestTooLarge {
                bytes: json.len(),
                limit: MAX_MANIFEST_BYTES,
            });
        }
        // One pass for each group of fields: an unknown version is reported as
        // such whatever else has changed, and each pass sees repeated keys.
        let probe: Probe = serde_json::from_slice(json)?;
        if probe.format != FORMAT {
            return Err(PackageError::Format {
                found: clip(&probe.format),
            });
        }
        if probe.version != VERSION {
            return Err(PackageError::UnknownVersion {
                found: probe.version,
                supported: VERSION,
            });
        }
        let meta: PackageMeta = serde_json::from_slice(json)?;
        let body: Body = serde_json::from_slice(json)?;
        check_meta(&meta)?;
        check_files(&body)?;
        check_tensors(&body)?;
        Ok(Self {
            format: FORMAT,
            version: VERSION,
            meta,
            tokenizer: body.tokenizer,
            shards: body.shards,
            tensors: body.tensors,
        })
    }

    /// The manifest as pretty-printed JSON with a newline at the end.
    pub fn to_json(&self) -> Result<Vec<u8>, PackageError> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    pub(crate) fn unchecked(
        meta: PackageMeta,
        tokenizer: FileEntry,
        shards: Vec<FileEntry>,
        tensors: Vec<TensorEntry>,
    ) -> Self {
        Self {
            format: FORMAT,
            version: VERSION,
            meta,
            tokenizer,
            shards,
            tensors,
        }
    }

    /// The tokenizer's file.
    pub fn tokenizer(&self) -> &FileEntry {
        &self.tokenizer
    }

    /// The weight shards, in order.
    pub fn shards(&self) -> &[FileEntry] {
        &self.shards
    }

    /// The tensors; a split tensor is listed once.
    pub fn tensors(&self) -> &[TensorEntry] {
        &self.tensors
    }

    /// Bytes of all shards and the tokenizer together.
    pub fn total_bytes(&self) -> u64 {
        let files = self.shards.iter().chain([&self.tokenizer]);
        files.map(|file| file.bytes).sum()
    }
}

impl FileEntry {
    /// The entry for a file with this content.
    pub fn describe(file: impl Into<String>, content: &[u8]) -> Self {
        Self {
            file: file.into(),
            bytes: content.len() as u64,
            sha256: Sha256::of(content),
        }
    }

    /// Checks size, then hash.
    pub fn verify(&self, content: &[u8]) -> Result<(), PackageError> {
        if content.len() as u64 != self.bytes {
            return Err(PackageError::FileSize {
                file: self.file.clone(),
                expected: self.bytes,
                actual: content.len() as u64,
            });
        }
        let actual = Sha256::of(content);
        if actual != self.sha256 {
            return Err(PackageError::FileHash {
                file: self.file.clone(),
                expected: self.sha256,
                actual,
            });
        }
        Ok(())
    }
}

pub(crate) fn check_meta(meta: &PackageMeta) -> Result<(), PackageError> {
    meta.templates.validate()?;
    let threshold = &meta.threshold;
    for (field, value, valid) in [
        ("image", threshold.image, threshold.image.is_finite()),
        ("pixel", threshold.pixel, threshold.pixel.is_finite()),
        (
            "temperature",
            threshold.temperature,
            threshold.temperature.is_finite() && threshold.temperature > 0.0,
        ),
    ] {
        if !valid {
            return Err(PackageError::Threshold { field, value });
        }
    }
    Ok(())
}

fn check_limit(what: &str, found: u64, limit: u64) -> Result<(), PackageError> {
    if found <= limit {
        return Ok(());
    }
    Err(PackageError::Limit {
        what: what.to_owned(),
        found,
        limit,
    })
}

fn check_files(body: &Body) -> Result<(), PackageError> {
    check_limit(
        "number of shards",
        body.shards.len() as u64,
        MAX_SHARDS as u64,
    )?;
    // Compared without case: a package must survive a file system that ignores it.
    let mut seen = HashSet::from([MANIFEST_FILE.to_owned()]);
    for entry in body.shards.iter().chain([&body.tokenizer]) {
        if !is_plain_name(&entry.file) {
            return Err(PackageError::FileName {
                name: clip(&entry.file),
            });
        }
        let what = format!("bytes of {:?}", entry.file);
        check_limit(&what, entry.bytes, MAX_FILE_BYTES)?;
        if !seen.insert(entry.file.to_ascii_lowercase()) {
            return Err(PackageError::DuplicateFile {
                file: entry.file.clone(),
            });
        }
    }
    Ok(())
}

/// A list of what is allowed, because what is dangerous (`/`, `\`, `..`, `%2e`,
/// `C:`, `?`) differs between file systems and URLs.
fn is_plain_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty()
        && name.len() <= MAX_FILE_NAME
        && !name.starts_with('.')
        && !name.contains("..")
        && name.bytes().all(plain)
}

pub(crate) fn check_tensor_name(name: &str) -> Result<(), PackageError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > MAX_TENSOR_NAME {
        "it is longer than 512 bytes"
    } else if name.chars().any(char::is_control) {
        "it has control characters"
    } else if name == "__metadata__" {
        "safetensors reserves it"
    } else {
        return Ok(());
    };
    Err(PackageError::TensorName {
        name: clip(name),
        reason,
    })
}

fn check_tensors(body: &Body) -> Result<(), PackageError> {
    check_limit(
        "number of tensors",
        body.tensors.len() as u64,
        MAX_TENSORS as u64,
    )?;
    let mut names = Names::default();
    let mut needed = vec![0u64; body.shards.len()];
    let mut n_pieces = 0usize;
    for tensor in &body.tensors {
        check_tensor_name(&tensor.name)?;
        let dims = tensor.dims()?;
        let entries = stored_entries(&tensor.name, tensor.storage, &dims);
        names.claim(&tensor.name, entries)?;
        let placement = Placement::new(tensor, &dims, body.shards.len())?;
        n_pieces = n_pieces.saturating_add(placement.n_pieces());
        check_limit("pieces of tensors", n_pieces as u64, MAX_TENSORS as u64)?;
        for shard in placement.shards() {
            let piece = placement.piece_in(shard);
            let bytes = piece.map_or(0, |piece| piece.bytes(tensor, &dims));
            if let Some(sum) = needed.get_mut(shard) {
                *sum = sum.saturating_add(bytes);
            }
        }
    }
    for (shard, needed) in body.shards.iter().zip(needed) {
        if needed > shard.bytes {
            return Err(PackageError::ShardTooSmall {
                shard: shard.file.clone(),
                bytes: shard.bytes,
                needed,
            });
        }
    }
    Ok(())
}

impl TensorEntry {
    pub(crate) fn dims(&self) -> Result<Dims, PackageError> {
        Dims::new(&self.shape, self.storage).map_err(|reason| PackageError::TensorShape {
            tensor: self.name.clone(),
            shape: self.shape.clone(),
            reason,
        })
    }
}

/// Reads a shape of at most [`MAX_RANK`] dimensions and stops at the first beyond.
pub(crate) fn deserialize_shape<'de, D>(deserializer: D) -> Result<Vec<usize>, D::Error>
where
    D: Deserializer<'de>,
{
    struct Shape;
    impl<'de> Visitor<'de> for Shape {
        type Value = Vec<usize>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a shape of at most {MAX_RANK} dimensions")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut shape = Vec::with_capacity(4);
            while let Some(dim) = seq.next_element()? {
                if shape.len() == MAX_RANK {
                    return Err(A::Error::invalid_length(MAX_RANK + 1, &self));
                }
                shape.push(dim);
            }
            Ok(shape)
        }
    }
    deserializer.deserialize_seq(Shape)
}
