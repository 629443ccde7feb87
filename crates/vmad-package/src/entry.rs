//! The manifest's entries: a file of the package, a tensor of the model.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::storage::{Dims, MAX_RANK, Storage};
use crate::{PackageError, Sha256};

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
