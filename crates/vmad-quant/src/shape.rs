use crate::QuantError;

/// Values that share one scale.
pub const BLOCK: usize = 32;
/// `u32` words of one 4-bit block.
pub const WORDS_PER_BLOCK: usize = BLOCK / 8;
/// Largest magnitude of an 8-bit value; −128 is left out, so the range is symmetric.
pub const Q8_MAX: i8 = 127;
/// Largest magnitude of a 4-bit value; −8 is left out, so the range is symmetric.
pub const Q4_MAX: i8 = 7;
/// Added to a 4-bit value before it is stored, so that nibbles are unsigned.
pub const Q4_OFFSET: i8 = 8;

/// Rows and columns of a quantised matrix.
///
/// Invariant: both are above zero, and the padded matrix in `f32` fits into the
/// address space, so none of the sizes derived from it can overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockShape {
    rows: usize,
    cols: usize,
}

impl BlockShape {
    /// Checks the invariant.
    pub fn new(rows: usize, cols: usize) -> Result<Self, QuantError> {
        if rows == 0 || cols == 0 {
            return Err(QuantError::Empty { rows, cols });
        }
        let bytes = cols
            .checked_next_multiple_of(BLOCK)
            .and_then(|cols_padded| cols_padded.checked_mul(rows))
            .and_then(|len| len.checked_mul(size_of::<f32>()));
        match bytes {
            Some(bytes) if isize::try_from(bytes).is_ok() => Ok(Self { rows, cols }),
            _ => Err(QuantError::TooLarge { rows, cols }),
        }
    }

    /// Rows, the output dimension of a weight.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Columns without padding, the input dimension of a weight.
    pub fn cols(self) -> usize {
        self.cols
    }

    /// Blocks in one row, the last one perhaps padded.
    pub fn blocks_per_row(self) -> usize {
        self.cols.div_ceil(BLOCK)
    }

    /// Columns with padding, a multiple of [`BLOCK`].
    pub fn cols_padded(self) -> usize {
        self.blocks_per_row() * BLOCK
    }

    /// Values without padding.
    pub fn n_values(self) -> usize {
        self.rows * self.cols
    }

    /// Blocks of the matrix, which is also the number of its scales.
    pub fn n_blocks(self) -> usize {
        self.rows * self.blocks_per_row()
    }

    /// Length of the packed 8-bit buffer, in `i8`.
    pub fn q8_len(self) -> usize {
        self.n_blocks() * BLOCK
    }

    /// Length of the packed 4-bit buffer, in `u32`.
    pub fn q4_len(self) -> usize {
        self.n_blocks() * WORDS_PER_BLOCK
    }
}
