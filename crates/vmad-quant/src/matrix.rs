//! The two matrix types, and the free functions that work on borrowed buffers.

use half::f16;

use crate::search::quantize_block;
use crate::{BLOCK, BlockShape, Q4_MAX, Q4_OFFSET, Q8_MAX, QuantError, WORDS_PER_BLOCK};

/// A matrix in 8-bit blocks.
///
/// Invariant: buffer lengths follow from the shape, scales are finite, values
/// are within ±127, padding is zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Q8Matrix {
    shape: BlockShape,
    values: Vec<i8>,
    scales: Vec<f16>,
}

impl Q8Matrix {
    /// Takes packed buffers, `values: [rows, blocks * 32]` and `scales: [rows, blocks]`.
    pub fn new(
        rows: usize,
        cols: usize,
        values: Vec<i8>,
        scales: Vec<f16>,
    ) -> Result<Self, QuantError> {
        let shape = BlockShape::new(rows, cols)?;
        check_q8(shape, &values, &scales)?;
        Ok(Self {
            shape,
            values,
            scales,
        })
    }

    /// Rows, columns and what follows from them.
    pub fn shape(&self) -> BlockShape {
        self.shape
    }

    /// Rows, the output dimension.
    pub fn rows(&self) -> usize {
        self.shape.rows()
    }

    /// Columns without padding, the input dimension.
    pub fn cols(&self) -> usize {
        self.shape.cols()
    }

    /// `[rows, blocks * 32]`
    pub fn values(&self) -> &[i8] {
        &self.values
    }

    /// `[rows, blocks]`
    pub fn scales(&self) -> &[f16] {
        &self.scales
    }

    /// `(values, scales)`
    pub fn into_parts(self) -> (Vec<i8>, Vec<f16>) {
        (self.values, self.scales)
    }

    /// `[rows, cols]`, without padding.
    pub fn dequantize(&self) -> Vec<f32> {
        (0..self.rows())
            .flat_map(|row| (0..self.cols()).map(move |col| self.get(row, col)))
            .collect()
    }

    pub(crate) fn get(&self, row: usize, col: usize) -> f32 {
        let q = self.values[row * self.shape.cols_padded() + col];
        let scale = self.scales[row * self.shape.blocks_per_row() + col / BLOCK];
        f32::from(q) * scale.to_f32()
    }
}

/// A matrix in 4-bit blocks, eight values to a word.
///
/// Invariant: buffer lengths follow from the shape, scales are finite, values
/// are within ±7, padding is zero (nibble 8).
#[derive(Clone, Debug, PartialEq)]
pub struct Q4Matrix {
    shape: BlockShape,
    words: Vec<u32>,
    scales: Vec<f16>,
}

impl Q4Matrix {
    /// Takes packed buffers, `words: [rows, blocks * 4]` and `scales: [rows, blocks]`.
    pub fn new(
        rows: usize,
        cols: usize,
        words: Vec<u32>,
        scales: Vec<f16>,
    ) -> Result<Self, QuantError> {
        let shape = BlockShape::new(rows, cols)?;
        check_q4(shape, &words, &scales)?;
        Ok(Self {
            shape,
            words,
            scales,
        })
    }

    /// Rows, columns and what follows from them.
    pub fn shape(&self) -> BlockShape {
        self.shape
    }

    /// Rows, the output dimension.
    pub fn rows(&self) -> usize {
        self.shape.rows()
    }

    /// Columns without padding, the input dimension.
    pub fn cols(&self) -> usize {
        self.shape.cols()
    }

    /// `[rows, blocks * 4]`
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// `[rows, blocks]`
    pub fn scales(&self) -> &[f16] {
        &self.scales
    }

    /// `(words, scales)`
    pub fn into_parts(self) -> (Vec<u32>, Vec<f16>) {
        (self.words, self.scales)
    }

    /// `[rows, cols]`, without padding.
    pub fn dequantize(&self) -> Vec<f32> {
        (0..self.rows())
            .flat_map(|row| (0..self.cols()).map(move |col| self.get(row, col)))
            .collect()
    }

    pub(crate) fn get(&self, row: usize, col: usize) -> f32 {
        let block = row * self.shape.blocks_per_row() + col / BLOCK;
        let in_block = col % BLOCK;
        let word = self.words[block * WORDS_PER_BLOCK + in_block / 8];
        f32::from(nibble(word, in_block % 8)) * self.scales[block].to_f32()
    }
}

/// Signed value of one nibble of a word, `index` 0 ..= 7 from the lowest.
fn nibble(word: u32, index: usize) -> i8 {
    ((word >> (4 * index)) & 0xf) as i8 - Q4_OFFSET
}

/// Whether any nibble of the word is zero, which would stand for −8.
fn has_zero_nibble(word: u32) -> bool {
    // Borrow from each nibble reaches its top bit only if the nibble was zero
    // (or stands above one that was, which is just as true an answer).
    word.wrapping_sub(0x1111_1111) & !word & 0x8888_8888 != 0
}

/// Checks borrowed 8-bit buffers against the invariant of [`Q8Matrix`].
pub fn check_q8(shape: BlockShape, values: &[i8], scales: &[f16]) -> Result<(), QuantError> {
    check_length("values", shape.q8_len(), values.len())?;
    check_scales(shape, scales)?;
    for (row, row_values) in values.chunks_exact(shape.cols_padded()).enumerate() {
        let range_error = |(col, &q): (usize, &i8)| QuantError::Range {
            row,
            col,
            value: q.into(),
            max: Q8_MAX.into(),
        };
        let outside = row_values.iter().enumerate().find(|(_, q)| **q < -Q8_MAX);
        if let Some(error) = outside.map(range_error) {
            return Err(error);
        }
        check_padding(row, shape, |col| row_values.get(col).copied().unwrap_or(0))?;
    }
    Ok(())
}

/// Checks borrowed 4-bit buffers against the invariant of [`Q4Matrix`].
pub fn check_q4(shape: BlockShape, words: &[u32], scales: &[f16]) -> Result<(), QuantError> {
    check_length("words", shape.q4_len(), words.len())?;
    check_scales(shape, scales)?;
    let words_per_row = shape.blocks_per_row() * WORDS_PER_BLOCK;
    for (row, row_words) in words.chunks_exact(words_per_row).enumerate() {
        let bad_word = row_words
            .iter()
            .enumerate()
            .find(|(_, word)| has_zero_nibble(**word));
        if let Some((index, word)) = bad_word {
            let in_word = (0..8).find(|i| (word >> (4 * i)) & 0xf == 0).unwrap_or(0);
            return Err(QuantError::Range {
                row,
                col: index * 8 + in_word,
                value: -i32::from(Q4_OFFSET),
                max: Q4_MAX.into(),
            });
        }
        check_padding(row, shape, |col| {
            row_words.get(col / 8).map_or(0, |w| nibble(*w, col % 8))
        })?;
    }
    Ok(())
}

fn check_length(what: &'static str, expected: usize, actual: usize) -> Result<(), QuantError> {
    if expected == actual {
        return Ok(());
    }
    Err(QuantError::Length {
        what,
        expected,
        actual,
    })
}

fn check_scales(shape: BlockShape, scales: &[f16]) -> Result<(), QuantError> {
    check_length("scales", shape.n_blocks(), scales.len())?;
    match scales.iter().position(|scale| !scale.is_finite()) {
        None => Ok(()),
        Some(index) => Err(QuantError::Scale {
            row: index / shape.blocks_per_row(),
            block: index % shape.blocks_per_row(),
            value: scales[index].to_f32(),
        }),
    }
}

fn check_padding(
    row: usize,
    shape: BlockShape,
    value_at: impl Fn(usize) -> i8,
) -> Result<(), QuantError> {
    for col in shape.cols()..shape.cols_padded() {
        let value = value_at(col);
        if value != 0 {
            return Err(QuantError::Padding {
                row,
                col,
                value: value.into(),
            });
        }
    }
    Ok(())
}

/// `[rows, cols]` from borrowed 8-bit buffers, without padding.
pub fn dequantize_q8(
    shape: BlockShape,
    values: &[i8],
    scales: &[f16],
) -> Result<Vec<f32>, QuantError> {
    check_q8(shape, values, scales)?;
    let mut out = Vec::with_capacity(shape.n_values());
    for (row_values, row_scales) in values
        .chunks_exact(shape.cols_padded())
        .zip(scales.chunks_exact(shape.blocks_per_row()))
    {
        let row = row_values
            .chunks_exact(BLOCK)
            .zip(row_scales)
            .flat_map(|(block, scale)| block.iter().map(|q| f32::from(*q) * scale.to_f32()));
        out.extend(row.take(shape.cols()));
    }
    Ok(out)
}

/// `[rows, cols]` from borrowed 4-bit buffers, without padding.
pub fn dequantize_q4(
    shape: BlockShape,
    words: &[u32],
    scales: &[f16],
) -> Result<Vec<f32>, QuantError> {
    check_q4(shape, words, scales)?;
    let mut out = Vec::with_capacity(shape.n_values());
    for (row_words, row_scales) in words
        .chunks_exact(shape.blocks_per_row() * WORDS_PER_BLOCK)
        .zip(scales.chunks_exact(shape.blocks_per_row()))
    {
        let row = row_words
            .chunks_exact(WORDS_PER_BLOCK)
            .zip(row_scales)
            .flat_map(|(block, scale)| {
                let scale = scale.to_f32();
                block
                    .iter()
                    .flat_map(move |word| (0..8).map(move |i| f32::from(nibble(*word, i)) * scale))
            });
        out.extend(row.take(shape.cols()));
    }
    Ok(out)
}

/// Quantises `x: [rows, cols]` to 8 bits, scales searched for least squared error.
pub fn quantize_q8(x: &[f32], rows: usize, cols: usize) -> Result<Q8Matrix, QuantError> {
    let shape = BlockShape::new(rows, cols)?;
    let mut values = Vec::with_capacity(shape.q8_len());
    let scales = quantize_blocks(x, shape, Q8_MAX, |block| values.extend_from_slice(block))?;
    Ok(Q8Matrix {
        shape,
        values,
        scales,
    })
}

/// Quantises `x: [rows, cols]` to 4 bits, scales searched for least squared error.
pub fn quantize_q4(x: &[f32], rows: usize, cols: usize) -> Result<Q4Matrix, QuantError> {
    let shape = BlockShape::new(rows, cols)?;
    let mut words = Vec::with_capacity(shape.q4_len());
    let scales = quantize_blocks(x, shape, Q4_MAX, |block| {
        words.extend(block.chunks_exact(8).map(pack_word));
    })?;
    Ok(Q4Matrix {
        shape,
        words,
        scales,
    })
}

/// Eight values within ±7 into one word, the first in the lowest nibble.
fn pack_word(values: &[i8]) -> u32 {
    values.iter().rev().fold(0, |word, q| {
        (word << 4) | u32::from((q + Q4_OFFSET).unsigned_abs())
    })
}

/// Walks the blocks of `x: [rows, cols]`, hands the integers to `emit` and returns the scales.
fn quantize_blocks(
    x: &[f32],
    shape: BlockShape,
    q_max: i8,
    mut emit: impl FnMut(&[i8; BLOCK]),
) -> Result<Vec<f16>, QuantError> {
    check_length("values", shape.n_values(), x.len())?;
    if let Some(index) = x.iter().position(|v| !v.is_finite()) {
        return Err(QuantError::NonFinite {
            row: index / shape.cols(),
            col: index % shape.cols(),
            value: x[index],
        });
    }
    let mut scales = Vec::with_capacity(shape.n_blocks());
    for (row, row_values) in x.chunks_exact(shape.cols()).enumerate() {
        for (block, values) in row_values.chunks(BLOCK).enumerate() {
            let mut padded = [0.0f32; BLOCK];
            padded[..values.len()].copy_from_slice(values);
            let Some(quantised) = quantize_block(&padded, q_max) else {
                let max_abs = values.iter().fold(0.0f32, |max, v| max.max(v.abs()));
                return Err(QuantError::ScaleOverflow {
                    row,
                    block,
                    max_abs,
                });
            };
            emit(&quantised.values);
            scales.push(quantised.scale);
        }
    }
    Ok(scales)
}
