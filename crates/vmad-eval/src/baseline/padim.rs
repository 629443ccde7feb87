//! PaDiM (Defard et al. 2021): at each place of the grid the features of normal images are a
//! Gaussian, and a patch is as anomalous as its Mahalanobis distance from the one at its place.
//!
//! The paper draws 100 of the features at random; here all are used.

use rayon::prelude::*;

use super::PatchGrid;
use crate::error::EvalError;

/// How a covariance of few images is made invertible.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Covariance {
    /// Ledoit and Wolf (2004): drawn towards a multiple of the identity, by as much as the images
    /// themselves suggest.
    LedoitWolf,
    /// The paper's: this much is added to each variance (0.01 there).
    Ridge(f64),
}

/// Added to each variance in any case, so that a feature that never changes does not divide by 0.
const FLOOR: f64 = 1e-8;

/// A Gaussian for each place of the grid.
#[derive(Clone, Debug)]
pub struct Padim {
    shape: (usize, usize, usize),
    places: Vec<Gaussian>,
}

#[derive(Clone, Debug)]
struct Gaussian {
    mean: Vec<f64>,
    /// The lower Cholesky factor of the covariance, row by row without zeros.
    factor: Vec<f64>,
}

impl Padim {
    /// Learns from normal images.
    ///
    /// # Errors
    /// Fewer than two images, grids of different shapes, or a ridge that is no positive number.
    pub fn fit(images: &[PatchGrid], covariance: Covariance) -> Result<Self, EvalError> {
        let [first, _, ..] = images else {
            return Err(EvalError::TooFewNormal {
                needed: 2,
                found: images.len(),
            });
        };
        if let Covariance::Ridge(ridge) = covariance
            && !(ridge > 0.0 && ridge.is_finite())
        {
            return Err(EvalError::BadSetting {
                name: "ridge",
                value: ridge.to_string(),
                rule: "it must be a positive number",
            });
        }
        let shape = first.shape();
        images
            .iter()
            .try_for_each(|image| image.check_like(shape))?;
        let by_image: Vec<Vec<&[f32]>> = images.iter().map(|i| i.patches().collect()).collect();
        let places = (0..shape.0 * shape.1).into_par_iter().map(|place| {
            let patches: Vec<&[f32]> = by_image.iter().map(|image| image[place]).collect();
            Gaussian::fit(&patches, covariance)
        });
        Ok(Self {
            shape,
            places: places.collect(),
        })
    }

    /// The Mahalanobis distance at each place.
    ///
    /// # Shapes
    /// - output: `[rows, columns]`
    ///
    /// # Errors
    /// A grid of another shape.
    pub fn map(&self, image: &PatchGrid) -> Result<Vec<f32>, EvalError> {
        image.check_like(self.shape)?;
        let places = self.places.iter().zip(image.patches());
        Ok(places.map(|(place, patch)| place.distance(patch)).collect())
    }
}

impl Gaussian {
    fn fit(patches: &[&[f32]], covariance: Covariance) -> Self {
        let n = patches.len() as f64;
        let d = patches[0].len();
        let mut mean = vec![0.0; d];
        for patch in patches {
            for (mean, value) in mean.iter_mut().zip(*patch) {
                *mean += f64::from(*value) / n;
            }
        }
        let centred: Vec<Vec<f64>> = patches
            .iter()
            .map(|patch| {
                patch
                    .iter()
                    .zip(&mean)
                    .map(|(v, m)| f64::from(*v) - m)
                    .collect()
            })
            .collect();
        let mut matrix = scatter(&centred, d);
        match covariance {
            Covariance::LedoitWolf => {
                matrix.iter_mut().for_each(|value| *value /= n);
                shrink(&mut matrix, &centred, d);
            }
            Covariance::Ridge(ridge) => {
                matrix.iter_mut().for_each(|value| *value /= n - 1.0);
                (0..d).for_each(|i| matrix[at(i, i)] += ridge);
            }
        }
        (0..d).for_each(|i| matrix[at(i, i)] += FLOOR);
        cholesky(&mut matrix, d);
        Self {
            mean,
            factor: matrix,
        }
    }

    fn distance(&self, patch: &[f32]) -> f32 {
        // Forward substitution: ‖L⁻¹ (x − mean)‖.
        let mut solved: Vec<f64> = Vec::with_capacity(patch.len());
        for (i, (value, mean)) in patch.iter().zip(&self.mean).enumerate() {
            let row = &self.factor[at(i, 0)..=at(i, i)];
            let known: f64 = row.iter().zip(&solved).map(|(l, y)| l * y).sum();
            solved.push((f64::from(*value) - mean - known) / row[i]);
        }
        solved.iter().map(|y| y * y).sum::<f64>().sqrt() as f32
    }
}

/// Place of row `i`, column `j ≤ i` of a lower triangle.
fn at(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

/// The lower triangle of Xᵀ X.
fn scatter(centred: &[Vec<f64>], d: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; at(d, 0)];
    for x in centred {
        for (i, own) in x.iter().enumerate() {
            let row = &mut matrix[at(i, 0)..=at(i, i)];
            for (value, other) in row.iter_mut().zip(x) {
                *value += own * other;
            }
        }
    }
    matrix
}

/// Ledoit and Wolf's shrinkage of a covariance towards its mean variance, as scikit-learn has it.
fn shrink(matrix: &mut [f64], centred: &[Vec<f64>], d: usize) {
    let (n, p) = (centred.len() as f64, d as f64);
    let trace: f64 = (0..d).map(|i| matrix[at(i, i)]).sum();
    let mu = trace / p;
    let diagonal: f64 = (0..d).map(|i| matrix[at(i, i)].powi(2)).sum();
    let lower: f64 = matrix.iter().map(|value| value * value).sum();
    let squares = 2.0 * lower - diagonal; // ‖S‖²
    let fourth: f64 = centred
        .iter()
        .map(|x| x.iter().map(|v| v * v).sum::<f64>().powi(2))
        .sum();
    let beta = (fourth / n - squares) / (p * n);
    let delta = (squares - 2.0 * mu * trace + p * mu * mu) / p;
    let beta = beta.min(delta);
    let share = if beta > 0.0 { beta / delta } else { 0.0 };
    matrix.iter_mut().for_each(|value| *value *= 1.0 - share);
    (0..d).for_each(|i| matrix[at(i, i)] += share * mu);
}

/// Replaces the lower triangle of a positive definite matrix by its Cholesky factor.
fn cholesky(matrix: &mut [f64], d: usize) {
    for i in 0..d {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| matrix[at(i, k)] * matrix[at(j, k)]).sum();
            let rest = matrix[at(i, j)] - dot;
            matrix[at(i, j)] = if i == j {
                // Rounding may take a variance that hardly exceeds the floor below it.
                rest.max(FLOOR).sqrt()
            } else {
                rest / matrix[at(j, j)]
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(values: &[f32]) -> Result<PatchGrid, EvalError> {
        PatchGrid::new(1, 1, 2, values.to_vec())
    }

    #[test]
    fn a_distance_counts_standard_deviations() -> Result<(), EvalError> {
        // Variances 4 and 1 (n − 1), no correlation; the ridge is too small to count.
        let normal = [[-2.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, -1.0]];
        let scale = (3.0_f32 / 2.0).sqrt();
        let normal: Vec<PatchGrid> = normal
            .iter()
            .map(|[x, y]| grid(&[x * scale + 5.0, y * scale - 1.0]))
            .collect::<Result<_, _>>()?;
        let padim = Padim::fit(&normal, Covariance::Ridge(1e-9))?;
        for (patch, expected) in [
            ([5.0, -1.0], 0.0),
            ([9.0, -1.0], 2.0),
            ([5.0, 2.0], 3.0),
            ([13.0, 2.0], 5.0),
        ] {
            let [distance] = padim.map(&grid(&patch)?)?[..] else {
                panic!("one cell has one distance");
            };
            assert!((distance - expected).abs() < 1e-4, "{patch:?}: {distance}");
        }
        Ok(())
    }

    #[test]
    fn features_that_never_change_are_no_error() -> Result<(), EvalError> {
        for covariance in [Covariance::LedoitWolf, Covariance::Ridge(0.01)] {
            let padim = Padim::fit(&[grid(&[1.0, 1.0])?, grid(&[1.0, 1.0])?], covariance)?;
            let at_rest = padim.map(&grid(&[1.0, 1.0])?)?;
            let moved = padim.map(&grid(&[1.0, 2.0])?)?;
            assert!(at_rest == [0.0] && moved[0] > 1.0 && moved[0].is_finite());
        }
        Ok(())
    }

    #[test]
    fn what_cannot_be_learned_from_is_refused() -> Result<(), EvalError> {
        let (one, other) = (grid(&[1.0, 2.0])?, PatchGrid::new(1, 2, 1, vec![0.0; 2])?);
        let fit = |images: &[PatchGrid], ridge| Padim::fit(images, Covariance::Ridge(ridge));
        assert!(fit(std::slice::from_ref(&one), 0.01).is_err());
        assert!(fit(&[one.clone(), other.clone()], 0.01).is_err());
        assert!(fit(&[one.clone(), one.clone()], f64::NAN).is_err());
        assert!(fit(&[one.clone(), one], 0.01)?.map(&other).is_err());
        Ok(())
    }
}
