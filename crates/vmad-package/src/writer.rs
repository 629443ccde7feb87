use std::collections::BTreeMap;
use std::io;

use half::f16;
use safetensors::tensor::TensorView;
use vmad_quant::{quantize_q4, quantize_q8};

use crate::manifest::{check_meta, check_tensor_name};
use crate::placement::Names;
use crate::storage::{Dims, Half, StoredEntry, stored_entries};
use crate::{
    FileEntry, MANIFEST_FILE, MAX_FILE_BYTES, Manifest, PackageError, PackageMeta, Storage,
    TOKENIZER_FILE, TensorEntry,
};

/// Length field, braces and padding of a safetensors header, rounded up.
const SHARD_OVERHEAD_BYTES: u64 = 32;

/// Builds a package. Tensors are quantised as they are added and kept until
/// [`finish`](Self::finish); the same content gives the same bytes, in
/// whatever order it was added.
pub struct PackageWriter {
    meta: PackageMeta,
    tokenizer_json: Vec<u8>,
    shard_limit_bytes: u64,
    tensors: BTreeMap<String, Encoded>,
    names: Names,
}

struct Encoded {
    dims: Dims,
    storage: Storage,
    values: Vec<u8>,
    scales: Vec<u8>,
}

impl PackageWriter {
    /// `shard_limit_bytes` is the largest shard file, at most [`MAX_FILE_BYTES`].
    pub fn new(
        meta: PackageMeta,
        tokenizer_json: Vec<u8>,
        shard_limit_bytes: u64,
    ) -> Result<Self, PackageError> {
        check_meta(&meta)?;
        for (what, found) in [
            ("bytes of a shard", shard_limit_bytes),
            ("bytes of the tokenizer", tokenizer_json.len() as u64),
        ] {
            if found > MAX_FILE_BYTES {
                return Err(PackageError::Limit {
                    what: what.to_owned(),
                    found,
                    limit: MAX_FILE_BYTES,
                });
            }
        }
        Ok(Self {
            meta,
            tokenizer_json,
            shard_limit_bytes,
            tensors: BTreeMap::new(),
            names: Names::default(),
        })
    }

    /// Encodes a tensor of `shape`, its values flattened row-major.
    pub fn add(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[f32],
        storage: Storage,
    ) -> Result<(), PackageError> {
        check_tensor_name(name)?;
        let dims = Dims::new(shape, storage).map_err(|reason| PackageError::TensorShape {
            tensor: name.to_owned(),
            shape: shape.to_vec(),
            reason,
        })?;
        if values.len() != dims.blocks().n_values() {
            return Err(PackageError::ValueCount {
                tensor: name.to_owned(),
                shape: shape.to_vec(),
                actual: values.len(),
            });
        }
        let entries = stored_entries(name, storage, &dims);
        let encoded = encode(name, dims, values, storage)?;
        self.names.claim(name, entries)?;
        self.tensors.insert(name.to_owned(), encoded);
        Ok(())
    }

    /// Hands every file to `sink`, `model.json` last, and returns its content.
    pub fn finish(
        self,
        sink: &mut dyn FnMut(&str, &[u8]) -> io::Result<()>,
    ) -> Result<Manifest, PackageError> {
        let mut write = |file: &str, content: &[u8]| {
            sink(file, content).map_err(|source| PackageError::Write {
                file: file.to_owned(),
                source,
            })
        };
        let (layout, tensors) = self.lay_out()?;
        let n_shards = layout.len();
        let mut shards = Vec::with_capacity(n_shards);
        for (index, views) in layout.into_iter().enumerate() {
            let file = format!("weights-{:05}-of-{n_shards:05}.safetensors", index + 1);
            let content =
                safetensors::serialize(views, None).map_err(|source| PackageError::Serialise {
                    shard: file.clone(),
                    source,
                })?;
            write(&file, &content)?;
            shards.push(FileEntry::describe(file, &content));
        }
        write(TOKENIZER_FILE, &self.tokenizer_json)?;
        let tokenizer = FileEntry::describe(TOKENIZER_FILE, &self.tokenizer_json);
        let json = Manifest::unchecked(self.meta.clone(), tokenizer, shards, tensors).to_json()?;
        // What was written is what a reader will accept, or it is not written.
        let manifest = Manifest::parse(&json)?;
        write(MANIFEST_FILE, &json)?;
        Ok(manifest)
    }

    /// Distributes the tensors over shards, in the order of their names.
    fn lay_out(&self) -> Result<(Vec<ShardViews<'_>>, Vec<TensorEntry>), PackageError> {
        let room = self.shard_limit_bytes.saturating_sub(SHARD_OVERHEAD_BYTES);
        let mut shards = Vec::new();
        let mut current: ShardViews = Vec::new();
        let mut used = 0u64;
        let mut tensors = Vec::with_capacity(self.tensors.len());
        for (name, encoded) in &self.tensors {
            let n_rows = encoded.dims.rows();
            let (header, row) = encoded.cost(name);
            let whole = header + row * n_rows as u64;
            let rows_per_shard = if whole <= room {
                n_rows
            } else {
                // Less than `n_rows`, as otherwise the whole would fit.
                usize::try_from(room.saturating_sub(header) / row).unwrap_or(n_rows)
            };
            if rows_per_shard == 0 {
                return Err(PackageError::RowTooLarge {
                    tensor: name.clone(),
                    limit: self.shard_limit_bytes,
                });
            }
            let mut first_shard = None;
            for first_row in (0..n_rows).step_by(rows_per_shard) {
                let n_piece_rows = rows_per_shard.min(n_rows - first_row);
                let cost = header + row * n_piece_rows as u64;
                // A split tensor opens a fresh shard for each of its pieces.
                let is_split = rows_per_shard < n_rows;
                if !current.is_empty() && (is_split || used + cost > room) {
                    shards.push(std::mem::take(&mut current));
                    used = 0;
                }
                first_shard.get_or_insert(shards.len());
                current.extend(encoded.views(name, first_row, n_piece_rows)?);
                used += cost;
            }
            tensors.push(TensorEntry {
                name: name.clone(),
                shape: encoded.dims.shape().to_vec(),
                storage: encoded.storage,
                shard: first_shard.unwrap_or(0),
                rows_per_shard: (rows_per_shard < n_rows).then_some(rows_per_shard),
            });
        }
        if !current.is_empty() {
            shards.push(current);
        }
        Ok((shards, tensors))
    }
}

/// The entries of one shard.
type ShardViews<'a> = Vec<(String, TensorView<'a>)>;

impl Encoded {
    /// Bytes in a shard: at most this many in the header, exactly this many for each row.
    fn cost(&self, name: &str) -> (u64, u64) {
        // `:{"dtype":"F32","shape":[],"data_offsets":[,]},` and quotes, rounded up.
        const FIXED: usize = 64;
        const DIGITS: usize = 21;
        // The longest escape of a character that may be in a name is `\"`.
        let per_entry =
            |entry: &StoredEntry| FIXED + 2 * entry.name.len() + DIGITS * (entry.shape.len() + 2);
        let entries = stored_entries(name, self.storage, &self.dims);
        let header: usize = entries.iter().map(per_entry).sum();
        let data: u64 = entries.iter().map(StoredEntry::bytes).sum();
        (header as u64, data / self.dims.rows() as u64)
    }

    /// The entries of rows `first_row .. first_row + n_rows`.
    fn views(
        &self,
        name: &str,
        first_row: usize,
        n_rows: usize,
    ) -> Result<ShardViews<'_>, PackageError> {
        let broken = |source| PackageError::Serialise {
            shard: name.to_owned(),
            source,
        };
        let dims = self
            .dims
            .with_rows(n_rows, self.storage)
            .map_err(|reason| PackageError::TensorShape {
                tensor: name.to_owned(),
                shape: self.dims.shape().to_vec(),
                reason,
            })?;
        let mut views = Vec::with_capacity(2);
        for entry in stored_entries(name, self.storage, &dims) {
            let bytes = match entry.half {
                Half::Values => &self.values,
                Half::Scales => &self.scales,
            };
            let row_bytes = bytes.len() / self.dims.rows();
            let range = first_row * row_bytes..(first_row + n_rows) * row_bytes;
            let view = TensorView::new(entry.dtype, entry.shape, &bytes[range]).map_err(broken)?;
            views.push((entry.name, view));
        }
        Ok(views)
    }
}

fn encode(
    name: &str,
    dims: Dims,
    values: &[f32],
    storage: Storage,
) -> Result<Encoded, PackageError> {
    let (rows, cols) = (dims.rows(), dims.blocks().cols());
    let unstorable = |index: usize| PackageError::Unstorable {
        tensor: name.to_owned(),
        index,
        value: values[index],
        storage,
    };
    let quantise_error = |source| PackageError::Quantise {
        tensor: name.to_owned(),
        source,
    };
    let (values, scales) = match storage {
        Storage::F32 => {
            if let Some(index) = values.iter().position(|v| !v.is_finite()) {
                return Err(unstorable(index));
            }
            (bytemuck::cast_slice(values).to_vec(), Vec::new())
        }
        Storage::F16 => {
            let halves: Vec<f16> = values.iter().map(|v| f16::from_f32(*v)).collect();
            if let Some(index) = halves.iter().position(|v| !v.is_finite()) {
                return Err(unstorable(index));
            }
            (bytemuck::cast_slice(&halves).to_vec(), Vec::new())
        }
        Storage::Int8 => {
            let quantised = quantize_q8(values, rows, cols).map_err(quantise_error)?;
            let (values, scales) = (quantised.values(), quantised.scales());
            (
                bytemuck::cast_slice(values).to_vec(),
                bytemuck::cast_slice(scales).to_vec(),
            )
        }
        Storage::Int4 => {
            let quantised = quantize_q4(values, rows, cols).map_err(quantise_error)?;
            let (words, scales) = (quantised.words(), quantised.scales());
            (
                bytemuck::cast_slice(words).to_vec(),
                bytemuck::cast_slice(scales).to_vec(),
            )
        }
    };
    Ok(Encoded {
        dims,
        storage,
        values,
        scales,
    })
}
