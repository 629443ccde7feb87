use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use half::f16;
use vmad_quant::{BLOCK, BlockShape, check_q4, check_q8};

use crate::error::KernelError;

/// How the values of a [`QuantWeight`] are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuantKind {
    /// Signed bytes in -127..=127: 1.0625 bytes per weight with the scales.
    Q8,
    /// Nibbles in -7..=7, stored plus eight: 0.5625 bytes per weight with the scales.
    Q4,
}

impl QuantKind {
    /// Words of 32 bits that hold one block of 32 weights.
    pub(crate) const fn words_per_block(self) -> usize {
        match self {
            Self::Q8 => 8,
            Self::Q4 => 4,
        }
    }
}

/// A matrix `[rows, cols]` (output × input) in packed form on a device.
///
/// Every row is cut into blocks of 32 columns with one f16 scale each; the last block is padded.
/// Values and scales are stored as 32-bit words (four bytes, eight nibbles or two scales to a word),
/// the only integer every backend can address. Weights serve inference: no gradient reaches them.
#[derive(Clone, Debug)]
pub struct QuantWeight {
    kind: QuantKind,
    rows: usize,
    cols: usize,
    /// `[rows * blocks * words_per_block]`
    packed: Tensor<1, Int>,
    /// `[ceil(rows * blocks / 2)]`, block after block, row after row, the lower half word first
    scales: Tensor<1, Int>,
}

impl QuantWeight {
    /// Uploads an int8 weight.
    ///
    /// # Shapes
    /// - q: `[rows, blocks * 32]`, where `blocks = ceil(cols / 32)`
    /// - scales: `[rows, blocks]`
    ///
    /// # Errors
    /// [`KernelError::Weight`] when the parts do not fit together, a value is out of range or the
    /// padding is not zero; [`KernelError::TooLarge`] from 2³² elements on.
    pub fn from_q8(
        rows: usize,
        cols: usize,
        q: &[i8],
        scales: &[f16],
        device: &Device,
    ) -> Result<Self, KernelError> {
        check_q8(shape(rows, cols)?, q, scales)?;
        let words = q
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| i32::from_le_bytes(bytes.map(|byte| byte as u8)))
            .collect();
        Ok(Self::upload(
            QuantKind::Q8,
            rows,
            cols,
            words,
            scales,
            device,
        ))
    }

    /// Uploads an int4 weight.
    ///
    /// # Shapes
    /// - words: `[rows, blocks * 4]`, where `blocks = ceil(cols / 32)`; element `i` of a block is
    ///   nibble `i % 8` of word `i / 8`, stored plus eight, low nibble first
    /// - scales: `[rows, blocks]`
    ///
    /// # Errors
    /// [`KernelError::Weight`] when the parts do not fit together, a value is out of range or the
    /// padding is not zero; [`KernelError::TooLarge`] from 2³² elements on.
    pub fn from_q4(
        rows: usize,
        cols: usize,
        words: &[u32],
        scales: &[f16],
        device: &Device,
    ) -> Result<Self, KernelError> {
        check_q4(shape(rows, cols)?, words, scales)?;
        let words = bytemuck::cast_slice(words).to_vec();
        Ok(Self::upload(
            QuantKind::Q4,
            rows,
            cols,
            words,
            scales,
            device,
        ))
    }

    fn upload(
        kind: QuantKind,
        rows: usize,
        cols: usize,
        words: Vec<i32>,
        scales: &[f16],
        device: &Device,
    ) -> Self {
        let pairs = scales
            .chunks(2)
            .map(|pair| {
                let bits = |i: usize| u32::from(pair.get(i).copied().unwrap_or_default().to_bits());
                (bits(0) | bits(1) << 16).cast_signed()
            })
            .collect();
        Self {
            kind,
            rows,
            cols,
            packed: int_tensor(words, device),
            scales: int_tensor(pairs, device),
        }
    }

    /// One weight whose rows are those of all `weights`, one below the other: their products in one go.
    /// `None` where they differ in kind or width, or where the scales of one would begin in the middle of
    /// a word.
    pub fn stacked(weights: &[&Self]) -> Option<Self> {
        let (last, others) = weights.split_last()?;
        let blocks = last.cols.div_ceil(BLOCK);
        let fits = |w: &&&Self| {
            let is_alike = w.kind == last.kind && w.cols == last.cols;
            is_alike && (w.rows * blocks).is_multiple_of(2)
        };
        if !others.iter().all(|w| fits(&w)) {
            return None;
        }
        let rows = weights.iter().map(|w| w.rows).sum();
        let joined = |part: fn(&Self) -> Tensor<1, Int>| {
            Tensor::cat(weights.iter().map(|w| part(w)).collect(), 0)
        };
        shape(rows, last.cols).ok()?;
        Some(Self {
            kind: last.kind,
            rows,
            cols: last.cols,
            packed: joined(Self::packed),
            scales: joined(Self::scales),
        })
    }

    /// How the values are stored.
    pub fn kind(&self) -> QuantKind {
        self.kind
    }

    /// Output width.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Input width.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Device memory that the weight holds, in bytes.
    pub fn bytes(&self) -> usize {
        let words = self.packed.shape().num_elements() + self.scales.shape().num_elements();
        words * size_of::<u32>()
    }

    /// The device that holds the weight.
    pub fn device(&self) -> Device {
        self.packed.device()
    }

    pub(crate) fn packed(&self) -> Tensor<1, Int> {
        self.packed.clone()
    }

    pub(crate) fn scales(&self) -> Tensor<1, Int> {
        self.scales.clone()
    }
}

/// Weights are constants: they live on the plain device even where training code passes one with
/// autodiff.
fn int_tensor(words: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let n_words = words.len();
    let device = device.clone().inner();
    Tensor::from_data(TensorData::new(words, [n_words]), (&device, DType::I32))
}

/// Shaders count padded elements in 32 bits.
fn shape(rows: usize, cols: usize) -> Result<BlockShape, KernelError> {
    let shape = BlockShape::new(rows, cols)?;
    match u32::try_from(shape.q8_len()) {
        Ok(_) => Ok(shape),
        Err(_) => Err(KernelError::TooLarge { rows, cols }),
    }
}
