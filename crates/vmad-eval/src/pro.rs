//! Per-region overlap: mean recall of the ground truth's connected regions against the false
//! positive rate, in the two forms that are in use.

use serde::{Deserialize, Serialize};

use crate::error::EvalError;
use crate::pixels::RankedPixels;
use crate::rank::score_of_key;

/// Thresholds of [`RankedPixels::pro_zsad`] in the published evaluations.
pub const ZSAD_THRESHOLDS: usize = 200;

/// Which form of PRO a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProVariant {
    /// MVTec's reference: every score is a threshold. See [`RankedPixels::pro_mvtec`].
    #[default]
    Mvtec,
    /// The zero-shot baselines' form: 200 thresholds. See [`RankedPixels::pro_zsad`].
    Zsad,
}

pub(crate) fn check_limit(fpr_limit: f64) -> Result<(), EvalError> {
    if fpr_limit > 0.0 && fpr_limit <= 1.0 {
        Ok(())
    } else {
        Err(EvalError::BadLimit(fpr_limit.to_string()))
    }
}

/// Area under a curve of (false positive rate, PRO) up to a limit, point by point from (0, 0).
pub(crate) struct LimitedArea {
    limit: f64,
    last: (f64, f64),
    area: f64,
}

impl LimitedArea {
    pub fn new(limit: f64) -> Self {
        Self {
            limit,
            last: (0.0, 0.0),
            area: 0.0,
        }
    }

    pub fn to(&mut self, fpr: f64, pro: f64) {
        let (last_fpr, last_pro) = self.last;
        if last_fpr < self.limit {
            self.area += if fpr <= self.limit {
                0.5 * (last_pro + pro) * (fpr - last_fpr)
            } else {
                let part = (self.limit - last_fpr) / (fpr - last_fpr);
                let at_limit = last_pro + (pro - last_pro) * part;
                0.5 * (last_pro + at_limit) * (self.limit - last_fpr)
            };
        }
        self.last = (fpr, pro);
    }

    /// The area as a share of the largest one.
    pub fn share(&self) -> f64 {
        self.area / self.limit
    }
}

impl RankedPixels {
    fn has_regions_and_normal_pixels(&self) -> bool {
        !self.weights.is_empty() && !self.ranking.negatives.is_empty()
    }

    /// PRO after MVTec's reference implementation: every distinct score is a threshold, the false
    /// positive rate counts all defect-free pixels of the set, and the area up to `fpr_limit` (its
    /// end interpolated) is divided by `fpr_limit`. `None` without a region or without a
    /// defect-free pixel.
    pub fn pro_mvtec(&self, fpr_limit: f64) -> Result<Option<f64>, EvalError> {
        check_limit(fpr_limit)?;
        if !self.has_regions_and_normal_pixels() {
            return Ok(None);
        }
        let n_normal = self.ranking.negatives.len() as f64;
        let n_regions = self.weights.len() as f64;
        let (mut n_false, mut recall_sum) = (0_usize, 0.0_f64);
        let mut area = LimitedArea::new(fpr_limit);
        self.ranking.for_each_threshold(|_, tied, n_false_here| {
            n_false += n_false_here;
            recall_sum += tied.iter().map(|&pixel| self.weight(pixel)).sum::<f64>();
            // The sum of many 1/area can pass 1 by rounding.
            area.to(n_false as f64 / n_normal, (recall_sum / n_regions).min(1.0));
        });
        Ok(Some(area.share()))
    }

    /// PRO as zero-shot work computes it: `n_thresholds` steps from the lowest score up, of which
    /// those with a false positive rate below `fpr_limit` are kept, the rate rescaled to 0..1 by its
    /// own least and greatest value, trapezoid. `None` where that divides by zero: no region, no
    /// defect-free pixel, a constant map, or a single rate left.
    pub fn pro_zsad(&self, fpr_limit: f64, n_thresholds: usize) -> Result<Option<f64>, EvalError> {
        check_limit(fpr_limit)?;
        let (normal, defect) = (&self.ranking.negatives, &self.ranking.positives);
        if !self.has_regions_and_normal_pixels() || n_thresholds == 0 {
            return Ok(None);
        }
        let score = |key: u32| f64::from(score_of_key(key));
        let of_defect = |pixel: u64| score((pixel >> 32) as u32);
        let ends = |list: [Option<f64>; 2]| list.into_iter().flatten();
        let highest = ends([
            normal.first().map(|&key| score(key)),
            defect.first().map(|&pixel| of_defect(pixel)),
        ])
        .fold(f64::NEG_INFINITY, f64::max);
        let lowest = ends([
            normal.last().map(|&key| score(key)),
            defect.last().map(|&pixel| of_defect(pixel)),
        ])
        .fold(f64::INFINITY, f64::min);
        if lowest >= highest {
            return Ok(None);
        }
        let step = (highest - lowest) / n_thresholds as f64;

        let (mut n_false, mut n_true, mut recall_sum) = (0, 0, 0.0_f64);
        let mut points = Vec::new(); // (fpr, pro), from the highest threshold down
        for i in (0..n_thresholds).rev() {
            let threshold = lowest + i as f64 * step;
            n_false += normal[n_false..].partition_point(|&key| score(key) > threshold);
            let n_new = defect[n_true..].partition_point(|&pixel| of_defect(pixel) > threshold);
            for &pixel in &defect[n_true..][..n_new] {
                recall_sum += self.weight(pixel);
            }
            n_true += n_new;
            let fpr = n_false as f64 / normal.len() as f64;
            if fpr < fpr_limit {
                points.push((fpr, recall_sum / self.weights.len() as f64));
            }
        }
        let (Some(&(least, _)), Some(&(greatest, _))) = (points.first(), points.last()) else {
            return Ok(None);
        };
        if least >= greatest {
            return Ok(None);
        }
        let area: f64 = points
            .windows(2)
            .map(|pair| 0.5 * (pair[0].1 + pair[1].1) * (pair[1].0 - pair[0].0))
            .sum();
        Ok(Some(area / (greatest - least)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::PixelSet;

    type Result = std::result::Result<(), EvalError>;

    fn ranked<const N: usize>(
        maps: &[[f32; N]],
        masks: &[[bool; N]],
    ) -> std::result::Result<RankedPixels, EvalError> {
        Ok(PixelSet::of(maps, masks, N, 1)?.rank())
    }

    #[test]
    fn perfect_map_scores_one() -> Result {
        let mask = [true, true, false, false, false, true];
        let map = mask.map(|m| f32::from(u8::from(m)));
        assert_eq!(ranked(&[map], &[mask])?.pro_mvtec(0.3)?, Some(1.0));
        Ok(())
    }

    #[test]
    fn constant_map_is_the_diagonal() -> Result {
        // One threshold takes everything: a straight line from (0, 0) to (1, 1), whose area up
        // to 0.3 is 0.045, or 0.15 of the box.
        let set = ranked(&[[0.5_f32; 4]], &[[true, false, false, false]])?;
        let value = set.pro_mvtec(0.3)?;
        assert!(value.is_some_and(|v| (v - 0.15).abs() < 1e-12), "{value:?}");
        assert_eq!(set.pro_zsad(0.3, 200)?, None);
        Ok(())
    }

    #[test]
    fn by_hand_with_ties() -> Result {
        // Regions: A = {0, 1} and B = {6}. Normal pixels: 2, 3, 4, 5, 7 (five).
        let mask = [0, 1, 2, 3, 4, 5, 6, 7].map(|i| matches!(i, 0 | 1 | 6));
        let map = [0.9_f32, 0.5, 0.7, 0.5, 0.1, 0.1, 0.5, 0.0];
        // Thresholds 0.9: (0, .25); 0.7: (.2, .25); 0.5: (.4, 1) …
        // Up to 0.3: .2·.25 + .5·(.25 + .625)·.1 = .09375, over .3 = .3125.
        let value = ranked(&[map], &[mask])?.pro_mvtec(0.3)?;
        assert!(
            value.is_some_and(|v| (v - 0.3125).abs() < 1e-12),
            "{value:?}"
        );
        Ok(())
    }

    #[test]
    fn two_images_share_one_false_positive_rate() -> Result {
        let maps = [[0.9_f32, 0.2], [0.4, 0.3]];
        let masks = [[true, false], [false, false]];
        // (0, 1) at 0.9 and flat from there.
        assert_eq!(ranked(&maps, &masks)?.pro_mvtec(0.3)?, Some(1.0));
        for masks in [[[false; 2]; 2], [[true; 2]; 2]] {
            assert_eq!(ranked(&maps, &masks)?.pro_mvtec(0.3)?, None);
            assert_eq!(ranked(&maps, &masks)?.pro_zsad(0.3, 200)?, None);
        }
        Ok(())
    }

    #[test]
    fn zsad_by_hand() -> Result {
        // Ten normal pixels 0..9 of 10, one region of two pixels at 8.5 and 10. With 10 thresholds
        // 0, 1, …, 9: FPR above t is (9 − t)/10, below 0.3 for t = 7, 8, 9: .2, .1, 0.
        // Recall there: 1, 1, .5. Rescaled rates 0, .5, 1: .5·(.5 + 1)·.5 + 1·.5 = .875.
        let map = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 8.5, 10.0];
        let mask = std::array::from_fn(|i| i >= 10);
        let value = ranked(&[map], &[mask])?.pro_zsad(0.3, 10)?;
        assert!(
            value.is_some_and(|v| (v - 0.875).abs() < 1e-12),
            "{value:?}"
        );
        Ok(())
    }

    #[test]
    fn limits_are_checked() -> Result {
        let set = ranked(&[[0.0_f32; 4]], &[[true; 4]])?;
        for limit in [0.0, -0.1, 1.5, f64::NAN] {
            assert!(matches!(set.pro_mvtec(limit), Err(EvalError::BadLimit(_))));
            assert!(matches!(
                set.pro_zsad(limit, 200),
                Err(EvalError::BadLimit(_))
            ));
        }
        Ok(())
    }
}
