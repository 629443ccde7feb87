//! Thresholds from the scores of a user's own photographs.
//!
//! [`crate::Engine::calibrate`] inspects one photograph after the other and keeps only scores. Two
//! thresholds come out of them:
//!
//! - **image**, for the score of a photograph. With good and defective parts, the threshold of the
//!   best F1. With good parts only, a quantile ([`vmad_prep::quantile_threshold`]).
//! - **pixel**, for the map. With marked defects, the threshold of the best F1 over the pixels of a
//!   grid. Otherwise the same quantile of the *largest* map value of each good photograph, so that
//!   this share of good photographs has no marked pixel. A quantile over pixels would guarantee
//!   nothing about photographs, because the pixels of one photograph are correlated.

use serde::{Deserialize, Serialize};
use vmad_prep::{GrayImage, Quantile, f1_max, quantile_threshold};

use crate::{AnomalyMap, EngineError, Inspection, Photo, Query, StopReason, Thresholds};

/// A photograph to calibrate with.
#[derive(Debug)]
pub struct CalibrationPhoto {
    /// A name for events, for instance its file's name.
    pub name: String,
    /// The photograph, or why it cannot be read.
    pub photo: Result<Photo, EngineError>,
    /// The part's label.
    pub label: Label,
    /// Name of the object, where it differs from [`CalibrationOptions::object`].
    pub object: Option<String>,
}

/// The ground truth of a part.
#[derive(Clone, Debug)]
pub enum Label {
    /// The part has no defect.
    Good,
    /// The part has a defect at an unknown place.
    Defective,
    /// The part has a defect where this mask is not 0. The mask covers the whole photograph.
    Marked(GrayImage),
}

impl Label {
    fn is_defective(&self) -> bool {
        !matches!(self, Self::Good)
    }
}

/// Settings of a calibration, common to all photographs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CalibrationOptions {
    /// Name of the object, e.g. `bolt`.
    pub object: Option<String>,
    /// Description of a good part.
    pub normal: Option<String>,
    /// Share of good parts that shall pass, above 0 and below 1. Used when no photograph shows a
    /// defective part.
    pub quantile: f64,
}

impl Default for CalibrationOptions {
    fn default() -> Self {
        Self {
            object: None,
            normal: None,
            quantile: 0.95,
        }
    }
}

/// Events of [`crate::Engine::calibrate`]: one for each photograph, then the thresholds, then
/// [`Self::Done`], unless the stream ends in an error.
#[derive(Clone, Debug, PartialEq)]
pub enum CalibrationEvent {
    /// A photograph has been inspected.
    Scored(ScoredPhoto),
    /// A photograph cannot be used and is left out.
    Skipped {
        /// Its name.
        name: String,
        /// The error's [`EngineError::code`].
        code: &'static str,
        /// The error as text.
        message: String,
    },
    /// The thresholds.
    Calibration(Calibration),
    /// The call is over.
    Done {
        /// Why.
        reason: StopReason,
    },
}

/// The scores of a photograph.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScoredPhoto {
    /// Its name.
    pub name: String,
    /// Whether its label says that the part is defective.
    pub defective: bool,
    /// Its score, 0 to 1.
    pub score: f32,
    /// The largest value of its map, 0 to 1.
    pub peak: f32,
}

/// The thresholds of a calibration, and the scores that they come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calibration {
    /// Threshold of the score: scores of at least this are anomalous.
    pub image: CalibratedThreshold,
    /// Threshold of the map: pixels above it are marked.
    pub pixel: CalibratedThreshold,
    /// The package's own thresholds.
    pub own: Thresholds,
    /// Photographs of good parts that were used.
    pub n_good: usize,
    /// Photographs of defective parts that were used.
    pub n_defective: usize,
    /// Photographs that could not be used.
    pub n_skipped: usize,
    /// Each photograph that was used, in the order in which they came.
    pub scores: Vec<ScoredPhoto>,
}

/// A threshold and the method that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CalibratedThreshold {
    /// The threshold.
    pub threshold: f32,
    /// The method.
    pub method: ThresholdMethod,
}

/// How a threshold was computed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum ThresholdMethod {
    /// A quantile of the scores of good parts.
    Quantile {
        /// The requested share of good parts that pass.
        #[serde(rename = "asked")]
        requested: f64,
        /// The share that this number of photographs guarantees; less than requested if there are
        /// too few.
        promised: f64,
        /// The smallest number of photographs of good parts that guarantees the requested share.
        n_needed: usize,
    },
    /// The threshold with the best F1 score between good and defective parts.
    F1 {
        /// The F1 score, 0 to 1.
        f1: f64,
    },
}

/// Collects the scores of photographs and computes thresholds from them.
pub(crate) struct ThresholdCollector {
    options: CalibrationOptions,
    quantile: Quantile,
    /// The package's own thresholds.
    own: Thresholds,
    scores: Vec<ScoredPhoto>,
    n_skipped: usize,
    /// Map value, and whether it lies in a marked defect, on a grid over each photograph.
    pixels: Vec<(f32, bool)>,
}

impl ThresholdCollector {
    /// A collector without scores.
    ///
    /// # Errors
    /// [`EngineError::BadQuery`] when the quantile is not between 0 and 1.
    pub fn new(options: CalibrationOptions, own: Thresholds) -> Result<Self, EngineError> {
        let quantile = Quantile::new(options.quantile).ok_or_else(|| EngineError::BadQuery {
            field: "quantile",
            value: options.quantile.to_string(),
            rule: "it must be above 0 and below 1",
        })?;
        Ok(Self {
            options,
            quantile,
            own,
            scores: Vec::new(),
            n_skipped: 0,
            pixels: Vec::new(),
        })
    }

    /// The query to inspect a photograph with; it asks for no answer.
    pub fn query(&self, photo: &CalibrationPhoto) -> Query {
        let object = photo.object.as_ref().or(self.options.object.as_ref());
        Query {
            object: object.cloned(),
            normal: self.options.normal.clone(),
            ..Query::default()
        }
    }

    /// Adds the result of a photograph and returns the event that reports it.
    ///
    /// # Errors
    /// The photograph's error, unless the photograph itself is at fault and can be skipped.
    pub fn add(
        &mut self,
        name: String,
        label: &Label,
        result: Result<(AnomalyMap, Inspection), EngineError>,
    ) -> Result<CalibrationEvent, EngineError> {
        let (map, inspection) = match result {
            Ok(scored) => scored,
            Err(error) if error.is_about_photo() => {
                self.n_skipped += 1;
                return Ok(CalibrationEvent::Skipped {
                    name,
                    code: error.code(),
                    message: error.to_string(),
                });
            }
            Err(error) => return Err(error),
        };
        self.pixels.extend(labelled_pixels(&map, label));
        let scored = ScoredPhoto {
            name,
            defective: label.is_defective(),
            score: inspection.score,
            peak: map.values.iter().copied().fold(f32::MIN, f32::max),
        };
        self.scores.push(scored.clone());
        Ok(CalibrationEvent::Scored(scored))
    }

    /// The thresholds.
    ///
    /// # Errors
    /// [`EngineError::NoGoodPart`] when a quantile is needed and no photograph shows a good part.
    pub fn finish(self) -> Result<Calibration, EngineError> {
        let image = self.image_threshold()?;
        let pixel = self.pixel_threshold()?;
        let n_good = self.of_good_parts(|scored| scored.score).len();
        Ok(Calibration {
            image,
            pixel,
            own: self.own,
            n_good,
            n_defective: self.scores.len() - n_good,
            n_skipped: self.n_skipped,
            scores: self.scores,
        })
    }

    fn image_threshold(&self) -> Result<CalibratedThreshold, EngineError> {
        let labelled = self
            .scores
            .iter()
            .map(|scored| (scored.score, scored.defective));
        if let Some(best) = f1_max(labelled) {
            return Ok(CalibratedThreshold {
                threshold: best.threshold,
                method: ThresholdMethod::F1 { f1: best.f1 },
            });
        }
        let mut quantile = self.quantile_of(&self.of_good_parts(|scored| scored.score))?;
        // A score that equals the threshold is anomalous.
        quantile.threshold = quantile.threshold.next_up();
        Ok(quantile)
    }

    fn pixel_threshold(&self) -> Result<CalibratedThreshold, EngineError> {
        match f1_max(self.pixels.iter().copied()) {
            // A pixel that equals the threshold is not marked, but counts for the best F1.
            Some(best) => Ok(CalibratedThreshold {
                threshold: best.threshold.next_down(),
                method: ThresholdMethod::F1 { f1: best.f1 },
            }),
            None => self.quantile_of(&self.of_good_parts(|scored| scored.peak)),
        }
    }

    fn of_good_parts(&self, value: fn(&ScoredPhoto) -> f32) -> Vec<f32> {
        let good = self.scores.iter().filter(|scored| !scored.defective);
        good.map(value).collect()
    }

    /// The largest value within the quantile.
    fn quantile_of(&self, values: &[f32]) -> Result<CalibratedThreshold, EngineError> {
        let quantile =
            quantile_threshold(values, self.quantile).ok_or_else(|| EngineError::NoGoodPart {
                n_photos: self.scores.len() + self.n_skipped,
            })?;
        Ok(CalibratedThreshold {
            threshold: quantile.highest_good,
            method: ThresholdMethod::Quantile {
                requested: self.quantile.share(),
                promised: quantile.share,
                n_needed: self.quantile.n_needed(),
            },
        })
    }
}

/// Maximum side of the grid on which map values are sampled; neighbouring pixels are nearly equal.
const SAMPLE_SIDE: u32 = 64;

/// Map value and label at the centres of a grid over the photograph. Empty when the label does not
/// say which pixels are defective.
fn labelled_pixels(map: &AnomalyMap, label: &Label) -> Vec<(f32, bool)> {
    let n_columns = SAMPLE_SIDE.min(map.width);
    let n_rows = SAMPLE_SIDE.min(map.height);
    let centre = |i: u32, n: u32, len: u32| {
        let at = (u64::from(i) * 2 + 1) * u64::from(len) / (u64::from(n) * 2);
        u32::try_from(at).unwrap_or(u32::MAX)
    };
    let mut pairs = Vec::with_capacity((n_columns * n_rows) as usize);
    for row in 0..n_rows {
        for column in 0..n_columns {
            let is_defect = match label {
                Label::Good => Some(false),
                Label::Defective => None,
                Label::Marked(mask) => {
                    let x = centre(column, n_columns, mask.width());
                    let y = centre(row, n_rows, mask.height());
                    mask.get_pixel_checked(x, y).map(|pixel| pixel.0[0] != 0)
                }
            };
            let x = centre(column, n_columns, map.width) as usize;
            let y = centre(row, n_rows, map.height) as usize;
            let value = map.values.get(y * map.width as usize + x);
            pairs.extend(value.copied().zip(is_defect));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(width: u32, height: u32, values: Vec<f32>) -> AnomalyMap {
        AnomalyMap {
            width,
            height,
            values,
        }
    }

    #[test]
    fn pixels_are_sampled_at_the_same_place_in_map_and_mask() {
        let mut mask = GrayImage::new(4, 2);
        for (x, y) in [(2, 0), (3, 0), (2, 1), (3, 1)] {
            mask.put_pixel(x, y, [255].into());
        }
        for (label, expected) in [
            (Label::Marked(mask), &[(0.25, false), (0.75, true)][..]),
            (Label::Good, &[(0.25, false), (0.75, false)]),
            (Label::Defective, &[]),
        ] {
            let pairs = labelled_pixels(&map(2, 1, vec![0.25, 0.75]), &label);
            assert_eq!(pairs, expected, "{label:?}");
        }
    }

    #[test]
    fn large_maps_are_subsampled() {
        let pairs = labelled_pixels(&map(300, 200, vec![0.5; 60_000]), &Label::Good);
        assert_eq!(pairs.len(), 64 * 64);
    }

    const OWN: Thresholds = Thresholds {
        image: 0.5,
        pixel: 0.6,
    };

    /// A collector with quantile 0.5, scores of good and of defective parts, peaks that are higher by
    /// 0.1, and labelled pixels.
    fn collector(
        good: &[f32],
        defective: &[f32],
        pixels: &[(f32, bool)],
    ) -> Result<ThresholdCollector, EngineError> {
        let scored = |defective: bool| {
            move |score: &f32| ScoredPhoto {
                name: score.to_string(),
                defective,
                score: *score,
                peak: *score + 0.1,
            }
        };
        let good = good.iter().map(scored(false));
        let options = CalibrationOptions {
            quantile: 0.5,
            ..CalibrationOptions::default()
        };
        Ok(ThresholdCollector {
            scores: good.chain(defective.iter().map(scored(true))).collect(),
            n_skipped: 1,
            pixels: pixels.to_vec(),
            ..ThresholdCollector::new(options, OWN)?
        })
    }

    #[test]
    fn thresholds_follow_from_the_collected_scores() -> Result<(), EngineError> {
        let quantile = |promised| ThresholdMethod::Quantile {
            requested: 0.5,
            promised,
            n_needed: 1,
        };
        let f1 = |f1| ThresholdMethod::F1 { f1 };
        let three = &[0.3, 0.1, 0.2][..];
        let marked = &[(0.7, true), (0.2, false)][..];
        for (good, defective, pixels, image, pixel) in [
            // The second of three, and the next number above it for scores.
            (
                three,
                &[][..],
                &[][..],
                (0.2_f32.next_up(), quantile(0.5)),
                (0.2 + 0.1, quantile(0.5)),
            ),
            (
                &three[..1],
                &[],
                &[(0.1, false)],
                (0.3_f32.next_up(), quantile(0.5)),
                (0.3 + 0.1, quantile(0.5)),
            ),
            // The defect is not marked: the map's threshold is still a quantile of good parts.
            (
                three,
                &[0.9],
                &[],
                (0.9, f1(1.0)),
                (0.2 + 0.1, quantile(0.5)),
            ),
            (
                three,
                &[0.25],
                marked,
                (0.25, f1(2.0 / 3.0)),
                (0.7_f32.next_down(), f1(1.0)),
            ),
        ] {
            let calibration = collector(good, defective, pixels)?.finish()?;
            let pair = |t: CalibratedThreshold| (t.threshold, t.method);
            assert_eq!(pair(calibration.image), image, "{good:?} {defective:?}");
            assert_eq!(pair(calibration.pixel), pixel, "{good:?} {defective:?}");
            assert_eq!(
                (
                    calibration.n_good,
                    calibration.n_defective,
                    calibration.n_skipped
                ),
                (good.len(), defective.len(), 1)
            );
            assert_eq!(calibration.own, OWN);
        }
        let none = collector(&[], &[0.9], &[])?.finish();
        assert!(
            matches!(none, Err(EngineError::NoGoodPart { n_photos: 2 })),
            "{none:?}"
        );
        Ok(())
    }

    #[test]
    fn options_and_thresholds_serialise_as_the_page_expects() -> Result<(), serde_json::Error> {
        use serde_json::json;
        let options: CalibrationOptions =
            serde_json::from_value(json!({ "object": "bolt", "quantile": 0.9 }))?;
        assert_eq!(
            (options.object.as_deref(), options.quantile),
            (Some("bolt"), 0.9)
        );
        assert_eq!(CalibrationOptions::default().quantile, 0.95);
        for (method, expected) in [
            (
                ThresholdMethod::F1 { f1: 0.5 },
                json!({ "kind": "f1", "f1": 0.5 }),
            ),
            (
                ThresholdMethod::Quantile {
                    requested: 0.95,
                    promised: 0.75,
                    n_needed: 19,
                },
                json!({ "kind": "quantile", "asked": 0.95, "promised": 0.75, "nNeeded": 19 }),
            ),
        ] {
            assert_eq!(serde_json::to_value(method)?, expected);
        }
        Ok(())
    }
}
