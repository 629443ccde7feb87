use std::borrow::Cow;

use half::f16;
use vmad_quant::{BlockShape, QuantError, dequantize_q4, dequantize_q8};

use crate::Storage;

const _: () = assert!(
    cfg!(target_endian = "little"),
    "weights are used as they lie in the file, which is little-endian"
);

/// A tensor of a shard, or the piece of a split tensor that the shard holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardTensor<'a> {
    /// Name of the tensor.
    pub name: String,
    /// Shape of what `data` holds. For a piece the first dimension counts its rows.
    pub shape: Vec<usize>,
    /// The values, borrowed from the shard where its alignment allows.
    pub data: TensorData<'a>,
    /// First row of the piece within the whole tensor; 0 for a whole one.
    pub first_row: usize,
    /// Rows of the whole tensor (1 for a scalar).
    pub total_rows: usize,
}

/// The values of a tensor as stored.
///
/// Quantised tensors are matrices: the first dimension by the product of the
/// others, which is padded to `blocks * 32`.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData<'a> {
    /// Flattened, row-major.
    F32(Cow<'a, [f32]>),
    /// Flattened, row-major.
    F16(Cow<'a, [f16]>),
    /// 8-bit blocks.
    Int8 {
        /// `[rows, blocks * 32]`
        q: Cow<'a, [i8]>,
        /// `[rows, blocks]`
        scales: Cow<'a, [f16]>,
    },
    /// 4-bit blocks.
    Int4 {
        /// `[rows, blocks * 4]`
        words: Cow<'a, [u32]>,
        /// `[rows, blocks]`
        scales: Cow<'a, [f16]>,
    },
}

impl ShardTensor<'_> {
    /// Whether this is all of the tensor.
    pub fn is_whole(&self) -> bool {
        self.first_row == 0 && self.n_rows() == self.total_rows
    }

    /// Rows that `data` holds: the first dimension, or 1 for a scalar.
    pub fn n_rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Values of a row: the product of the other dimensions.
    pub fn n_cols(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// The values in `f32`, flattened and without padding.
    ///
    /// Fails only on a tensor that was put together by hand and whose data does
    /// not suit its shape.
    pub fn to_f32(&self) -> Result<Vec<f32>, QuantError> {
        let blocks = || BlockShape::new(self.n_rows(), self.n_cols());
        match &self.data {
            TensorData::F32(values) => Ok(values.to_vec()),
            TensorData::F16(values) => Ok(values.iter().map(|v| v.to_f32()).collect()),
            TensorData::Int8 { q, scales } => dequantize_q8(blocks()?, q, scales),
            TensorData::Int4 { words, scales } => dequantize_q4(blocks()?, words, scales),
        }
    }

    /// The tensor with its values copied out of the shard.
    pub fn into_owned(self) -> ShardTensor<'static> {
        ShardTensor {
            data: self.data.into_owned(),
            name: self.name,
            shape: self.shape,
            first_row: self.first_row,
            total_rows: self.total_rows,
        }
    }
}

impl TensorData<'_> {
    /// How the values are stored.
    pub fn storage(&self) -> Storage {
        match self {
            Self::F32(_) => Storage::F32,
            Self::F16(_) => Storage::F16,
            Self::Int8 { .. } => Storage::Int8,
            Self::Int4 { .. } => Storage::Int4,
        }
    }

    /// Bytes of the values, scales included.
    pub fn bytes(&self) -> usize {
        match self {
            Self::F32(values) => size_of_val::<[f32]>(values),
            Self::F16(values) => size_of_val::<[f16]>(values),
            Self::Int8 { q, scales } => q.len() + size_of_val::<[f16]>(scales),
            Self::Int4 { words, scales } => {
                size_of_val::<[u32]>(words) + size_of_val::<[f16]>(scales)
            }
        }
    }

    /// The values, copied out of the shard.
    pub fn into_owned(self) -> TensorData<'static> {
        fn own<T: Clone>(values: Cow<'_, [T]>) -> Cow<'static, [T]> {
            Cow::Owned(values.into_owned())
        }
        match self {
            Self::F32(values) => TensorData::F32(own(values)),
            Self::F16(values) => TensorData::F16(own(values)),
            Self::Int8 { q, scales } => TensorData::Int8 {
                q: own(q),
                scales: own(scales),
            },
            Self::Int4 { words, scales } => TensorData::Int4 {
                words: own(words),
                scales: own(scales),
            },
        }
    }
}

/// Reads bytes as values: borrowed where the alignment allows, copied where not.
/// The length has been checked to be a whole number of values.
pub(crate) fn cast<T: bytemuck::Pod>(bytes: &[u8]) -> Cow<'_, [T]> {
    match bytemuck::try_cast_slice(bytes) {
        Ok(values) => Cow::Borrowed(values),
        Err(_) => Cow::Owned(bytemuck::pod_collect_to_vec(bytes)),
    }
}
