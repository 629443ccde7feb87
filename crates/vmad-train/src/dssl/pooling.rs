//! Means over a map of features that leave its padding out, GAP of (9) and (14).

use burn::tensor::{Device, Tensor, TensorData};
use vmad_prep::{ClipMode, SamFrame};

/// The part of an encoder's square input that shows the photograph, pixels. The rest is padding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Left, upper, right and lower edge; within the square, and not empty.
    pub edges: [f64; 4],
    /// Side of the square.
    pub side: f64,
}

impl Extent {
    /// In SAM's square the photograph lies at the upper left.
    #[must_use]
    pub fn of_sam(frame: &SamFrame) -> Self {
        let (width, height) = frame.resized;
        Self {
            edges: [0.0, 0.0, f64::from(width), f64::from(height)],
            side: f64::from(frame.size),
        }
    }

    /// In CLIP's square of `size` pixels a photograph of `width` × `height` lies in the middle, or
    /// fills it all.
    #[must_use]
    pub fn of_clip((width, height): (u32, u32), size: u32, mode: ClipMode) -> Self {
        let side = f64::from(size);
        let longest = width.max(height).max(1);
        let along = |length: u32| match mode {
            ClipMode::Pad => {
                let scale = side / f64::from(longest);
                // An odd margin is smaller at the left and the top.
                let start = f64::from((longest - length) / 2);
                (start * scale, (start + f64::from(length)) * scale)
            }
            ClipMode::Crop => (0.0, side),
        };
        let ((x0, x1), (y0, y1)) = (along(width), along(height));
        Self {
            edges: [x0, y0, x1, y1],
            side,
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
    fn extents() {
        let frame = SamFrame::new(300, 200, 96);
        let sam = Extent::of_sam(&frame);
        assert_eq!((sam.edges, sam.side), ([0.0, 0.0, 96.0, 64.0], 96.0));
        for (size, mode, expected) in [
            ((300, 201), ClipMode::Pad, [0.0, 49.0, 300.0, 250.0]),
            ((100, 300), ClipMode::Pad, [100.0, 0.0, 200.0, 300.0]),
            ((100, 300), ClipMode::Crop, [0.0, 0.0, 300.0, 300.0]),
            ((7, 7), ClipMode::Pad, [0.0, 0.0, 300.0, 300.0]),
        ] {
            let actual = Extent::of_clip(size, 300, mode).edges;
            let close = actual
                .iter()
                .zip(expected)
                .all(|(a, e)| (a - e).abs() < 1e-9);
            assert!(
                close,
                "{size:?} {mode:?}: {actual:?}, expected {expected:?}"
            );
        }
    }

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
