use std::ops::Range;

use half::f16;
use vmad_quant::{check_q4, check_q8};

use crate::header::{Located, locate};
use crate::plan::{PlannedPiece, plan_shard};
use crate::storage::Half;
use crate::tensor::cast;
use crate::{FileEntry, Manifest, PackageError, ShardTensor, Storage, TensorData};

/// Reads one shard against a manifest.
pub struct ShardReader<'m> {
    file: &'m FileEntry,
    plan: Vec<PlannedPiece<'m>>,
}

impl<'m> ShardReader<'m> {
    /// Looks up what shard `shard_index` (counted from 0) must hold.
    pub fn new(manifest: &'m Manifest, shard_index: usize) -> Result<Self, PackageError> {
        let n_shards = manifest.shards().len();
        let file = manifest
            .shards()
            .get(shard_index)
            .ok_or(PackageError::NoSuchShard {
                index: shard_index,
                n_shards,
            })?;
        Ok(Self {
            file,
            plan: plan_shard(manifest, shard_index)?,
        })
    }

    /// Checks size and hash of a shard and reads its tensors, in the manifest's
    /// order. They borrow from `bytes`.
    pub fn verify_and_parse<'a>(
        manifest: &Manifest,
        shard_index: usize,
        bytes: &'a [u8],
    ) -> Result<Vec<ShardTensor<'a>>, PackageError> {
        let reader = ShardReader::new(manifest, shard_index)?;
        reader.file.verify(bytes)?;
        reader.parse(bytes)
    }

    /// Reads the tensors without looking at the hash.
    pub(crate) fn parse<'a>(&self, bytes: &'a [u8]) -> Result<Vec<ShardTensor<'a>>, PackageError> {
        let Located { data, ranges } = locate(&self.file.file, &self.plan, bytes)?;
        let mut ranges = ranges.into_iter();
        let mut tensors = Vec::with_capacity(self.plan.len());
        for piece in &self.plan {
            let mut values = &[][..];
            let mut scales = &[][..];
            for (entry, range) in piece.entries.iter().zip(&mut ranges) {
                let entry_bytes = self.slice(data, range)?;
                match entry.half {
                    Half::Values => values = entry_bytes,
                    Half::Scales => scales = entry_bytes,
                }
            }
            let data = match piece.tensor.storage {
                Storage::F32 => TensorData::F32(cast(values)),
                Storage::F16 => TensorData::F16(cast(values)),
                Storage::Int8 => TensorData::Int8 {
                    q: cast(values),
                    scales: cast(scales),
                },
                Storage::Int4 => TensorData::Int4 {
                    words: cast(values),
                    scales: cast(scales),
                },
            };
            self.check_values(piece, &data)?;
            tensors.push(ShardTensor {
                name: piece.tensor.name.clone(),
                shape: piece.dims.shape().to_vec(),
                data,
                first_row: piece.rows.first,
                total_rows: piece.total_rows,
            });
        }
        Ok(tensors)
    }

    fn slice<'a>(&self, data: &'a [u8], range: Range<usize>) -> Result<&'a [u8], PackageError> {
        let end = range.end as u64;
        data.get(range).ok_or_else(|| PackageError::ShardData {
            shard: self.file.file.clone(),
            expected: end,
            actual: data.len() as u64,
        })
    }

    fn check_values(
        &self,
        piece: &PlannedPiece<'_>,
        data: &TensorData<'_>,
    ) -> Result<(), PackageError> {
        let blocks = piece.dims.blocks();
        let quantised = match data {
            TensorData::F32(values) => {
                let found = values.iter().position(|v| !v.is_finite());
                return self.check_finite(piece, found.map(|i| (i, values[i])));
            }
            TensorData::F16(values) => {
                let found = values.iter().position(|v: &f16| !v.is_finite());
                return self.check_finite(piece, found.map(|i| (i, values[i].to_f32())));
            }
            TensorData::Int8 { q, scales } => check_q8(blocks, q, scales),
            TensorData::Int4 { words, scales } => check_q4(blocks, words, scales),
        };
        quantised.map_err(|source| PackageError::Quantised {
            shard: self.file.file.clone(),
            tensor: piece.tensor.name.clone(),
            source,
        })
    }

    fn check_finite(
        &self,
        piece: &PlannedPiece<'_>,
        found: Option<(usize, f32)>,
    ) -> Result<(), PackageError> {
        match found {
            None => Ok(()),
            Some((index, value)) => Err(PackageError::NonFinite {
                shard: self.file.file.clone(),
                tensor: piece.tensor.name.clone(),
                index,
                value,
            }),
        }
    }
}
