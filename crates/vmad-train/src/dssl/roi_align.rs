//! RoIAlign (He et al. 2017) as torchvision's `roi_align` with `aligned=True` computes it: half-pixel
//! centres, bilinear samples, each bin their mean.
//!
//! A sample is a sum of cells with weights that depend on the box alone, so a box's bins are one
//! product of a matrix of weights with the map.

use burn::tensor::{Tensor, TensorData};

/// Samples along a bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplingRatio {
    /// One for every cell begun, torchvision's −1.
    Adaptive,
    /// This many.
    Fixed(usize),
}

/// Bins of a box along one side, before their mean is taken.
const BINS: usize = 2;

/// The mean of the 2×2 bins of each box, with adaptive sampling, as DSCL takes it.
///
/// # Shapes
/// - map: `[d, height, width]`
/// - boxes: left, upper, right, lower edge, pixels; `scale` makes cells of pixels
/// - output: `[boxes, d]`
pub fn roi_mean(map: Tensor<3>, boxes: &[[f64; 4]], scale: f64) -> Tensor<2> {
    let [d, _, _] = map.dims();
    let n = boxes.len();
    let bins = roi_align(map, boxes, scale, BINS, SamplingRatio::Adaptive);
    bins.reshape([n, d, BINS * BINS])
        .mean_dim(2)
        .reshape([n, d])
}

/// The bins of each box.
///
/// # Shapes
/// - map: `[d, height, width]`
/// - boxes: left, upper, right, lower edge, pixels; `scale` makes cells of pixels
/// - output: `[boxes, d, n_bins, n_bins]`
pub fn roi_align(
    map: Tensor<3>,
    boxes: &[[f64; 4]],
    scale: f64,
    n_bins: usize,
    ratio: SamplingRatio,
) -> Tensor<4> {
    let [d, height, width] = map.dims();
    let (n_cells, n_rows) = (height * width, boxes.len() * n_bins * n_bins);
    let mut weights = Vec::with_capacity(n_rows * n_cells);
    for [x0, y0, x1, y1] in boxes {
        let columns = axis_weights(x0 * scale, x1 * scale, width, n_bins, ratio);
        let rows = axis_weights(y0 * scale, y1 * scale, height, n_bins, ratio);
        for row in &rows {
            for column in &columns {
                weights.extend(
                    row.iter()
                        .flat_map(|y| column.iter().map(move |x| (y * x) as f32)),
                );
            }
        }
    }
    let device = map.device();
    let weights = Tensor::<2>::from_data(TensorData::new(weights, [n_rows, n_cells]), &device);
    weights
        .matmul(map.reshape([d, n_cells]).transpose())
        .reshape([boxes.len(), n_bins, n_bins, d])
        .permute([0, 3, 1, 2]) // [boxes, d, n_bins, n_bins]
}

/// For each bin along one axis, the weight of each cell. Bilinear samples on a grid separate: a
/// sample's weight is the product of those of its row and its column, and so is their mean.
///
/// `start` and `end` are the box's edges in cells.
fn axis_weights(
    start: f64,
    end: f64,
    n_cells: usize,
    n_bins: usize,
    ratio: SamplingRatio,
) -> Vec<Vec<f64>> {
    // Centre i of a cell lies at i, its edges at i ± ½.
    let (start, end) = (start - 0.5, end - 0.5);
    let bin = (end - start) / n_bins as f64;
    let n_samples = match ratio {
        SamplingRatio::Adaptive => bin.ceil().max(0.0) as usize,
        SamplingRatio::Fixed(n) => n,
    };
    let last = n_cells as f64 - 1.0;
    (0..n_bins)
        .map(|b| {
            let mut weights = vec![0.0; n_cells];
            for i in 0..n_samples {
                let at = start + bin * (b as f64 + (i as f64 + 0.5) / n_samples as f64);
                // Zero from a cell's width outside on; up to there the outermost cell's value.
                if at < -1.0 || at > last + 1.0 {
                    continue;
                }
                let at = at.clamp(0.0, last);
                let low = at.floor();
                let share = at - low;
                weights[low as usize] += (1.0 - share) / n_samples as f64;
                if share > 0.0 {
                    weights[low as usize + 1] += share / n_samples as f64;
                }
            }
            weights
        })
        .collect()
}
