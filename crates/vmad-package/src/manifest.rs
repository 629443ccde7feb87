//! `model.json`: the parsed manifest and its checks.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::entry::{FileEntry, TensorEntry};
use crate::error::clip;
use crate::placement::{Names, Placement};
use crate::storage::stored_entries;
use crate::{PackageError, PackageMeta};

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
    /// Description of the model.
    #[serde(flatten)]
    pub meta: PackageMeta,
    tokenizer: FileEntry,
    shards: Vec<FileEntry>,
    tensors: Vec<TensorEntry>,
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
