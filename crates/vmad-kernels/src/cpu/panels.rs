//! f32 products for browsers, where a vector has four lanes and there is no fused multiply-add.
//!
//! The right matrix is packed into panels of eight columns; four rows of the left one are multiplied with a panel at a
//! time. Eight vectors of sums, two of the panel and one of the left stay in registers. The `gemm` crate's kernel of
//! twelve rows and four columns needs all sixteen registers, of which V8 reserves one.

use wide::f32x4;

use super::strided::Strided;

/// Columns of a panel.
const COLUMNS: usize = 8;

/// Rows that are multiplied with a panel at a time.
const ROWS: usize = 4;

/// Rows that are multiplied with all panels before the next rows, so that they stay in the cache.
const BLOCK: usize = 64;

/// `out = scale · a · b` for `a` of `m` × `k` and `b` of `k` × `n`. `a` and `out` come with the strides of their rows.
pub(super) fn gemm(
    [m, n, k]: [usize; 3],
    scale: f32,
    (a, a_stride): (&[f32], usize),
    b: Strided,
    (out, stride): (&mut [f32], usize),
) {
    let panels = packed(b, n, k);
    let scale = f32x4::splat(scale);
    for block in (0..m).step_by(BLOCK) {
        let end = (block + BLOCK).min(m);
        for (panel, first) in panels.chunks_exact(k * COLUMNS).zip((0..).step_by(COLUMNS)) {
            let width = COLUMNS.min(n - first);
            for row in (block..end).step_by(ROWS) {
                // Rows past the end are computed as the last and not stored.
                let rows = std::array::from_fn(|i| &a[(row + i).min(m - 1) * a_stride..][..k]);
                let sums = tile(panel, rows);
                for (row, [low, high]) in (row..end).zip(sums) {
                    let out = &mut out[row * stride + first..][..width];
                    store(out, [low * scale, high * scale]);
                }
            }
        }
    }
}

/// All panels of `b`, row by row; columns past the end are zero.
fn packed((b, [row_stride, column_stride]): Strided, n: usize, k: usize) -> Vec<f32> {
    let mut panels = vec![0.0; n.div_ceil(COLUMNS) * k * COLUMNS];
    for (panel, first) in panels
        .chunks_exact_mut(k * COLUMNS)
        .zip((0..).step_by(COLUMNS))
    {
        let width = COLUMNS.min(n - first);
        let b = &b[first * column_stride..];
        if column_stride == 1 {
            for (row, values) in panel.chunks_exact_mut(COLUMNS).enumerate() {
                values[..width].copy_from_slice(&b[row * row_stride..][..width]);
            }
        } else if row_stride == 1 && width == COLUMNS {
            let columns = std::array::from_fn(|i| &b[i * column_stride..][..k]);
            transpose(panel, columns);
        } else {
            for column in 0..width {
                let values = b[column * column_stride..].iter().step_by(row_stride);
                for (row, value) in panel.chunks_exact_mut(COLUMNS).zip(values) {
                    row[column] = *value;
                }
            }
        }
    }
    panels
}

/// Fills a panel with contiguous columns, four rows at a time.
fn transpose(panel: &mut [f32], columns: [&[f32]; COLUMNS]) {
    let (rows, _) = panel.as_chunks_mut::<COLUMNS>();
    let (fours, rest) = rows.as_chunks_mut::<4>();
    let whole = fours.len() * 4;
    for (at, four) in fours.iter_mut().enumerate() {
        let some = |column: &[f32]| f32x4::from(column.as_chunks::<4>().0[at]);
        let [a, b, c, d, e, f, g, h] = columns;
        let low = f32x4::transpose([some(a), some(b), some(c), some(d)]);
        let high = f32x4::transpose([some(e), some(f), some(g), some(h)]);
        for (row, halves) in four.iter_mut().zip(low.into_iter().zip(high)) {
            *row = bytemuck::cast([halves.0, halves.1]);
        }
    }
    for (at, row) in rest.iter_mut().enumerate() {
        *row = columns.map(|column| column[whole + at]);
    }
}

/// The products of four rows with a panel. Unrolled by hand: the size-optimised build does not unroll loops.
fn tile(panel: &[f32], [a0, a1, a2, a3]: [&[f32]; ROWS]) -> [[f32x4; 2]; ROWS] {
    let [mut s0, mut s1, mut s2, mut s3] = [[f32x4::ZERO; 2]; ROWS];
    let (panel, _) = panel.as_chunks::<COLUMNS>();
    for ((((b, a0), a1), a2), a3) in panel.iter().zip(a0).zip(a1).zip(a2).zip(a3) {
        let b = bytemuck::cast::<_, [f32x4; 2]>(*b);
        add(&mut s0, *a0, b);
        add(&mut s1, *a1, b);
        add(&mut s2, *a2, b);
        add(&mut s3, *a3, b);
    }
    [s0, s1, s2, s3]
}

#[inline(always)]
fn add(sums: &mut [f32x4; 2], a: f32, b: [f32x4; 2]) {
    let a = f32x4::splat(a);
    sums[0] += a * b[0];
    sums[1] += a * b[1];
}

fn store(out: &mut [f32], values: [f32x4; 2]) {
    let [low, high] = values.map(f32x4::to_array);
    if let Some((begin, end)) = out.split_first_chunk_mut::<4>()
        && end.len() == 4
    {
        *begin = low;
        end.copy_from_slice(&high);
    } else {
        for (out, value) in out.iter_mut().zip(low.into_iter().chain(high)) {
            *out = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_gemm_crate() {
        for [m, n, k] in [
            [1, 1, 1],
            [4, 8, 3],
            [5, 9, 16],
            [67, 31, 7],
            [130, 4, 33],
            [3, 130, 64],
        ] {
            for is_transposed in [false, true] {
                let [row, column] = if is_transposed {
                    [1, k + 2]
                } else {
                    [n + 3, 1]
                };
                let length = (k - 1) * row + (n - 1) * column + 1;
                let values = |n: usize, step: f32| -> Vec<f32> {
                    (0..n).map(|i| (i as f32 * step).sin()).collect()
                };
                let (a, b) = (values((m - 1) * (k + 1) + k, 0.7), values(length, 1.3));
                let stride = n + 1;
                let mut expected = vec![f32::NAN; (m - 1) * stride + n];
                let mut actual = expected.clone();
                let sizes = [m, n, k];
                let b = (b.as_slice(), [row, column]);
                // Natively that crate's.
                super::super::gemm::gemm(sizes, 0.5, (&a, k + 1), b, (&mut expected, stride));
                gemm(sizes, 0.5, (&a, k + 1), b, (&mut actual, stride));
                for (i, (x, y)) in actual.iter().zip(&expected).enumerate() {
                    let is_between = i % stride >= n;
                    assert!(
                        if is_between {
                            x.is_nan()
                        } else {
                            (x - y).abs() <= 1e-5
                        },
                        "{sizes:?} [{i}]: {x} should be {y}"
                    );
                }
            }
        }
    }
}
