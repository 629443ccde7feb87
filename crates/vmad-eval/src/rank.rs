//! Metrics of a ranking: AUROC, average precision and the best F1, which is `vmad-prep`'s.

use rayon::prelude::*;
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

/// Walks the distinct thresholds of two lists sorted in descending order of key and calls
/// `visit(key, positives with that key, number of negatives with that key)` for each.
pub(crate) fn for_each_threshold<P>(
    positives: &[P],
    negatives: &[u32],
    key_of: impl Fn(&P) -> u32,
    mut visit: impl FnMut(u32, &[P], usize),
) {
    let (mut positives, mut negatives) = (positives, negatives);
    loop {
        let key = match (positives.first().map(&key_of), negatives.first().copied()) {
            (None, None) => return,
            (Some(key), None) | (None, Some(key)) => key,
            (Some(a), Some(b)) => a.max(b),
        };
        // Ties are runs at the front; a linear scan visits each entry once.
        let n_positives = positives.iter().take_while(|p| key_of(p) == key).count();
        let n_negatives = negatives.iter().take_while(|&&n| n == key).count();
        let (tied, rest) = positives.split_at(n_positives);
        visit(key, tied, n_negatives);
        positives = rest;
        negatives = negatives.split_at(n_negatives).1;
    }
}

/// Keys of the two classes, each sorted in descending order.
struct Ranking {
    positives: Vec<u32>,
    negatives: Vec<u32>,
}

/// One label a score, and no score that is NaN.
fn check(scores: &[f32], labels: &[bool]) -> Result<(), EvalError> {
    if scores.len() != labels.len() {
        return Err(EvalError::CountMismatch {
            n_scores: scores.len(),
            n_labels: labels.len(),
        });
    }
    match scores.iter().position(|score| score.is_nan()) {
        None => Ok(()),
        Some(index) => Err(EvalError::NotFinite {
            what: "score",
            index,
            value: "NaN".into(),
        }),
    }
}

impl Ranking {
    fn new(scores: &[f32], labels: &[bool]) -> Result<Self, EvalError> {
        check(scores, labels)?;
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

    fn sorted(mut positives: Vec<u32>, mut negatives: Vec<u32>) -> Self {
        sort_descending(&mut positives);
        sort_descending(&mut negatives);
        Self {
            positives,
            negatives,
        }
    }

    fn for_each_threshold(&self, mut visit: impl FnMut(u32, usize, usize)) {
        for_each_threshold(
            &self.positives,
            &self.negatives,
            |&key| key,
            |key, tied, n| visit(key, tied.len(), n),
        );
    }

    fn lacks_a_class(&self) -> bool {
        self.positives.is_empty() || self.negatives.is_empty()
    }

    fn auroc(&self) -> Option<f64> {
        if self.lacks_a_class() {
            return None;
        }
        // Twice the area in units of one (positive, negative) pair: exact, whatever the size.
        let mut twice_area = 0_u128;
        let mut n_above = 0_u128;
        self.for_each_threshold(|_, n_positives, n_negatives| {
            let n_positives = n_positives as u128;
            twice_area += n_negatives as u128 * (2 * n_above + n_positives);
            n_above += n_positives;
        });
        let n_pairs = self.positives.len() as f64 * self.negatives.len() as f64;
        Some(twice_area as f64 / (2.0 * n_pairs))
    }
}

pub(crate) fn sort_descending<T: Ord + Send>(keys: &mut [T]) {
    keys.par_sort_unstable_by(|a, b| b.cmp(a));
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
    let ranking = Ranking::new(scores, labels)?;
    let n_positives = ranking.positives.len();
    if ranking.lacks_a_class() {
        return Ok(None);
    }
    let (mut n_true, mut n_false, mut sum) = (0_usize, 0_usize, 0.0_f64);
    ranking.for_each_threshold(|_, true_here, false_here| {
        n_true += true_here;
        n_false += false_here;
        if true_here > 0 {
            sum += true_here as f64 * (n_true as f64 / (n_true + n_false) as f64);
        }
    });
    Ok(Some(sum / n_positives as f64))
}

/// The threshold with the highest F1. `None` when a class is missing.
pub fn f1_max(scores: &[f32], labels: &[bool]) -> Result<Option<F1Max>, EvalError> {
    check(scores, labels)?;
    let pairs = scores.iter().copied().zip(labels.iter().copied());
    Ok(vmad_prep::f1_max(pairs))
}

/// AUROC over all pixels of a set of maps. Needs four bytes a pixel beside its input.
/// `None` when no pixel, or every pixel, is a defect.
///
/// # Shapes
/// - maps, masks: one slice per image, each mask as long as its map
pub fn pixel_auroc<M, K>(maps: &[M], masks: &[K]) -> Result<Option<f64>, EvalError>
where
    M: AsRef<[f32]> + Sync,
    K: AsRef<[bool]> + Sync,
{
    if maps.len() != masks.len() {
        return Err(EvalError::CountMismatch {
            n_scores: maps.len(),
            n_labels: masks.len(),
        });
    }
    let mut positives = Vec::new();
    let mut negatives = Vec::with_capacity(maps.iter().map(|map| map.as_ref().len()).sum());
    for (index, (map, mask)) in maps.iter().zip(masks).enumerate() {
        let (map, mask) = (map.as_ref(), mask.as_ref());
        if map.len() != mask.len() {
            return Err(EvalError::CountMismatch {
                n_scores: map.len(),
                n_labels: mask.len(),
            });
        }
        for (&score, &is_defect) in map.iter().zip(mask) {
            if score.is_nan() {
                return Err(EvalError::NotFinite {
                    what: "map",
                    index,
                    value: "NaN".into(),
                });
            }
            if is_defect {
                positives.push(ordered_key(score));
            } else {
                negatives.push(ordered_key(score));
            }
        }
    }
    Ok(Ranking::sorted(positives, negatives).auroc())
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
        assert!(matches!(
            pixel_auroc(&[vec![0.0; 2]], &[vec![true; 3]]),
            Err(EvalError::CountMismatch { .. })
        ));
        assert!(matches!(
            pixel_auroc(&[vec![f32::NAN; 2]], &[vec![true; 2]]),
            Err(EvalError::NotFinite { index: 0, .. })
        ));
    }

    #[test]
    fn pixels_of_a_set_are_one_ranking() -> Result {
        let maps = [vec![0.1, 0.4], vec![0.35, 0.8]];
        let masks = [vec![false, false], vec![true, true]];
        assert_close(pixel_auroc(&maps, &masks)?, Some(0.75));
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
