//! PatchCore (Roth et al. 2022): a bank of the patches of normal images, thinned out so that none
//! is far from the rest, and the distance from the nearest of them.

use rayon::prelude::*;

use super::PatchGrid;
use crate::error::EvalError;

/// The bank.
#[derive(Clone, Debug)]
pub struct PatchCore {
    shape: (usize, usize, usize),
    /// `[n, d]`
    bank: Vec<f32>,
}

/// What the bank says of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Distance of each patch from the nearest of the bank, `[rows, columns]`.
    pub map: Vec<f32>,
    /// The largest of them, reweighted where that was asked for.
    pub score: f32,
}

impl PatchCore {
    /// Fills the bank with `share` of the patches of normal images, chosen by greedy k-centre:
    /// always the one that is farthest from those chosen so far, beginning with the first.
    ///
    /// # Errors
    /// No image, grids of different shapes, or a share outside (0, 1].
    pub fn fit(images: &[PatchGrid], share: f64) -> Result<Self, EvalError> {
        let Some(first) = images.first() else {
            return Err(EvalError::TooFewNormal {
                needed: 1,
                found: 0,
            });
        };
        if !(share > 0.0 && share <= 1.0) {
            return Err(EvalError::BadSetting {
                name: "coreset share",
                value: share.to_string(),
                rule: "it must be above 0 and at most 1",
            });
        }
        let shape = first.shape();
        images
            .iter()
            .try_for_each(|image| image.check_like(shape))?;
        let patches: Vec<&[f32]> = images.iter().flat_map(PatchGrid::patches).collect();
        let n_kept = (patches.len() as f64 * share).round().max(1.0) as usize;
        let bank = k_centres(&patches, n_kept);
        Ok(Self {
            shape,
            bank: bank.into_iter().flat_map(|i| patches[i].to_vec()).collect(),
        })
    }

    /// Patches in the bank.
    #[must_use]
    pub fn n_patches(&self) -> usize {
        self.bank.len() / self.shape.2
    }

    /// Compares an image with the bank.
    ///
    /// With `neighbours` the score is the paper's (7): the largest distance s*, times
    /// 1 − exp s* / Σ exp ‖m − n‖ over so many patches n of the bank around the one nearest to the
    /// most anomalous patch m. It is lower where the bank is dense.
    ///
    /// # Errors
    /// A grid of another shape.
    pub fn judge(
        &self,
        image: &PatchGrid,
        neighbours: Option<usize>,
    ) -> Result<Verdict, EvalError> {
        image.check_like(self.shape)?;
        let patches: Vec<&[f32]> = image.patches().collect();
        let nearest: Vec<(usize, f32)> = patches
            .par_iter()
            .map(|patch| self.nearest(patch))
            .collect();
        let map: Vec<f32> = nearest.iter().map(|(_, square)| square.sqrt()).collect();
        let worst = first_largest(&map);
        let weight = neighbours.map_or(1.0, |n| {
            self.rarity(patches[worst], nearest[worst].0, n, map[worst])
        });
        Ok(Verdict {
            score: map[worst] * weight,
            map,
        })
    }

    fn entries(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.bank.chunks_exact(self.shape.2)
    }

    /// The nearest of the bank, and the squared distance.
    fn nearest(&self, patch: &[f32]) -> (usize, f32) {
        let squares = self.entries().map(|entry| squared_distance(entry, patch));
        squares
            .enumerate()
            .fold((0, f32::INFINITY), |best, (i, square)| {
                if square < best.1 { (i, square) } else { best }
            })
    }

    /// 1 − softmax of the distance from `nearest` among those from its neighbours in the bank.
    fn rarity(&self, patch: &[f32], nearest: usize, n: usize, distance: f32) -> f32 {
        let centre = &self.bank[nearest * self.shape.2..][..self.shape.2];
        let mut around: Vec<(f32, &[f32])> = self
            .entries()
            .map(|entry| (squared_distance(entry, centre), entry))
            .collect();
        around.sort_by(|a, b| a.0.total_cmp(&b.0));
        around.truncate(n.max(1));
        let distances = around
            .iter()
            .map(|(_, entry)| f64::from(squared_distance(entry, patch)).sqrt());
        // exp(s*) / Σ exp(d) = 1 / Σ exp(d − s*): large distances do not overflow.
        let sum: f64 = distances.map(|d| (d - f64::from(distance)).exp()).sum();
        (1.0 - 1.0 / sum.max(1.0)) as f32
    }
}

/// Indices of the chosen patches, in the order of choice.
fn k_centres(patches: &[&[f32]], n_kept: usize) -> Vec<usize> {
    let mut chosen = vec![0];
    let mut distances = vec![f32::INFINITY; patches.len()];
    while chosen.len() < n_kept {
        let newest = patches[chosen[chosen.len() - 1]];
        distances
            .par_iter_mut()
            .zip(patches)
            .for_each(|(distance, patch)| {
                *distance = distance.min(squared_distance(patch, newest));
            });
        chosen.push(first_largest(&distances));
    }
    chosen
}

/// Index of the largest value, the first of equal ones.
fn first_largest(values: &[f32]) -> usize {
    let better = |best: usize, i: usize| if values[i] > values[best] { i } else { best };
    (0..values.len()).fold(0, better)
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f32]) -> Result<PatchGrid, EvalError> {
        PatchGrid::new(1, values.len(), 1, values.to_vec())
    }

    #[test]
    fn the_coreset_spreads_out() {
        let points = [0.0_f32, 0.1, 0.2, 10.0, 10.1, 4.0];
        let patches: Vec<&[f32]> = points.iter().map(std::slice::from_ref).collect();
        assert_eq!(k_centres(&patches, 1), [0]);
        assert_eq!(k_centres(&patches, 3), [0, 4, 5]);
        let mut all = k_centres(&patches, 6);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_map_holds_distances_from_the_nearest() -> Result<(), EvalError> {
        let core = PatchCore::fit(&[row(&[0.0, 4.0, 10.0])?], 1.0)?;
        let verdict = core.judge(&row(&[1.0, 4.0, 13.0])?, None)?;
        assert_eq!(verdict.map, [1.0, 0.0, 3.0]);
        assert_eq!(verdict.score, 3.0);
        // Around 10 in the bank: 10 and 4, at 3 and 9 from 13.
        let verdict = core.judge(&row(&[1.0, 4.0, 13.0])?, Some(2))?;
        let expected = 3.0 * (1.0 - 1.0 / (1.0 + 6.0_f64.exp()));
        assert!((f64::from(verdict.score) - expected).abs() < 1e-6);
        // The nearest alone leaves no weight.
        assert_eq!(core.judge(&row(&[1.0, 4.0, 13.0])?, Some(1))?.score, 0.0);
        // Equal patches of a bank that is thinned out to one.
        let core = PatchCore::fit(&[row(&[2.0, 2.0, 2.0])?], 0.01)?;
        assert_eq!(core.n_patches(), 1);
        assert_eq!(core.judge(&row(&[2.0; 3])?, Some(9))?.score, 0.0);
        Ok(())
    }

    #[test]
    fn what_cannot_be_learned_from_is_refused() -> Result<(), EvalError> {
        let one = row(&[1.0, 2.0])?;
        assert!(PatchCore::fit(&[], 0.5).is_err());
        assert!(PatchCore::fit(std::slice::from_ref(&one), 0.0).is_err());
        assert!(PatchCore::fit(std::slice::from_ref(&one), f64::NAN).is_err());
        assert!(PatchCore::fit(&[one.clone(), row(&[1.0])?], 0.5).is_err());
        assert!(
            PatchCore::fit(&[one], 0.5)?
                .judge(&row(&[1.0])?, None)
                .is_err()
        );
        Ok(())
    }
}
