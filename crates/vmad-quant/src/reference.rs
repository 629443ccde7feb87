//! Plain versions of the quantised operations, for the kernels to be compared
//! with. They are naive on purpose and sum in `f64`, so that what they return
//! does not depend on an order of summation.

use crate::{Q4Matrix, Q8Matrix, QuantError};

/// `y = x · dequant(w)ᵀ` with 4-bit weights.
///
/// # Shapes
/// - x: `[m, cols]`, `m` follows from its length
/// - w: `[rows, cols]`
/// - output: `[m, rows]`
pub fn matmul_q4(x: &[f32], w: &Q4Matrix) -> Result<Vec<f32>, QuantError> {
    matmul(x, w.rows(), w.cols(), |row, col| w.get(row, col))
}

/// `y = x · dequant(w)ᵀ` with 8-bit weights.
///
/// # Shapes
/// - x: `[m, cols]`, `m` follows from its length
/// - w: `[rows, cols]`
/// - output: `[m, rows]`
pub fn matmul_q8(x: &[f32], w: &Q8Matrix) -> Result<Vec<f32>, QuantError> {
    matmul(x, w.rows(), w.cols(), |row, col| w.get(row, col))
}

/// Rows of a 4-bit embedding.
///
/// # Shapes
/// - ids: `[n]`
/// - w: `[rows, cols]`
/// - output: `[n, cols]`
pub fn gather_q4(ids: &[u32], w: &Q4Matrix) -> Result<Vec<f32>, QuantError> {
    gather(ids, w.rows(), w.cols(), |row, col| w.get(row, col))
}

/// Rows of an 8-bit embedding.
///
/// # Shapes
/// - ids: `[n]`
/// - w: `[rows, cols]`
/// - output: `[n, cols]`
pub fn gather_q8(ids: &[u32], w: &Q8Matrix) -> Result<Vec<f32>, QuantError> {
    gather(ids, w.rows(), w.cols(), |row, col| w.get(row, col))
}

fn matmul(
    x: &[f32],
    rows: usize,
    cols: usize,
    weight: impl Fn(usize, usize) -> f32,
) -> Result<Vec<f32>, QuantError> {
    if !x.len().is_multiple_of(cols) {
        return Err(QuantError::PartialRow {
            cols,
            actual: x.len(),
        });
    }
    let mut out = Vec::new();
    for x_row in x.chunks_exact(cols) {
        for row in 0..rows {
            let mut sum = 0.0f64;
            for (col, value) in x_row.iter().enumerate() {
                sum += f64::from(*value) * f64::from(weight(row, col));
            }
            out.push(sum as f32);
        }
    }
    Ok(out)
}

fn gather(
    ids: &[u32],
    rows: usize,
    cols: usize,
    weight: impl Fn(usize, usize) -> f32,
) -> Result<Vec<f32>, QuantError> {
    let mut out = Vec::new();
    for &id in ids {
        let row = usize::try_from(id)
            .ok()
            .filter(|row| *row < rows)
            .ok_or(QuantError::NoSuchRow { id, rows })?;
        out.extend((0..cols).map(|col| weight(row, col)));
    }
    Ok(out)
}
