//! The patch-similarity prior on CLIP's own features, for SAM's dense mask prompt
//! ([`SimilaritySource::Clip`](crate::config::SimilaritySource)). Ours, not the paper's, which
//! compares patches in training only.
//!
//! The distance of a patch is 1 − its mean cosine with the most similar patches of the same
//! photograph; spatial neighbours and CLIP's padding are excluded. The map is
//! ln(distance / median distance of the photograph): 0 is typical. No operation here reads a result
//! back from the device.

use burn::tensor::{Int, Tensor, TensorData};
use vmad_kernels::matmul;
use vmad_prep::PhotoFrame;

use crate::config::VmadConfig;

/// Added to distances, so that 0 / 0 on a plain picture is 1.
const TINY: f64 = 1e-3;
/// Bounds of the map, those of the prior from pixels.
const RANGE: (f64, f64) = (-2.0, 4.0);

/// Number of patches that a distance is averaged over: one in 50, as 20 of 1024 cells in the prior
/// from pixels, at most 8.
fn n_nearest(grid: usize) -> usize {
    (grid * grid / 50).clamp(1, 8)
}

/// The map of each photograph over SAM's square; zero outside of CLIP's square.
///
/// No gradient flows into the features: the map is an input, as the prior from pixels is.
///
/// # Shapes
/// - tap: [`VmadConfig::similarity_tap`], `[batch, grid², d_vision]`
/// - frames: of each photograph
/// - output: `[batch, 1, mask_side, mask_side]`
#[must_use]
pub fn sam_prior(tap: Tensor<3>, config: &VmadConfig, frames: &[PhotoFrame]) -> Tensor<4> {
    let device = tap.device();
    let (grid, side) = (config.clip.grid(), config.sam.mask_side());
    let batch = frames.len();
    let (mut valid, mut rows, mut columns) = (Vec::new(), Vec::new(), Vec::new());
    for frame in frames {
        valid.extend(frame.clip_cells_with_photo(grid));
        columns.extend(frame.x().sam_from_clip_weights(side, grid));
        rows.extend(frame.y().sam_from_clip_weights(side, grid));
    }
    let weights =
        |values| Tensor::<3>::from_data(TensorData::new(values, [batch, side, grid]), &device);
    let map = self_similarity(tap, &valid).reshape([batch, grid, grid]);
    matmul(matmul(weights(rows), map), weights(columns).transpose()).reshape([batch, 1, side, side])
}

/// ln(distance / median) of each patch.
///
/// # Shapes
/// - features: `[batch, grid², d]`
/// - valid: `[batch, grid²]`, false for patches of padding; one of each photograph is true
/// - output: `[batch, grid²]`
fn self_similarity(features: Tensor<3>, valid: &[bool]) -> Tensor<2> {
    let features = features.detach();
    let device = features.device();
    let [batch, n, _] = features.dims();
    let grid = n.isqrt();
    let norm = (features.clone() * features.clone()).sum_dim(2).sqrt();
    let unit = features / (norm + 1e-6); // [batch, n, d]

    let counts: Vec<f32> = valid.iter().map(|is| f32::from(u8::from(*is))).collect();
    let middles: Vec<f32> = counts
        .chunks(n)
        .map(|photo| ((photo.iter().sum::<f32>() - 1.0) / 2.0).floor())
        .collect();
    let valid = Tensor::<2>::from_data(TensorData::new(counts, [batch, n]), &device);
    let far = Tensor::<3>::from_data(TensorData::new(far(grid), [1, n, n]), &device);
    let candidates = far * valid.clone().reshape([batch, 1, n]); // [batch, n, n]

    // Excluded patches get the lowest cosine, so that they come last.
    let mut cosine = (matmul(unit.clone(), unit.transpose()) + 1.0) * candidates - 1.0;
    let places = Tensor::<1, Int>::arange(0..n as i64, &device).reshape([1, 1, n]);
    let places = places.expand([batch, n, n]);
    let k = n_nearest(grid);
    let mut sum = Tensor::<3>::zeros([batch, n, 1], &device);
    for _ in 0..k {
        let (most, at) = cosine.clone().max_dim_with_indices(2);
        sum = sum + most;
        let taken = places.clone().equal(at.expand([batch, n, n])).float();
        cosine = cosine - taken * 4.0;
    }
    let distance = (sum / k as f64).neg() + 1.0;
    let distance = distance.clamp_min(0.0).reshape([batch, n]);
    let middles = Tensor::<2>::from_data(TensorData::new(middles, [batch, 1]), &device);
    let typical = median(distance.clone(), valid, middles);
    ((distance + TINY) / (typical + TINY))
        .log()
        .clamp(RANGE.0, RANGE.1)
}

/// The lower median of the valid values, by counting, since sorting would read them back.
///
/// # Shapes
/// - values, valid: `[batch, n]`
/// - middles: `[batch, 1]`, the number of valid values before the median
/// - output: `[batch, 1]`
fn median(values: Tensor<2>, valid: Tensor<2>, middles: Tensor<2>) -> Tensor<2> {
    let [batch, n] = values.dims();
    let of_row = values.clone().reshape([batch, n, 1]).expand([batch, n, n]);
    let others = values.clone().reshape([batch, 1, n]).expand([batch, n, n]);
    let counts = valid.clone().reshape([batch, 1, n]);
    let count = |holds: Tensor<3>| (holds * counts.clone()).sum_dim(2).reshape([batch, n]);
    let below = count(others.clone().lower(of_row.clone()).float());
    let up_to = count(others.lower_equal(of_row).float());
    let middles = middles.expand([batch, n]);
    let is_middle = below.lower_equal(middles.clone()).float() * up_to.greater(middles).float();
    let is_middle = is_middle * valid;
    (values * is_middle.clone()).sum_dim(1) / is_middle.sum_dim(1)
}

/// 1 for each pair of patches that are not neighbours, `[grid², grid²]`. Neighbours lie within an
/// eighth of the grid, which is 4 of 32 cells in the prior from pixels.
fn far(grid: usize) -> Vec<f32> {
    let radius = grid as f32 / 8.0;
    let cells = || (0..grid).flat_map(|y| (0..grid).map(move |x| (x, y)));
    let is_far = |(x, y): (usize, usize), (u, v): (usize, usize)| {
        let square = x.abs_diff(u).pow(2) + y.abs_diff(v).pow(2);
        f32::from(u8::from(square as f32 > radius * radius))
    };
    cells()
        .flat_map(|one| cells().map(move |other| is_far(one, other)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Numbers from a fixed recurrence, -1 to 1.
    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    /// The definition in plain loops over one photograph.
    fn naive(features: &[f32], d: usize, valid: &[bool]) -> Vec<f32> {
        let n = valid.len();
        let grid = n.isqrt();
        let row = |i: usize| &features[i * d..(i + 1) * d];
        let norm = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt() + 1e-6;
        let mut distances = Vec::new();
        for i in 0..n {
            let mut like = Vec::new();
            for (j, is_valid) in valid.iter().enumerate() {
                let (dx, dy) = ((i % grid).abs_diff(j % grid), (i / grid).abs_diff(j / grid));
                let is_near = (dx * dx + dy * dy) as f32 <= (grid as f32 / 8.0).powi(2);
                let dot: f32 = row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum();
                let cosine = dot / norm(row(i)) / norm(row(j));
                like.push(if is_near || !is_valid { -1.0 } else { cosine });
            }
            like.sort_by(|a, b| b.total_cmp(a));
            let k = (n / 50).clamp(1, 8);
            let mean = like[..k].iter().sum::<f32>() / k as f32;
            distances.push((1.0 - mean).max(0.0));
        }
        let mut sorted: Vec<f32> = (0..n).filter(|i| valid[*i]).map(|i| distances[i]).collect();
        sorted.sort_by(f32::total_cmp);
        let typical = sorted[(sorted.len() - 1) / 2];
        let ratio = distances.iter().map(|d| (d + 1e-3) / (typical + 1e-3));
        ratio.map(|ratio| ratio.ln().clamp(-2.0, 4.0)).collect()
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        let data = tensor.into_data();
        data.iter::<f32>().collect()
    }

    fn check(grid: usize, d: usize, padded_rows: usize, is_plain: bool) {
        let device = Device::flex();
        let n = grid * grid;
        let mut features = numbers(2 * n * d, 7);
        if is_plain {
            features.fill(0.5);
        }
        let mut valid = vec![true; 2 * n];
        valid[n..n + padded_rows * grid].fill(false);
        let tensor = TensorData::new(features.clone(), [2, n, d]);
        let found = values(self_similarity(Tensor::from_data(tensor, &device), &valid));
        let parts = features.chunks(n * d).zip(valid.chunks(n));
        let expected: Vec<f32> = parts.flat_map(|(f, v)| naive(f, d, v)).collect();
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            // f32 sums in another order, doubled by the logarithm of small distances.
            let is_close = (found - expected).abs() < 1e-4;
            assert!(is_close, "grid {grid}, {i}: {found} {expected}");
        }
    }

    #[test]
    fn tensors_match_plain_loops() {
        check(16, 24, 5, false);
        check(9, 7, 2, false);
        check(4, 3, 1, false);
        check(1, 5, 0, false);
        check(8, 4, 0, true);
    }
}
