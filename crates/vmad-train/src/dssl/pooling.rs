//! Means over a map of features that leave its padding out, GAP of (9) and (14).

use burn::tensor::{Device, Tensor, TensorData};
use vmad_prep::PhotoFrame;

/// The part of an encoder's square input that shows the photograph, pixels. The rest is padding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Left, upper, right and lower edge; within the square, and not empty.
    pub edges: [f64; 4],
    /// Side of the square.
    pub side: f64,
}

impl Extent {
    /// In SAM's input.
    #[must_use]
    pub fn of_sam(frame: &PhotoFrame) -> Self {
        Self {
            edges: frame.photo_edges_in_sam(),
            side: f64::from(frame.sam_size),
        }
    }

    /// In CLIP's input.
    #[must_use]
    pub fn of_clip(frame: &PhotoFrame) -> Self {
        Self {
            edges: frame.photo_edges_in_clip(),
            side: f64::from(frame.clip_size),
        }
    }

    /// Share of each cell of a `grid`² map that shows the photograph, scaled to a sum of 1.
    ///
    /// # Shapes
    /// - output: `[grid²]`, row-major
    fn weights(&self, grid: usize) -> Vec<f32> {
        let [x0, y0, x1, y1] = self.edges;
        let cell = self.side / grid as f64;
        let covered = |start: f64, end: f64| -> Vec<f64> {
            (0..grid)
                .map(|i| ((i + 1) as f64 * cell).min(end) - (i as f64 * cell).max(start))
                .map(|length| length.max(0.0))
                .collect()
        };
        let (columns, rows) = (covered(x0, x1), covered(y0, y1));
        let area = columns.iter().sum::<f64>() * rows.iter().sum::<f64>();
        rows.iter()
            .flat_map(|row| {
                columns
                    .iter()
                    .map(move |column| (row * column / area) as f32)
            })
            .collect()
    }
}

/// The mean of each picture's cells over its extent.
///
/// # Shapes
/// - cells: `[n, grid², d]`, row-major
/// - extents: n
/// - output: `[n, d]`
pub fn extent_mean(cells: Tensor<3>, extents: &[Extent], device: &Device) -> Tensor<2> {
    let [n, n_cells, d] = cells.dims();
    let grid = n_cells.isqrt();
    let weights = extents
        .iter()
        .flat_map(|extent| extent.weights(grid))
        .collect();
    let weights = Tensor::<3>::from_data(TensorData::new(weights, [n, 1, n_cells]), device);
    weights.matmul(cells).reshape([n, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_weighs_nothing_and_cut_cells_weigh_their_share() {
        let extent = Extent {
            edges: [0.0, 0.0, 30.0, 15.0],
            side: 30.0,
        };
        // Cells of 10 px: a full row, half a row, nothing.
        let expected = [2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0].map(|w| w / 9.0);
        for (i, (actual, expected)) in extent.weights(3).iter().zip(expected).enumerate() {
            assert!(
                (actual - expected).abs() < 1e-6,
                "{i}: {actual}, expected {expected}"
            );
        }
    }
}
