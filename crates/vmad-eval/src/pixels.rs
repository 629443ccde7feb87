//! The pixels of a set of maps, stored for ranking.
//!
//! A pixel needs four bytes outside of defects and eight inside. Masks are not stored. Sorting is
//! in place and needs no second copy.

use crate::error::EvalError;
use crate::grid::check_size;
use crate::rank::{F1Max, Ranking, ordered_key};
use crate::regions::{NO_REGION, Regions};

/// Which entries of a [`PixelSet`] belong to an image: its lists up to these lengths, from those of
/// the image before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub normal: usize,
    pub defect: usize,
    pub regions: usize,
    pub is_defective: bool,
}

/// Collects maps and masks of one size.
#[derive(Debug, Clone)]
pub struct PixelSet {
    width: usize,
    height: usize,
    /// Keys of the defect-free pixels.
    pub(crate) normal: Vec<u32>,
    /// Pixels of regions: key in the high half, region (index into `weights`) in the low half.
    pub(crate) defect: Vec<u64>,
    /// 1 / area of each region.
    pub(crate) weights: Vec<f64>,
    pub(crate) ends: Vec<Ends>,
}

impl PixelSet {
    /// A set of maps `[height, width]`.
    pub fn new(width: usize, height: usize) -> Result<Self, EvalError> {
        match width.checked_mul(height) {
            Some(n) if n > 0 => Ok(Self {
                width,
                height,
                normal: Vec::new(),
                defect: Vec::new(),
                weights: Vec::new(),
                ends: Vec::new(),
            }),
            _ => Err(EvalError::BadSize { width, height }),
        }
    }

    /// All maps and masks of a list.
    ///
    /// # Shapes
    /// - maps, masks: one slice per image, row-major `[height, width]`
    pub fn of<M, K>(maps: &[M], masks: &[K], width: usize, height: usize) -> Result<Self, EvalError>
    where
        M: AsRef<[f32]>,
        K: AsRef<[bool]>,
    {
        if maps.len() != masks.len() {
            return Err(EvalError::CountMismatch {
                n_scores: maps.len(),
                n_labels: masks.len(),
            });
        }
        let mut set = Self::new(width, height)?;
        for (map, mask) in maps.iter().zip(masks) {
            let mask = mask.as_ref();
            set.add(map.as_ref(), mask, mask.contains(&true))?;
        }
        Ok(set)
    }

    /// Images in the set.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether no image has been added.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds an image. `is_defective` counts for resampling alone: the mask of a defective image may
    /// have vanished on the grid. An image that is refused adds nothing.
    ///
    /// # Shapes
    /// - map, mask: `[height, width]`
    pub fn add(&mut self, map: &[f32], mask: &[bool], is_defective: bool) -> Result<(), EvalError> {
        let index = self.ends.len();
        check_size("map", index, map.len(), self.width, self.height)?;
        check_size("mask", index, mask.len(), self.width, self.height)?;
        if let Some(value) = map.iter().find(|score| !score.is_finite()) {
            return Err(EvalError::NotFinite {
                what: "map",
                index,
                value: value.to_string(),
            });
        }
        let regions = Regions::of(mask, self.width, self.height);
        let first = self.weights.len() as u64;
        self.normal.reserve(map.len());
        for (&score, label) in map.iter().zip(regions.labels) {
            let key = ordered_key(score);
            if label == NO_REGION {
                self.normal.push(key);
            } else {
                self.defect
                    .push(u64::from(key) << 32 | (first + u64::from(label)));
            }
        }
        self.weights
            .extend(regions.areas.iter().map(|&area| 1.0 / f64::from(area)));
        self.ends.push(Ends {
            normal: self.normal.len(),
            defect: self.defect.len(),
            regions: self.weights.len(),
            is_defective,
        });
        Ok(())
    }

    /// Sorts the pixels; afterwards they no longer belong to images.
    pub fn rank(self) -> RankedPixels {
        RankedPixels {
            ranking: Ranking::sorted(self.defect, self.normal),
            weights: self.weights,
        }
    }
}

/// The pixels of a set in the order of their scores.
pub struct RankedPixels {
    pub(crate) ranking: Ranking<u64>,
    pub(crate) weights: Vec<f64>,
}

impl RankedPixels {
    /// AUROC over all pixels. `None` when no pixel, or every pixel, is a defect.
    pub fn auroc(&self) -> Option<f64> {
        self.ranking.auroc()
    }

    /// Average precision over all pixels; see [`crate::average_precision`].
    pub fn average_precision(&self) -> Option<f64> {
        self.ranking.average_precision()
    }

    /// The best F1 over all pixels and its threshold; see [`crate::f1_max`].
    pub fn f1_max(&self) -> Option<F1Max> {
        self.ranking.f1_max()
    }

    /// Weight of a defect's pixel: 1 over the pixels of its region.
    pub(crate) fn weight(&self, pixel: u64) -> f64 {
        self.weights[(pixel & u64::from(u32::MAX)) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Result = std::result::Result<(), EvalError>;

    #[test]
    fn pixels_of_a_set_are_one_ranking() -> Result {
        let maps = [vec![0.1, 0.4], vec![0.35, 0.8]];
        let masks = [vec![false, false], vec![true, true]];
        let ranked = PixelSet::of(&maps, &masks, 2, 1)?.rank();
        assert_eq!(ranked.auroc(), Some(0.75));
        assert_eq!(ranked.f1_max().map(|best| best.threshold), Some(0.35));
        Ok(())
    }

    #[test]
    fn refused_images_leave_no_trace() -> Result {
        let mut set = PixelSet::new(2, 2)?;
        let bad = |result: std::result::Result<(), EvalError>| result.err();
        assert!(matches!(
            bad(set.add(&[0.0; 3], &[true; 4], true)),
            Some(EvalError::SizeMismatch { what: "map", .. })
        ));
        assert!(matches!(
            bad(set.add(&[0.0; 4], &[true; 5], true)),
            Some(EvalError::SizeMismatch { what: "mask", .. })
        ));
        assert!(matches!(
            bad(set.add(&[f32::NAN; 4], &[true; 4], true)),
            Some(EvalError::NotFinite { index: 0, .. })
        ));
        assert!(set.is_empty() && set.normal.is_empty() && set.defect.is_empty());
        assert!(matches!(
            PixelSet::of(&[[0.0_f32; 4]], &[] as &[[bool; 4]], 2, 2),
            Err(EvalError::CountMismatch { .. })
        ));
        assert!(matches!(
            PixelSet::new(0, 3),
            Err(EvalError::BadSize { .. })
        ));
        Ok(())
    }
}
