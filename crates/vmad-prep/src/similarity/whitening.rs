//! Whitening: features are standardised, then projected onto their principal axes.

use super::config::SimilarityConfig;
use super::features::Features;
use super::median::median;

/// A whitening transform, fitted to one set of cells.
#[derive(Debug, Clone)]
pub(super) struct Whitening {
    /// Centre and scale of each feature.
    units: Vec<(f32, f32)>,
    /// Rows of weights of the standardised features, one for each axis.
    axes: Vec<Vec<f32>>,
}

impl Whitening {
    /// Fits the transform to at least one cell and keeps the `n_axes` strongest axes.
    pub fn fit(features: &Features, config: &SimilarityConfig, n_axes: usize) -> Self {
        let units: Vec<(f32, f32)> = features.iter().map(|feature| unit(feature)).collect();
        let standard = standardised(features, &units);
        let floor = config.whitening_floor.max(1e-4);
        let axes = principal_axes(&standard, floor, n_axes);
        Self { units, axes }
    }

    /// The cells projected onto the axes, `[n_axes][n_cells]`.
    pub fn apply(&self, features: &Features) -> Features {
        let standard = standardised(features, &self.units);
        let n_cells = standard.first().map_or(0, Vec::len);
        let project = |axis: &Vec<f32>| {
            let mut out = vec![0.0f32; n_cells];
            for (&weight, feature) in axis.iter().zip(&standard) {
                for (o, v) in out.iter_mut().zip(feature) {
                    *o += weight * v;
                }
            }
            out
        };
        self.axes.iter().map(project).collect()
    }
}

/// Median of a feature, and the mean of its standard deviation and its median absolute deviation. The
/// first alone would hide a strong defect, the second alone is near zero on plain backgrounds.
fn unit(feature: &[f32]) -> (f32, f32) {
    let n = feature.len() as f32;
    let middle = median(feature);
    let mean = feature.iter().sum::<f32>() / n;
    let variance = feature.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / n;
    let deviations: Vec<f32> = feature.iter().map(|v| (v - middle).abs()).collect();
    // 1.48 makes the median deviation that of a normal distribution; the floor is about the
    // rounding of 8-bit pixels.
    let scale = (0.5 * (variance.sqrt() + 1.48 * median(&deviations))).max(0.01);
    (middle, scale)
}

fn standardised(features: &Features, units: &[(f32, f32)]) -> Features {
    let pairs = features.iter().zip(units);
    pairs
        .map(|(feature, (middle, scale))| {
            let values = feature.iter();
            values
                .map(|v| ((v - middle) / scale).clamp(-8.0, 8.0))
                .collect()
        })
        .collect()
}

/// The strongest principal axes as rows of weights, each scaled by 1/√(eigenvalue + floor).
fn principal_axes(features: &Features, floor: f32, n_axes: usize) -> Vec<Vec<f32>> {
    let m = features.len();
    // Clipped harder than the features themselves, so that a defect does not whiten itself away.
    let clipped: Features = features
        .iter()
        .map(|feature| {
            let values: Vec<f32> = feature.iter().map(|v| v.clamp(-3.0, 3.0)).collect();
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            values.iter().map(|v| v - mean).collect()
        })
        .collect();
    let mut covariance = vec![0.0f32; m * m];
    for i in 0..m {
        for j in 0..=i {
            let products = clipped[i].iter().zip(&clipped[j]).map(|(a, b)| a * b);
            let value = products.sum::<f32>() / clipped[i].len() as f32;
            covariance[i * m + j] = value;
            covariance[j * m + i] = value;
        }
    }
    let axes = diagonalise(&mut covariance, m);
    let eigenvalue = |i: usize| covariance[i * m + i].max(0.0);
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|&i, &j| eigenvalue(j).total_cmp(&eigenvalue(i)));
    order.truncate(n_axes);
    order
        .into_iter()
        .map(|i| {
            let scale = 1.0 / (eigenvalue(i) + floor).sqrt();
            let axis = &axes[i * m..(i + 1) * m];
            axis.iter().map(|weight| scale * weight).collect()
        })
        .collect()
}

/// Cyclic Jacobi on a symmetric `[n, n]` matrix: leaves the eigenvalues on its diagonal and returns
/// the eigenvectors as rows.
pub(super) fn diagonalise(matrix: &mut [f32], n: usize) -> Vec<f32> {
    let mut axes = vec![0.0f32; n * n];
    for i in 0..n {
        axes[i * n + i] = 1.0;
    }
    for _sweep in 0..8 {
        for p in 0..n {
            for q in p + 1..n {
                let off = matrix[p * n + q];
                if off.abs() < 1e-6 {
                    continue;
                }
                let theta = (matrix[q * n + q] - matrix[p * n + p]) / (2.0 * off);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                rotate_rows(matrix, n, p, q, c, s);
                for row in matrix.chunks_exact_mut(n) {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                rotate_rows(&mut axes, n, p, q, c, s);
            }
        }
    }
    axes
}

/// Rotates rows `p < q` of an `[n, n]` matrix into each other.
fn rotate_rows(matrix: &mut [f32], n: usize, p: usize, q: usize, c: f32, s: f32) {
    let (head, tail) = matrix.split_at_mut(q * n);
    for (a, b) in head[p * n..(p + 1) * n].iter_mut().zip(&mut tail[..n]) {
        (*a, *b) = (c * *a - s * *b, s * *a + c * *b);
    }
}
