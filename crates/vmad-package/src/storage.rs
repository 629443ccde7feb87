//! How a tensor is stored, and which safetensors entries that demands.

use std::fmt;

use safetensors::Dtype;
use serde::{Deserialize, Serialize};
use vmad_quant::{BlockShape, WORDS_PER_BLOCK};

/// Dimensions a tensor may have.
pub const MAX_RANK: usize = 8;

/// How a tensor is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// 8-bit blocks of 32 with an `f16` scale each.
    Int8,
    /// 4-bit blocks of 32 with an `f16` scale each.
    Int4,
}

impl Storage {
    /// Whether values are small integers with a scale for each block.
    pub fn is_quantised(self) -> bool {
        matches!(self, Self::Int8 | Self::Int4)
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        })
    }
}

/// A shape seen as a matrix: the first dimension, and the product of the others.
///
/// Invariant: no dimension is zero, at most [`MAX_RANK`] of them, and the
/// (block-padded) size in `f32` fits into the address space. A scalar is 1 × 1.
#[derive(Clone, Debug)]
pub(crate) struct Dims {
    shape: Vec<usize>,
    blocks: BlockShape,
}

impl Dims {
    /// `Err` says what is wrong with the shape.
    pub fn new(shape: &[usize], storage: Storage) -> Result<Self, &'static str> {
        if shape.len() > MAX_RANK {
            return Err("more than 8 dimensions");
        }
        if shape.contains(&0) {
            return Err("a dimension is zero");
        }
        if storage.is_quantised() && shape.len() < 2 {
            return Err("int8 and int4 need at least two dimensions");
        }
        let rows = shape.first().copied().unwrap_or(1);
        let cols = shape
            .iter()
            .skip(1)
            .try_fold(1usize, |product, dim| product.checked_mul(*dim))
            .ok_or("the product of the dimensions overflows")?;
        let blocks =
            BlockShape::new(rows, cols).map_err(|_| "the product of the dimensions overflows")?;
        Ok(Self {
            shape: shape.to_vec(),
            blocks,
        })
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn blocks(&self) -> BlockShape {
        self.blocks
    }

    pub fn rows(&self) -> usize {
        self.blocks.rows()
    }

    /// The same tensor with fewer rows; `rows` is 1 ..= the rows there are.
    pub fn with_rows(&self, rows: usize, storage: Storage) -> Result<Self, &'static str> {
        let mut shape = self.shape.clone();
        match shape.first_mut() {
            Some(first) => *first = rows,
            None => return Ok(self.clone()),
        }
        Self::new(&shape, storage)
    }
}

/// Which half of a quantised tensor an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// The values, or the whole of a tensor that is not quantised.
    Values,
    /// The scales.
    Scales,
}

/// One entry of a safetensors file, as a tensor's storage demands it.
#[derive(Clone, Debug)]
pub(crate) struct StoredEntry {
    pub name: String,
    pub half: Half,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
}

impl StoredEntry {
    /// Bytes of the data. Cannot overflow: the entry comes from [`Dims`].
    pub fn bytes(&self) -> u64 {
        let len = self.shape.iter().map(|dim| *dim as u64).product::<u64>();
        len * (self.dtype.bitsize() / 8) as u64
    }
}

/// The entries that hold a tensor.
pub(crate) fn stored_entries(name: &str, storage: Storage, dims: &Dims) -> Vec<StoredEntry> {
    let blocks = dims.blocks();
    let entry = |suffix: &str, half, dtype, shape| StoredEntry {
        name: format!("{name}{suffix}"),
        half,
        dtype,
        shape,
    };
    let scales = || {
        let shape = vec![blocks.rows(), blocks.blocks_per_row()];
        entry(".scales", Half::Scales, Dtype::F16, shape)
    };
    match storage {
        Storage::F32 => vec![entry("", Half::Values, Dtype::F32, dims.shape().to_vec())],
        Storage::F16 => vec![entry("", Half::Values, Dtype::F16, dims.shape().to_vec())],
        Storage::Int8 => {
            let shape = vec![blocks.rows(), blocks.cols_padded()];
            vec![entry(".q8", Half::Values, Dtype::I8, shape), scales()]
        }
        Storage::Int4 => {
            let shape = vec![blocks.rows(), blocks.blocks_per_row() * WORDS_PER_BLOCK];
            vec![entry(".q4", Half::Values, Dtype::U32, shape), scales()]
        }
    }
}
