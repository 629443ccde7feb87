//! Per-region overlap: mean recall of the ground truth's connected regions against the false
//! positive rate, in the two forms that are in use.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::EvalError;
use crate::grid::check_size;
use crate::rank::{for_each_threshold, ordered_key, sort_descending};

/// Thresholds of [`pro_zsad`] in the published evaluations.
pub const ZSAD_THRESHOLDS: usize = 200;

/// Which form of PRO a report holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProVariant {
    /// MVTec's reference: every score is a threshold. See [`pro_mvtec`].
    #[default]
    Mvtec,
    /// The zero-shot baselines' form: 200 thresholds. See [`pro_zsad`].
    Zsad,
}

impl ProVariant {
    /// PRO in this form. The arguments are those of [`pro_mvtec`].
    pub fn compute<M, K>(
        self,
        maps: &[M],
        masks: &[K],
        width: usize,
        height: usize,
        fpr_limit: f64,
    ) -> Result<Option<f64>, EvalError>
    where
        M: AsRef<[f32]> + Sync,
        K: AsRef<[bool]> + Sync,
    {
        match self {
            Self::Mvtec => pro_mvtec(maps, masks, width, height, fpr_limit),
            Self::Zsad => pro_zsad(maps, masks, width, height, fpr_limit, ZSAD_THRESHOLDS),
        }
    }
}

/// Label of a pixel outside every region.
const NO_REGION: u32 = u32::MAX;

/// 8-connected regions of a mask.
struct Regions {
    /// Region of each pixel, counted from 0, or [`NO_REGION`].
    labels: Vec<u32>,
    /// Pixels in each region.
    areas: Vec<u32>,
}

impl Regions {
    fn of(mask: &[bool], width: usize, height: usize) -> Self {
        let mut labels = vec![NO_REGION; mask.len()];
        let mut areas = Vec::new();
        let mut open = Vec::new();
        for start in 0..mask.len() {
            if !mask[start] || labels[start] != NO_REGION {
                continue;
            }
            let region = areas.len() as u32;
            let mut area = 0_u32;
            labels[start] = region;
            open.push(start);
            while let Some(pixel) = open.pop() {
                area += 1;
                let (x, y) = (pixel % width, pixel / width);
                for ny in y.saturating_sub(1)..(y + 2).min(height) {
                    for nx in x.saturating_sub(1)..(x + 2).min(width) {
                        let neighbour = ny * width + nx;
                        if mask[neighbour] && labels[neighbour] == NO_REGION {
                            labels[neighbour] = region;
                            open.push(neighbour);
                        }
                    }
                }
            }
            areas.push(area);
        }
        Self { labels, areas }
    }
}

/// Scores of one set, split into defect-free pixels and pixels of regions.
struct PixelSet {
    /// Keys of the defect-free pixels.
    normal: Vec<u32>,
    /// Pixels of regions: key in the high half, region (index into `weights`) in the low half,
    /// so that one integer sort orders them.
    defect: Vec<u64>,
    /// 1 / area of each region.
    weights: Vec<f64>,
}

impl PixelSet {
    fn new<M, K>(maps: &[M], masks: &[K], width: usize, height: usize) -> Result<Self, EvalError>
    where
        M: AsRef<[f32]> + Sync,
        K: AsRef<[bool]> + Sync,
    {
        check_set(maps, masks, width, height)?;
        let regions: Vec<Regions> = masks
            .par_iter()
            .map(|mask| Regions::of(mask.as_ref(), width, height))
            .collect();
        let mut set = Self {
            normal: Vec::with_capacity(maps.len() * width * height),
            defect: Vec::new(),
            weights: Vec::new(),
        };
        for (map, regions) in maps.iter().zip(regions) {
            let first = set.weights.len() as u64;
            for (&score, label) in map.as_ref().iter().zip(regions.labels) {
                let key = ordered_key(score);
                if label == NO_REGION {
                    set.normal.push(key);
                } else {
                    set.defect
                        .push(u64::from(key) << 32 | (first + u64::from(label)));
                }
            }
            set.weights
                .extend(regions.areas.iter().map(|&area| 1.0 / f64::from(area)));
        }
        Ok(set)
    }

    fn weight(&self, pixel: u64) -> f64 {
        self.weights[(pixel & u64::from(u32::MAX)) as usize]
    }

    fn is_defined(&self) -> bool {
        !self.weights.is_empty() && !self.normal.is_empty()
    }
}

fn check_set<M, K>(maps: &[M], masks: &[K], width: usize, height: usize) -> Result<(), EvalError>
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
    for (index, (map, mask)) in maps.iter().zip(masks).enumerate() {
        check_size("map", index, map.as_ref().len(), width, height)?;
        check_size("mask", index, mask.as_ref().len(), width, height)?;
        if let Some(value) = map.as_ref().iter().find(|score| !score.is_finite()) {
            return Err(EvalError::NotFinite {
                what: "map",
                index,
                value: value.to_string(),
            });
        }
    }
    Ok(())
}

fn check_limit(fpr_limit: f64) -> Result<(), EvalError> {
    if fpr_limit > 0.0 && fpr_limit <= 1.0 {
        Ok(())
    } else {
        Err(EvalError::BadLimit(fpr_limit.to_string()))
    }
}

/// PRO after MVTec's reference implementation: every distinct score is a threshold, the false
/// positive rate counts all defect-free pixels of the set, and the area up to `fpr_limit` (its
/// end interpolated) is divided by `fpr_limit`. `None` without a region or without a
/// defect-free pixel.
///
/// # Shapes
/// - maps, masks: one slice per image, row-major `[height, width]`
pub fn pro_mvtec<M, K>(
    maps: &[M],
    masks: &[K],
    width: usize,
    height: usize,
    fpr_limit: f64,
) -> Result<Option<f64>, EvalError>
where
    M: AsRef<[f32]> + Sync,
    K: AsRef<[bool]> + Sync,
{
    check_limit(fpr_limit)?;
    let mut set = PixelSet::new(maps, masks, width, height)?;
    if !set.is_defined() {
        return Ok(None);
    }
    sort_descending(&mut set.normal);
    sort_descending(&mut set.defect);

    let n_normal = set.normal.len() as f64;
    let n_regions = set.weights.len() as f64;
    let (mut n_false, mut recall_sum) = (0_usize, 0.0_f64);
    let (mut fpr, mut pro, mut area) = (0.0_f64, 0.0_f64, 0.0_f64);
    for_each_threshold(
        &set.defect,
        &set.normal,
        |&pixel| (pixel >> 32) as u32,
        |_, tied, n_false_here| {
            n_false += n_false_here;
            recall_sum += tied.iter().map(|&pixel| set.weight(pixel)).sum::<f64>();
            let next_fpr = n_false as f64 / n_normal;
            // The sum of many 1/area can pass 1 by rounding.
            let next_pro = (recall_sum / n_regions).min(1.0);
            if fpr < fpr_limit {
                area += if next_fpr <= fpr_limit {
                    0.5 * (pro + next_pro) * (next_fpr - fpr)
                } else {
                    let part = (fpr_limit - fpr) / (next_fpr - fpr);
                    let at_limit = pro + (next_pro - pro) * part;
                    0.5 * (pro + at_limit) * (fpr_limit - fpr)
                };
            }
            (fpr, pro) = (next_fpr, next_pro);
        },
    );
    Ok(Some(area / fpr_limit))
}

/// PRO as zero-shot work computes it: `n_thresholds` steps from the lowest score up, of which
/// those with a false positive rate below `fpr_limit` are kept, the rate rescaled to 0..1 by its
/// own least and greatest value, trapezoid. `None` where that divides by zero: no region, no
/// defect-free pixel, a constant map, or a single rate left.
///
/// # Shapes
/// - maps, masks: one slice per image, row-major `[height, width]`
pub fn pro_zsad<M, K>(
    maps: &[M],
    masks: &[K],
    width: usize,
    height: usize,
    fpr_limit: f64,
    n_thresholds: usize,
) -> Result<Option<f64>, EvalError>
where
    M: AsRef<[f32]> + Sync,
    K: AsRef<[bool]> + Sync,
{
    check_limit(fpr_limit)?;
    check_set(maps, masks, width, height)?;
    let scores = || maps.iter().flat_map(|map| map.as_ref()).copied();
    let lowest = f64::from(scores().fold(f32::INFINITY, f32::min));
    let highest = f64::from(scores().fold(f32::NEG_INFINITY, f32::max));
    if lowest >= highest || n_thresholds == 0 {
        return Ok(None);
    }
    let step = (highest - lowest) / n_thresholds as f64;
    let thresholds: Vec<f64> = (0..n_thresholds)
        .map(|i| lowest + i as f64 * step)
        .collect();

    // Entry n: pixels that lie above exactly n thresholds. Sums from the far end give what lies
    // above each threshold, so the maps are read once and not once per threshold.
    let mut n_false = vec![0_u64; n_thresholds + 1];
    let mut recall = vec![0.0_f64; n_thresholds + 1];
    let (mut n_normal, mut n_regions) = (0_u64, 0_usize);
    for (map, mask) in maps.iter().zip(masks) {
        let regions = Regions::of(mask.as_ref(), width, height);
        n_regions += regions.areas.len();
        for (&score, &label) in map.as_ref().iter().zip(&regions.labels) {
            let n_below = thresholds.partition_point(|&threshold| threshold < f64::from(score));
            if label == NO_REGION {
                n_normal += 1;
                n_false[n_below] += 1;
            } else {
                recall[n_below] += 1.0 / f64::from(regions.areas[label as usize]);
            }
        }
    }
    if n_normal == 0 || n_regions == 0 {
        return Ok(None);
    }

    let (mut above_false, mut above_recall) = (0_u64, 0.0_f64);
    let mut points = Vec::new(); // (fpr, pro), from the highest threshold down
    for i in (0..n_thresholds).rev() {
        above_false += n_false[i + 1];
        above_recall += recall[i + 1];
        let fpr = above_false as f64 / n_normal as f64;
        if fpr < fpr_limit {
            points.push((fpr, above_recall / n_regions as f64));
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

#[cfg(test)]
mod tests {
    use super::*;

    type Result = std::result::Result<(), EvalError>;

    fn mask(rows: &[&str]) -> Vec<bool> {
        rows.iter()
            .flat_map(|row| row.chars().map(|c| c == '#'))
            .collect()
    }

    #[test]
    fn regions_are_8_connected() {
        let regions = Regions::of(&mask(&["#..#", ".#.#", "....", "#.##"]), 4, 4);
        assert_eq!(regions.areas, [2, 2, 1, 2]);
        assert_eq!(regions.labels[5], 0, "diagonal neighbours are one region");
    }

    #[test]
    fn perfect_map_scores_one() -> Result {
        let mask = mask(&["##..", "....", "...#"]);
        let map: Vec<f32> = mask.iter().map(|&m| f32::from(u8::from(m))).collect();
        assert_eq!(pro_mvtec(&[map], &[mask], 4, 3, 0.3)?, Some(1.0));
        Ok(())
    }

    #[test]
    fn constant_map_is_the_diagonal() -> Result {
        // One threshold takes everything: a straight line from (0, 0) to (1, 1), whose area up
        // to 0.3 is 0.045, or 0.15 of the box.
        let value = pro_mvtec(&[[0.5_f32; 4]], &[[true, false, false, false]], 2, 2, 0.3)?;
        assert!(value.is_some_and(|v| (v - 0.15).abs() < 1e-12), "{value:?}");
        let value = pro_zsad(
            &[[0.5_f32; 4]],
            &[[true, false, false, false]],
            2,
            2,
            0.3,
            200,
        )?;
        assert_eq!(value, None);
        Ok(())
    }

    #[test]
    fn by_hand_with_ties() -> Result {
        // Regions: A = {0, 1} and B = {6}. Normal pixels: 2, 3, 4, 5, 7 (five).
        let mask = mask(&["##....#."]);
        let map = [0.9_f32, 0.5, 0.7, 0.5, 0.1, 0.1, 0.5, 0.0];
        // Thresholds 0.9: (0, .25); 0.7: (.2, .25); 0.5: (.4, 1) …
        // Up to 0.3: .2·.25 + .5·(.25 + .625)·.1 = .09375, over .3 = .3125.
        let value = pro_mvtec(&[map], &[mask], 8, 1, 0.3)?;
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
        assert_eq!(pro_mvtec(&maps, &masks, 2, 1, 0.3)?, Some(1.0));
        assert_eq!(pro_mvtec(&maps, &[[false; 2]; 2], 2, 1, 0.3)?, None);
        assert_eq!(pro_mvtec(&maps, &[[true; 2]; 2], 2, 1, 0.3)?, None);
        Ok(())
    }

    #[test]
    fn zsad_by_hand() -> Result {
        // Ten normal pixels 0..9 of 10, one region of two pixels at 8.5 and 10. With 10 thresholds
        // 0, 1, …, 9: FPR above t is (9 − t)/10, below 0.3 for t = 7, 8, 9: .2, .1, 0.
        // Recall there: 1, 1, .5. Rescaled rates 0, .5, 1: .5·(.5 + 1)·.5 + 1·.5 = .875.
        let map: Vec<f32> = (0..10).map(|i| i as f32).chain([8.5, 10.0]).collect();
        let mask: Vec<bool> = (0..12).map(|i| i >= 10).collect();
        let value = pro_zsad(&[map], &[mask], 12, 1, 0.3, 10)?;
        assert!(
            value.is_some_and(|v| (v - 0.875).abs() < 1e-12),
            "{value:?}"
        );
        Ok(())
    }

    #[test]
    fn bad_data_is_refused() {
        let bad = |r: std::result::Result<Option<f64>, EvalError>| r.err();
        assert!(matches!(
            bad(pro_mvtec(&[[0.0_f32; 3]], &[[true; 4]], 2, 2, 0.3)),
            Some(EvalError::SizeMismatch { what: "map", .. })
        ));
        assert!(matches!(
            bad(pro_zsad(&[[f32::NAN; 4]], &[[true; 4]], 2, 2, 0.3, 200)),
            Some(EvalError::NotFinite { .. })
        ));
        assert!(matches!(
            bad(pro_mvtec(&[[0.0_f32; 4]], &[[true; 4]], 2, 2, 0.0)),
            Some(EvalError::BadLimit(_))
        ));
    }
}
