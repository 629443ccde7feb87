//! Which shards hold the pieces of a tensor, and which names are taken.

use std::collections::HashSet;
use std::ops::Range;

use crate::entry::TensorEntry;
use crate::error::PackageError;
use crate::storage::{Dims, StoredEntry, stored_entries};

/// The names in use: of tensors, and of the entries that hold them. Both must be
/// distinct, and neither follows from the other: `a` in f32 is the entry `a`,
/// `a` in int4 is `a.q4` and `a.scales`.
#[derive(Default)]
pub(crate) struct Names {
    tensors: HashSet<String>,
    entries: HashSet<String>,
}

impl Names {
    /// Takes the names of one more tensor, all or none.
    pub fn claim(&mut self, tensor: &str, entries: Vec<StoredEntry>) -> Result<(), PackageError> {
        let taken_entry = entries.iter().find(|e| self.entries.contains(&e.name));
        let taken = match taken_entry {
            _ if self.tensors.contains(tensor) => tensor,
            Some(entry) => &entry.name,
            None => {
                self.tensors.insert(tensor.to_owned());
                self.entries.extend(entries.into_iter().map(|e| e.name));
                return Ok(());
            }
        };
        Err(PackageError::DuplicateTensor {
            tensor: tensor.to_owned(),
            entry: taken.to_owned(),
        })
    }
}

/// The shards of one tensor.
///
/// Invariant: all of them are listed in the manifest.
pub(crate) struct Placement {
    first_shard: usize,
    n_pieces: usize,
    n_rows: usize,
    rows_per_shard: usize,
}

/// The rows of a tensor that one shard holds.
#[derive(Clone, Copy)]
pub(crate) struct PieceRows {
    pub first: usize,
    pub len: usize,
}

impl Placement {
    pub fn new(tensor: &TensorEntry, dims: &Dims, n_shards: usize) -> Result<Self, PackageError> {
        let n_rows = dims.rows();
        let rows_per_shard = tensor.rows_per_shard.unwrap_or(n_rows);
        if rows_per_shard == 0 || (tensor.rows_per_shard.is_some() && rows_per_shard >= n_rows) {
            return Err(PackageError::TensorShape {
                tensor: tensor.name.clone(),
                shape: tensor.shape.clone(),
                reason: "rows_per_shard is not between 1 and the rows less one",
            });
        }
        let n_pieces = n_rows.div_ceil(rows_per_shard);
        let last_shard = tensor.shard.saturating_add(n_pieces - 1);
        if last_shard >= n_shards {
            return Err(PackageError::ShardIndex {
                tensor: tensor.name.clone(),
                shard: last_shard,
                n_shards,
            });
        }
        Ok(Self {
            first_shard: tensor.shard,
            n_pieces,
            n_rows,
            rows_per_shard,
        })
    }

    pub fn n_pieces(&self) -> usize {
        self.n_pieces
    }

    pub fn shards(&self) -> Range<usize> {
        self.first_shard..self.first_shard + self.n_pieces
    }

    /// The rows that lie in `shard`, if any do.
    pub fn piece_in(&self, shard: usize) -> Option<PieceRows> {
        let piece = shard.checked_sub(self.first_shard)?;
        if piece >= self.n_pieces {
            return None;
        }
        let first = piece * self.rows_per_shard;
        Some(PieceRows {
            first,
            len: self.rows_per_shard.min(self.n_rows - first),
        })
    }
}

impl PieceRows {
    /// Bytes of this piece of the tensor.
    pub fn bytes(self, tensor: &TensorEntry, dims: &Dims) -> u64 {
        let whole: u64 = stored_entries(&tensor.name, tensor.storage, dims)
            .iter()
            .map(StoredEntry::bytes)
            .sum();
        whole / dims.rows() as u64 * self.len as u64
    }
}
