//! Metrics of a ranking: AUROC, average precision and the best F1.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
pub use vmad_prep::F1Max;

use crate::error::EvalError;

/// Unsigned integers in the order of the floats, so that sorting needs no comparator
/// and half the memory of (score, label) pairs. `-0.0` and `0.0` get one key.
pub(crate) fn ordered_key(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 1 {
        !bits
    } else {
        bits | (1 << 31)
    }
}

pub(crate) fn score_of_key(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 {
        key & !(1 << 31)
    } else {
        !key
    })
}

/// Something in a ranking: a bare key, or a key with more behind it.
pub(crate) trait Ranked: Ord + Copy + Send {
    fn key(self) -> u32;
}

impl Ranked for u32 {
    fn key(self) -> u32 {
        self
    }
}

/// The key in the high half, anything in the low half: one integer sort orders both.
impl Ranked for u64 {
    fn key(self) -> u32 {
        (self >> 32) as u32
    }
}

/// The two classes, each sorted in descending order of key.
pub(crate) struct Ranking<P> {
    pub positives: Vec<P>,
    pub negatives: Vec<u32>,
}

impl Ranking<u32> {
    pub fn new(scores: &[f32], labels: &[bool]) -> Result<Self, EvalError> {
        if scores.len() != labels.len() {
            return Err(EvalError::CountMismatch {
                n_scores: scores.len(),
                n_labels: labels.len(),
            });
        }
        if let Some(index) = scores.iter().position(|score| score.is_nan()) {
            return Err(EvalError::NotFinite {
                what: "score",
                index,
                value: "NaN".into(),
            });
        }
        let mut positives = Vec::new();
        let mut negatives = Vec::new();
        for (&score, &label) in scores.iter().zip(labels) {
            if label {
                positives.push(ordered_key(score));
            } else {
                negatives.push(ordered_key(score));
            }
        }
        Ok(Self::sorted(positives, negatives))
    }
}

impl<P: Ranked> Ranking<P> {
    /// Sorts in place.
    pub fn sorted(mut positives: Vec<P>, mut negatives: Vec<u32>) -> Self {
        positives.par_sort_unstable_by(|a, b| b.cmp(a));
        negatives.par_sort_unstable_by(|a, b| b.cmp(a));
        Self {
            positives,
            negatives,
        }
    }

    /// Walks the distinct thresholds from the highest down and calls
    /// `visit(key, positives with that key, number of negatives with that key)` for each.
    pub fn for_each_threshold(&self, mut visit: impl FnMut(u32, &[P], usize)) {
        let (mut positives, mut negatives) = (&self.positives[..], &self.negatives[..]);
        loop {
            let key = match (positives.first(), negatives.first()) {
                (None, None) => return,
                (Some(p), None) => p.key(),
                (None, Some(n)) => *n,
                (Some(p), Some(n)) => p.key().max(*n),
            };
            // Ties are runs at the front; a linear scan visits each entry once.
            let n_positives = positives.iter().take_while(|p| p.key() == key).count();
            let n_negatives = negatives.iter().take_while(|&&n| n == key).count();
            let (tied, rest) = positives.split_at(n_positives);
            visit(key, tied, n_negatives);
            positives = rest;
            negatives = negatives.split_at(n_negatives).1;
        }
    }

    fn lacks_a_class(&self) -> bool {
        self.positives.is_empty() || self.negatives.is_empty()
    }

    pub fn auroc(&self) -> Option<f64> {
        if self.lacks_a_class() {
            return None;
        }
        // Twice the area in units of one (positive, negative) pair: exact, whatever the size.
        let mut twice_area = 0_u128;
        let mut n_above = 0_u128;
        self.for_each_threshold(|_, tied, n_negatives| {
            let n_positives = tied.len() as u128;
            twice_area += n_negatives as u128 * (2 * n_above + n_positives);
            n_above += n_positives;
        });
        let n_pairs = self.positives.len() as f64 * self.negatives.len() as f64;
        Some(twice_area as f64 / (2.0 * n_pairs))
    }

    pub fn average_precision(&self) -> Option<f64> {
        if self.lacks_a_class() {
            return None;
        }
        let (mut n_true, mut n_false, mut sum) = (0_usize, 0_usize, 0.0_f64);
        self.for_each_threshold(|_, tied, false_here| {
            n_true += tied.len();
            n_false += false_here;
            if !tied.is_empty() {
                sum += tied.len() as f64 * (n_true as f64 / (n_true + n_false) as f64);
            }
        });
        Some(sum / self.positives.len() as f64)
    }

    pub fn f1_max(&self) -> Option<F1Max> {
        if self.lacks_a_class() {
            return None;
        }
        // F1 = 2 TP / (TP + FP + P). Fractions are compared by cross-multiplication, so that
        // rounding never decides between two thresholds of equal F1.
        let n_positives = self.positives.len();
        let (mut n_true, mut n_called) = (0_usize, 0_usize);
        let mut best = (0_u128, 1_u128, 0_u32);
        self.for_each_threshold(|key, tied, false_here| {
            n_true += tied.len();
            n_called += tied.len() + false_here;
            let (numerator, denominator) = (2 * n_true as u128, (n_called + n_positives) as u128);
            if numerator * best.1 >= best.0 * denominator {
                best = (numerator, denominator, key);
            }
        });
        let (numerator, denominator, key) = best;
        Some(F1Max {
            f1: numerator as f64 / denominator as f64,
            threshold: score_of_key(key),
        })
    }
}

/// Area under the ROC curve, tied scores joined by a trapezoid (the value of
/// `sklearn.metrics.roc_auc_score`). `None` when a class is missing.
pub fn auroc(scores: &[f32], labels: &[bool]) -> Result<Option<f64>, EvalError> {
    Ok(Ranking::new(scores, labels)?.auroc())
}

/// Average precision, the step sum Σ (R_n − R_{n−1}) P_n over distinct thresholds (the value
/// of `sklearn.metrics.average_precision_score`). `None` when a class is missing: without a
/// negative it would be 1 whatever the scores.
pub fn average_precision(scores: &[f32], labels: &[bool]) -> Result<Option<f64>, EvalError> {
    Ok(Ranking::new(scores, labels)?.average_precision())
}

/// The threshold with the highest F1. `None` when a class is missing.
pub fn f1_max(scores: &[f32], labels: &[bool]) -> Result<Option<F1Max>, EvalError> {
    Ok(Ranking::new(scores, labels)?.f1_max())
}

/// A threshold and what it lets through.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// "Anomalous" is `score >= threshold`.
    pub threshold: f32,
    /// Share of the defective images that are called anomalous: the recall.
    pub true_positive_rate: f64,
    /// Share of the normal images that are called anomalous.
    pub false_positive_rate: f64,
    /// Share of the images called anomalous that are defective.
    pub precision: f64,
}

/// The points of the ROC and of the precision–recall curve, a point per distinct score, the highest
/// threshold first. Empty when a class is missing.
pub fn curve(scores: &[f32], labels: &[bool]) -> Result<Vec<CurvePoint>, EvalError> {
    let ranking = Ranking::new(scores, labels)?;
    let mut points = Vec::new();
    if ranking.lacks_a_class() {
        return Ok(points);
    }
    let (mut n_true, mut n_false) = (0_usize, 0_usize);
    ranking.for_each_threshold(|key, tied, false_here| {
        n_true += tied.len();
        n_false += false_here;
        points.push(CurvePoint {
            threshold: score_of_key(key),
            true_positive_rate: n_true as f64 / ranking.positives.len() as f64,
            false_positive_rate: n_false as f64 / ranking.negatives.len() as f64,
            precision: n_true as f64 / (n_true + n_false) as f64,
        });
    });
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Result = std::result::Result<(), EvalError>;

    #[test]
    fn keys_keep_the_order_of_floats() {
        let scores = [
            f32::NEG_INFINITY,
            -3.5,
            -1e-40,
            0.0,
            1e-40,
            0.5,
            7.0,
            f32::INFINITY,
        ];
        for pair in scores.windows(2) {
            assert!(ordered_key(pair[0]) < ordered_key(pair[1]), "{pair:?}");
        }
        assert_eq!(ordered_key(-0.0), ordered_key(0.0));
    }

    #[test]
    fn hand_made_rankings() -> Result {
        // (scores, labels, AUROC, AP)
        type Case = (&'static [f32], &'static [u8], Option<f64>, Option<f64>);
        let cases: &[Case] = &[
            (&[], &[], None, None),
            (&[0.3, 0.4], &[0, 0], None, None),
            (&[0.3, 0.4], &[1, 1], None, None),
            (
                &[0.1, 0.4, 0.35, 0.8],
                &[0, 0, 1, 1],
                Some(0.75),
                Some(0.5 + 0.5 * 2.0 / 3.0),
            ),
            (&[0.5; 5], &[0, 1, 0, 1, 1], Some(0.5), Some(0.6)),
            (
                &[1.0, 2.0, 2.0, 3.0],
                &[0, 0, 1, 1],
                Some(0.875),
                Some(0.5 + 0.5 * 2.0 / 3.0),
            ),
            (&[-0.0, 0.0], &[0, 1], Some(0.5), Some(0.5)),
            (&[3.0, 2.0, 1.0], &[0, 0, 1], Some(0.0), Some(1.0 / 3.0)),
        ];
        for (scores, labels, area, precision) in cases {
            let labels: Vec<bool> = labels.iter().map(|&l| l == 1).collect();
            assert_close(auroc(scores, &labels)?, *area);
            assert_close(average_precision(scores, &labels)?, *precision);
        }
        Ok(())
    }

    fn assert_close(actual: Option<f64>, expected: Option<f64>) {
        match (actual, expected) {
            (None, None) => {}
            (Some(a), Some(e)) if (a - e).abs() < 1e-12 => {}
            _ => panic!("{actual:?} is not {expected:?}"),
        }
    }

    #[test]
    fn best_threshold() -> Result {
        let best = f1_max(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true])?;
        assert_eq!(
            best,
            Some(F1Max {
                f1: 0.8,
                threshold: 0.35
            })
        );
        // At 3 and at 1 F1 is 2/3: the lower threshold is taken.
        let best = f1_max(&[3.0, 2.0, 1.0, 1.0], &[true, false, false, true])?;
        assert_eq!(best.map(|b| b.threshold), Some(1.0));
        assert_eq!(f1_max(&[1.0], &[false])?, None);
        Ok(())
    }

    #[test]
    fn bad_data_is_refused() {
        assert!(matches!(
            auroc(&[1.0], &[]),
            Err(EvalError::CountMismatch { .. })
        ));
        assert!(matches!(
            average_precision(&[0.0, f32::NAN], &[true, false]),
            Err(EvalError::NotFinite { index: 1, .. })
        ));
    }

    #[test]
    fn a_curve_has_a_point_per_score() -> Result {
        let points = curve(&[0.9, 0.5, 0.5, 0.1], &[true, false, true, false])?;
        let found: Vec<_> = points
            .iter()
            .map(|p| {
                (
                    p.threshold,
                    p.true_positive_rate,
                    p.false_positive_rate,
                    p.precision,
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                (0.9, 0.5, 0.0, 1.0),
                (0.5, 1.0, 0.5, 2.0 / 3.0),
                (0.1, 1.0, 1.0, 0.5)
            ]
        );
        assert!(curve(&[0.9], &[true])?.is_empty());
        Ok(())
    }

    #[test]
    fn auroc_counts_pairs() -> Result {
        use rand::{Rng, SeedableRng, rngs::StdRng};
        let mut rng = StdRng::seed_from_u64(3);
        for n in [2_usize, 7, 65, 300] {
            // Few levels, so that most scores are tied.
            let scores: Vec<f32> = (0..n).map(|_| rng.random_range(-3..4) as f32).collect();
            let labels: Vec<bool> = (0..n).map(|i| i == 0 || (i > 1 && rng.random())).collect();
            let (mut wins, mut pairs) = (0.0, 0.0);
            for i in (0..n).filter(|&i| labels[i]) {
                for j in (0..n).filter(|&j| !labels[j]) {
                    pairs += 1.0;
                    wins += match scores[i].total_cmp(&scores[j]) {
                        std::cmp::Ordering::Greater => 1.0,
                        std::cmp::Ordering::Equal => 0.5,
                        std::cmp::Ordering::Less => 0.0,
                    };
                }
            }
            assert_close(auroc(&scores, &labels)?, Some(wins / pairs));
        }
        Ok(())
    }
}
