//! Statistics of the pixels of each cell.

use super::plane::GreyPlane;

/// Mean, deviation, maximum and minimum per cell.
pub type Stats = [Vec<f32>; N_STATS];
pub const N_STATS: usize = 4;

/// The pixels `[start, end)` of a plane `2^octave` times smaller that belong to cell `index`, never
/// empty. A last cell cut off by the border reaches back to a full cell's width.
fn span(index: usize, cell: usize, margin: usize, octave: usize, len: usize) -> (usize, usize) {
    let end = (((index + 1) * cell + margin) >> octave).clamp(1, len);
    let start = ((index * cell).saturating_sub(margin) >> octave).min(end - 1);
    let full = (cell >> octave).max(1);
    (start.min(end.saturating_sub(full)), end)
}

pub fn cell_stats(
    plane: &GreyPlane,
    octave: usize,
    grid: (usize, usize),
    cell: usize,
    margin: usize,
) -> Stats {
    let (w, n) = (plane.width, grid.0 * grid.1);
    let mut out: Stats = [(); N_STATS].map(|()| vec![0.0; n]);
    let (mut sum, mut squares) = (vec![0.0f32; w], vec![0.0f32; w]);
    let (mut high, mut low) = (vec![0.0f32; w], vec![0.0f32; w]);
    for row in 0..grid.1 {
        let (y0, y1) = span(row, cell, margin, octave, plane.height);
        sum.fill(0.0);
        squares.fill(0.0);
        high.fill(f32::MIN);
        low.fill(f32::MAX);
        for y in y0..y1 {
            let line = plane.row(y as isize);
            let sums = sum.iter_mut().zip(&mut squares);
            let bounds = high.iter_mut().zip(&mut low);
            for ((&v, (s, q)), (h, l)) in line.iter().zip(sums).zip(bounds) {
                *s += v;
                *q += v * v;
                // Not f32::max: its NaN rules cost instructions that not every target has.
                *h = if v > *h { v } else { *h };
                *l = if v < *l { v } else { *l };
            }
        }
        for column in 0..grid.0 {
            let (x0, x1) = span(column, cell, margin, octave, w);
            let n = ((x1 - x0) * (y1 - y0)) as f32;
            let mean = sum[x0..x1].iter().sum::<f32>() / n;
            let square = squares[x0..x1].iter().sum::<f32>() / n;
            let i = row * grid.0 + column;
            out[0][i] = mean;
            out[1][i] = (square - mean * mean).max(0.0).sqrt();
            out[2][i] = high[x0..x1].iter().copied().fold(f32::MIN, f32::max);
            out[3][i] = low[x0..x1].iter().copied().fold(f32::MAX, f32::min);
        }
    }
    out
}
