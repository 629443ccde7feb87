//! Decision thresholds from scores: the best F1 with labelled defects, a quantile with good parts only.
//!
//! A part is anomalous if its score *reaches* the threshold. Thresholds are not interpolated: each is
//! one of the scores, or the next number above one.

use serde::{Deserialize, Serialize};

/// The best F1 that any threshold reaches, and that threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct F1Max {
    /// The F1 score, 0..1.
    pub f1: f64,
    /// Predict "anomalous" for `score >= threshold`. The lowest one when several are best.
    pub threshold: f32,
}

/// The threshold with the highest F1 over pairs of score and label, the label true for a defect.
/// `None` where a class is missing or a score is NaN.
pub fn f1_max(pairs: impl IntoIterator<Item = (f32, bool)>) -> Option<F1Max> {
    let mut ranked: Vec<(f32, bool)> = pairs.into_iter().collect();
    let n_positives = ranked.iter().filter(|(_, label)| *label).count();
    let lacks_a_class = n_positives == 0 || n_positives == ranked.len();
    if lacks_a_class || ranked.iter().any(|(score, _)| score.is_nan()) {
        return None;
    }
    ranked.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
    // F1 = 2 TP / (TP + FP + P). Fractions are compared by cross-multiplication, so that
    // rounding never decides between two thresholds of equal F1.
    let (mut n_true, mut n_called) = (0, 0);
    let mut best = (0_u128, 1_u128, f32::INFINITY);
    for tied in ranked.chunk_by(|(a, _), (b, _)| a == b) {
        n_true += tied.iter().filter(|(_, label)| *label).count();
        n_called += tied.len();
        let (numerator, denominator) = (2 * n_true as u128, (n_called + n_positives) as u128);
        if let Some((score, _)) = tied.first()
            && numerator * best.1 >= best.0 * denominator
        {
            best = (numerator, denominator, *score);
        }
    }
    let (numerator, denominator, threshold) = best;
    Some(F1Max {
        f1: numerator as f64 / denominator as f64,
        threshold,
    })
}

/// The share of good parts that is to stay below a threshold: above 0 and below 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile(f64);

/// Tolerance, so that rounding of a share such as 1 − 1/30 does not require one more part.
const RANK_SLACK: f64 = 1e-9;

impl Quantile {
    /// `None` outside of 0 to 1, and for 0 and 1, which no number of parts can guarantee.
    #[must_use]
    pub fn new(share: f64) -> Option<Self> {
        (share > 0.0 && share < 1.0).then_some(Self(share))
    }

    /// The share.
    #[must_use]
    pub fn share(self) -> f64 {
        self.0
    }

    /// The fewest good parts that guarantee this share: the smallest n with
    /// n / (n + 1) ≥ share.
    #[must_use]
    pub fn n_needed(self) -> usize {
        ((self.0 - RANK_SLACK) / (1.0 - self.0)).ceil().max(1.0) as usize
    }

    /// Rank of the score below which a threshold for this share lies, ⌈(n + 1)·share⌉, counted
    /// from 1; above `n` where there are too few parts.
    fn rank(self, n: usize) -> usize {
        let rank = (n as f64 + 1.0) * self.0 - RANK_SLACK;
        rank.ceil().max(1.0) as usize
    }
}

/// A threshold that a share of good parts stays below.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileThreshold {
    /// The largest score that is still good. "Anomalous from" is the next number above it.
    pub highest_good: f32,
    /// The share that is guaranteed; less than requested where there are too few parts.
    pub share: f64,
}

/// The threshold that a share of good parts stays below, by the scores of `n` good parts.
///
/// It lies at the k-th smallest score, k = ⌈(n + 1)·share⌉, as in split conformal prediction. A
/// further part of the same distribution takes each of the n + 1 ranks with equal probability, so its
/// score is at most the k-th with probability at least k / (n + 1), whatever the distribution. n parts
/// guarantee at most n / (n + 1). Where more is requested, the highest score is taken and
/// [`QuantileThreshold::share`] is what it guarantees.
///
/// `None` without a score, or where one is NaN.
#[must_use]
pub fn quantile_threshold(scores: &[f32], quantile: Quantile) -> Option<QuantileThreshold> {
    if scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    let n = scores.len();
    let rank = quantile.rank(n).min(n);
    let mut scores = scores.to_vec();
    let index = rank.checked_sub(1)?;
    let (_, highest_good, _) = scores.select_nth_unstable_by(index, f32::total_cmp);
    Some(QuantileThreshold {
        highest_good: *highest_good,
        share: rank as f64 / (n as f64 + 1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(scores: &[f32], labels: &[u8]) -> Option<(f64, f32)> {
        let pairs = scores.iter().copied().zip(labels.iter().map(|l| *l == 1));
        f1_max(pairs).map(|best| (best.f1, best.threshold))
    }

    #[test]
    fn best_f1() {
        for (scores, labels, expected) in [
            (
                &[0.1, 0.4, 0.35, 0.8][..],
                &[0, 0, 1, 1][..],
                Some((0.8, 0.35)),
            ),
            // At 3 and at 1 F1 is 2/3: the lower threshold is taken.
            (&[3.0, 2.0, 1.0, 1.0], &[1, 0, 0, 1], Some((2.0 / 3.0, 1.0))),
            (&[0.2, 0.9], &[0, 1], Some((1.0, 0.9))),
            // Both zeros are one score.
            (&[-0.0, 0.0, -1.0], &[1, 0, 0], Some((2.0 / 3.0, 0.0))),
            (&[1.0], &[0], None),
            (&[1.0], &[1], None),
            (&[], &[], None),
            (&[0.3, f32::NAN], &[0, 1], None),
        ] {
            assert_eq!(best(scores, labels), expected, "{scores:?} {labels:?}");
        }
    }

    fn quantile(share: f64) -> Quantile {
        Quantile::new(share).unwrap_or(Quantile(f64::NAN))
    }

    #[test]
    fn shares_end_before_0_and_1() {
        for (share, is_one) in [
            (0.95, true),
            (1e-6, true),
            (0.0, false),
            (1.0, false),
            (-0.1, false),
            (f64::NAN, false),
        ] {
            assert_eq!(Quantile::new(share).is_some(), is_one, "{share}");
        }
    }

    #[test]
    fn ranks_of_quantiles() {
        // Scores are 1, 2, …, n, so that a score is its rank.
        for (n, share, expected, promised) in [
            (19, 0.95, 19.0, 0.95),
            (20, 0.95, 20.0, 20.0 / 21.0),
            (39, 0.95, 38.0, 0.95),
            (99, 0.9, 90.0, 0.9),
            (99, 0.99, 99.0, 0.99),
            (7, 0.5, 4.0, 0.5),
            (9, 1e-6, 1.0, 0.1),
            (29, 1.0 - 1.0 / 30.0, 29.0, 29.0 / 30.0),
            // Too few: the highest score, and what it promises.
            (18, 0.95, 18.0, 18.0 / 19.0),
            (3, 0.99, 3.0, 0.75),
            (1, 0.5, 1.0, 0.5),
        ] {
            let scores: Vec<f32> = (1..=n).rev().map(|i| i as f32).collect();
            let found = quantile_threshold(&scores, quantile(share));
            assert_eq!(
                found,
                Some(QuantileThreshold {
                    highest_good: expected,
                    share: promised
                }),
                "{share} of {n}"
            );
        }
        assert_eq!(quantile_threshold(&[], quantile(0.5)), None);
        assert_eq!(quantile_threshold(&[0.1, f32::NAN], quantile(0.5)), None);
    }

    #[test]
    fn needed_is_the_first_number_that_is_enough() {
        for one_in in 2..=200_usize {
            let quantile = quantile(1.0 - 1.0 / one_in as f64);
            assert_eq!(quantile.n_needed(), one_in - 1, "1 in {one_in}");
            for n in 1..=210 {
                let is_enough = quantile.rank(n) <= n;
                assert_eq!(is_enough, n >= quantile.n_needed(), "{n}, 1 in {one_in}");
            }
        }
    }

    /// Of n + 1 equally likely orders, the last part stays below in at least the promised share.
    #[test]
    fn the_promise_is_kept() {
        for (n, share) in [(4, 0.8), (19, 0.95), (25, 0.9), (30, 0.5)] {
            let scores: Vec<f32> = (0..=n).map(|i| (i * 37 % 101) as f32).collect();
            let n_kept = (0..=n).filter(|last| {
                let mut others = scores.clone();
                let score = others.remove(*last);
                quantile_threshold(&others, quantile(share))
                    .is_some_and(|found| score <= found.highest_good)
            });
            let kept = n_kept.count() as f64 / (n as f64 + 1.0);
            assert!(kept >= share - 1e-9, "{kept} of {share}, {n} parts");
        }
    }
}
