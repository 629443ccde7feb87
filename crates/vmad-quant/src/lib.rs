//! Block quantisation of weight matrices: the memory layouts, the packing, and
//! a plain CPU reference of every quantised operation.
//!
//! A matrix `[rows, cols]` (PyTorch orientation: `[out, in]`) is cut along its
//! columns into blocks of [`BLOCK`] values. Each block holds small signed
//! integers and one `f16` scale; a value is `q * scale`. The last block of a
//! row is padded with zeros when `cols` is not a multiple of [`BLOCK`].
//!
//! | | values | range | packed as | scales |
//! |---|---|---|---|---|
//! | [`Q8Matrix`] | `i8` | −127 ..= 127 | `[rows, blocks * 32]` | `[rows, blocks]` |
//! | [`Q4Matrix`] | 4 bits, stored as `q + 8` | −7 ..= 7 | `u32` `[rows, blocks * 4]` | `[rows, blocks]` |
//!
//! Value `i` of a 4-bit block is nibble `i % 8` of word `i / 8`, lowest nibble
//! first. The crate does no I/O and knows no tensor library.

mod error;
mod matrix;
mod reference;
mod search;
mod shape;

pub use error::QuantError;
pub use matrix::{
    Q4Matrix, Q8Matrix, check_q4, check_q8, dequantize_q4, dequantize_q8, quantize_q4, quantize_q8,
};
pub use reference::{gather_q4, gather_q8, matmul_q4, matmul_q8};
pub use shape::{BLOCK, BlockShape, Q4_MAX, Q4_OFFSET, Q8_MAX, WORDS_PER_BLOCK};
