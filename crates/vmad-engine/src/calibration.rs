//! Thresholds from a user's own photographs: where the scores of good parts end, or what tells good
//! from defective ones best.
//!
//! Each photograph is inspected as [`Engine::inspect`] does, one after the other, and only its
//! scores are kept. Two thresholds come out of them:
//!
//! - **image**, for the score of a photograph. With good and defective ones the one with the best
//!   F1, with good ones only a quantile ([`vmad_prep::quantile_threshold`]).
//! - **pixel**, for the map. Where defects are marked, the one with the best F1 over pixels of a
//!   grid. Otherwise the same quantile of the *largest* map value of each good photograph: what is
//!   promised is that so many good photographs stay without any mark. A quantile over pixels would
//!   promise nothing about a photograph, whose pixels all rise and fall together.

use std::pin::pin;

use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use vmad_prep::{GrayImage, Quantile, f1_max, quantile_threshold};

use crate::session::Session;
use crate::stream::Emitter;
use crate::{
    CancelToken, Engine, EngineError, Event, EventStream, Inspection, Photo, Query, StopReason,
    Trace,
};

/// A photograph to calibrate with.
#[derive(Debug)]
pub struct Specimen {
    /// What to call it, for instance its file's name.
    pub name: String,
    /// The photograph, or why it cannot be read.
    pub photo: Result<Photo, EngineError>,
    /// What is known of the part.
    pub label: Label,
    /// What it shows, where that differs from [`CalibrationOptions::object`].
    pub object: Option<String>,
}

/// What is known of a part before looking.
#[derive(Clone, Debug)]
pub enum Label {
    /// Nothing is wrong with it.
    Good,
    /// Something is, and nobody has marked where.
    Defective,
    /// Something is, and here: not 0 in a defect, as a whole as large as the photograph.
    Marked(GrayImage),
}

impl Label {
    fn is_defective(&self) -> bool {
        !matches!(self, Self::Good)
    }
}

/// What the photographs of a calibration have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CalibrationOptions {
    /// What they show, e.g. `bolt`.
    pub object: Option<String>,
    /// What a good part looks like.
    pub normal: Option<String>,
    /// Share of good parts that shall pass, above 0 and below 1; counts where there are no
    /// defective ones.
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

/// What happens during [`Engine::calibrate`]: one event for each photograph, then the thresholds,
/// then [`Self::Done`], unless the stream ends in an error.
#[derive(Clone, Debug, PartialEq)]
pub enum CalibrationEvent {
    /// A photograph has been inspected.
    Scored(Scored),
    /// A photograph cannot be used; the others can.
    Skipped {
        /// Its name.
        name: String,
        /// Why, as [`EngineError::code`] says it.
        code: &'static str,
        /// The same for people.
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

/// What a photograph got.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scored {
    /// Its name.
    pub name: String,
    /// Whether it was said to show a defective part.
    pub defective: bool,
    /// Its score, 0 to 1.
    pub score: f32,
    /// The largest value of its map, 0 to 1.
    pub peak: f32,
}

/// Thresholds, and what they rest on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calibration {
    /// For the score: anomalous from here on.
    pub image: Found,
    /// For the map: pixels above it are marked.
    pub pixel: Found,
    /// The package's own thresholds.
    pub own: Thresholds,
    /// Photographs of good parts that were used.
    pub n_good: usize,
    /// Photographs of defective parts that were used.
    pub n_defective: usize,
    /// Photographs that could not be used.
    pub n_skipped: usize,
    /// Each photograph that was used, in the order in which they came.
    pub scores: Vec<Scored>,
}

/// A pair of thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Thresholds {
    /// For the score: anomalous from here on.
    pub image: f32,
    /// For the map: pixels above it are marked.
    pub pixel: f32,
}

/// A threshold and how it was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Found {
    /// The threshold.
    pub threshold: f32,
    /// How it was found.
    pub method: Method,
}

/// How a threshold was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Method {
    /// A share of the good parts stays below it.
    Quantile {
        /// The share that was asked for.
        asked: f64,
        /// The share that so many photographs promise; less than asked for where they are too few.
        promised: f64,
        /// The fewest photographs of good parts that promise what was asked for.
        n_needed: usize,
    },
    /// It tells good from defective best.
    F1 {
        /// The F1 score that it reaches, 0 to 1.
        f1: f64,
    },
}

impl Engine {
    /// Finds thresholds for the parts on these photographs, which are taken in one at a time.
    ///
    /// The conversation about the photograph before goes on afterwards, however the call ends.
    /// A photograph that cannot be used is told and left out.
    ///
    /// # Errors
    /// In the stream: [`EngineError::BadQuery`] and what else is wrong with the options,
    /// [`EngineError::NoGoodPart`], and failures of the device.
    pub fn calibrate<'a>(
        &'a mut self,
        photos: impl Stream<Item = Specimen> + 'a,
        options: CalibrationOptions,
        cancel: &CancelToken,
    ) -> EventStream<'a, CalibrationEvent> {
        let cancel = cancel.clone();
        EventStream::new(move |out| async move {
            let reason = match self.run_calibrate(photos, options, &cancel, &out).await {
                Ok(()) => StopReason::End,
                Err(EngineError::Cancelled) => StopReason::Cancelled,
                Err(error) => return Err(error),
            };
            out.emit(CalibrationEvent::Done { reason }).await;
            Ok(())
        })
    }

    async fn run_calibrate(
        &mut self,
        photos: impl Stream<Item = Specimen>,
        options: CalibrationOptions,
        cancel: &CancelToken,
        out: &Emitter<CalibrationEvent>,
    ) -> Result<(), EngineError> {
        let quantile = Quantile::new(options.quantile).ok_or_else(|| EngineError::BadQuery {
            field: "quantile",
            value: options.quantile.to_string(),
            rule: "it must be above 0 and below 1",
        })?;
        let aside = SetAside::new(self);
        let mut photos = pin!(photos);
        let mut seen = Seen::default();
        loop {
            let next = photos.next().await;
            cancel.check()?;
            let Some(specimen) = next else { break };
            let event = seen.take(aside.engine, specimen, &options, cancel).await?;
            out.emit(event).await;
        }
        let own = &aside.engine.manifest.meta.threshold;
        let own = Thresholds {
            image: own.image,
            pixel: own.pixel,
        };
        let calibration = seen.calibration(quantile, own)?;
        out.emit(CalibrationEvent::Calibration(calibration)).await;
        Ok(())
    }

    /// Score, map and verdict of a photograph, without words.
    async fn judge_photo(
        &mut self,
        photo: Photo,
        query: Query,
        cancel: &CancelToken,
    ) -> Result<(Map, Inspection), EngineError> {
        let mut events = self.inspect(photo, query, cancel);
        let (mut map, mut verdict) = (None, None);
        while let Some(event) = events.next().await {
            match event? {
                Event::Mask {
                    width,
                    height,
                    map: values,
                    logits_side: _,
                } => {
                    map = Some(Map {
                        width,
                        height,
                        values,
                    });
                }
                Event::Result(inspection) => verdict = Some(inspection),
                Event::Progress { .. } | Event::Token { .. } | Event::Done { .. } => {}
            }
        }
        // A call without a verdict is one that was given up.
        map.zip(verdict).ok_or(EngineError::Cancelled)
    }
}

/// The conversation, put aside and given back when the calibration is over or dropped.
struct SetAside<'e> {
    engine: &'e mut Engine,
    session: Option<Session>,
    trace: Option<Trace>,
}

impl<'e> SetAside<'e> {
    fn new(engine: &'e mut Engine) -> Self {
        Self {
            session: engine.session.take(),
            trace: engine.trace.take(),
            engine,
        }
    }
}

impl Drop for SetAside<'_> {
    fn drop(&mut self) {
        self.engine.session = self.session.take();
        self.engine.trace = self.trace.take();
    }
}

/// An anomaly map, `[height, width]`.
struct Map {
    width: u32,
    height: u32,
    values: Vec<f32>,
}

/// What the photographs so far have left.
#[derive(Default)]
struct Seen {
    scores: Vec<Scored>,
    n_skipped: usize,
    /// Map value, and whether it lies in a marked defect, on a grid over each photograph.
    pixels: Vec<(f32, bool)>,
}

impl Seen {
    async fn take(
        &mut self,
        engine: &mut Engine,
        specimen: Specimen,
        options: &CalibrationOptions,
        cancel: &CancelToken,
    ) -> Result<CalibrationEvent, EngineError> {
        let Specimen {
            name,
            photo,
            label,
            object,
        } = specimen;
        let query = Query {
            object: object.or_else(|| options.object.clone()),
            normal: options.normal.clone(),
            ..Query::default()
        };
        let judged = match photo {
            Ok(photo) => engine.judge_photo(photo, query, cancel).await,
            Err(error) => Err(error),
        };
        let (map, verdict) = match judged {
            Ok(judged) => judged,
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
        self.pixels.extend(sampled(&map, &label));
        let scored = Scored {
            name,
            defective: label.is_defective(),
            score: verdict.score,
            peak: map.values.iter().copied().fold(f32::MIN, f32::max),
        };
        self.scores.push(scored.clone());
        Ok(CalibrationEvent::Scored(scored))
    }

    fn calibration(self, quantile: Quantile, own: Thresholds) -> Result<Calibration, EngineError> {
        let Self {
            scores,
            n_skipped,
            pixels,
        } = self;
        let of_good = |value: fn(&Scored) -> f32| -> Vec<f32> {
            let good = scores.iter().filter(|scored| !scored.defective);
            good.map(value).collect()
        };
        let no_good_part = || EngineError::NoGoodPart {
            n_photos: scores.len() + n_skipped,
        };
        let quantile_of = |values: Vec<f32>| {
            let found = quantile_threshold(&values, quantile).ok_or_else(no_good_part)?;
            let method = Method::Quantile {
                asked: quantile.share(),
                promised: found.share,
                n_needed: quantile.n_needed(),
            };
            Ok::<_, EngineError>((found.highest_good, method))
        };

        let peaks = of_good(|scored| scored.peak);
        let n_good = peaks.len();
        let labelled = scores.iter().map(|scored| (scored.score, scored.defective));
        let image = match f1_max(labelled) {
            Some(best) => (best.threshold, Method::F1 { f1: best.f1 }),
            None => {
                let (highest_good, method) = quantile_of(of_good(|scored| scored.score))?;
                // A score that reaches the threshold is anomalous.
                (highest_good.next_up(), method)
            }
        };
        let pixel = match f1_max(pixels) {
            // Pixels above the threshold are marked, the best F1 counts those that reach it.
            Some(best) => (best.threshold.next_down(), Method::F1 { f1: best.f1 }),
            None => quantile_of(peaks)?,
        };
        let found = |(threshold, method)| Found { threshold, method };
        Ok(Calibration {
            image: found(image),
            pixel: found(pixel),
            own,
            n_good,
            n_defective: scores.len() - n_good,
            n_skipped,
            scores,
        })
    }
}

/// Map values are taken on a grid of at most this side: pixels beside each other say nearly the
/// same.
const SAMPLE_SIDE: u32 = 64;

/// Map value and label at the centres of a grid over the photograph; nothing where it is not known
/// which pixels are defective.
fn sampled(map: &Map, label: &Label) -> Vec<(f32, bool)> {
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

    fn map(width: u32, height: u32, values: Vec<f32>) -> Map {
        Map {
            width,
            height,
            values,
        }
    }

    #[test]
    fn samples_lie_at_the_same_place_in_map_and_mask() {
        let mut mask = GrayImage::new(4, 2);
        for (x, y) in [(2, 0), (3, 0), (2, 1), (3, 1)] {
            mask.put_pixel(x, y, [255].into());
        }
        for (label, expected) in [
            (Label::Marked(mask), &[(0.25, false), (0.75, true)][..]),
            (Label::Good, &[(0.25, false), (0.75, false)]),
            (Label::Defective, &[]),
        ] {
            let pairs = sampled(&map(2, 1, vec![0.25, 0.75]), &label);
            assert_eq!(pairs, expected, "{label:?}");
        }
    }

    #[test]
    fn large_maps_are_thinned_out() {
        let pairs = sampled(&map(300, 200, vec![0.5; 60_000]), &Label::Good);
        assert_eq!(pairs.len(), 64 * 64);
    }

    const OWN: Thresholds = Thresholds {
        image: 0.5,
        pixel: 0.6,
    };

    /// Scores of good and of defective photographs, whose peaks are higher by 0.1, and the pixels
    /// that were looked at.
    fn seen(good: &[f32], defective: &[f32], pixels: &[(f32, bool)]) -> Seen {
        let scored = |defective: bool| {
            move |score: &f32| Scored {
                name: score.to_string(),
                defective,
                score: *score,
                peak: *score + 0.1,
            }
        };
        let good = good.iter().map(scored(false));
        Seen {
            scores: good.chain(defective.iter().map(scored(true))).collect(),
            n_skipped: 1,
            pixels: pixels.to_vec(),
        }
    }

    #[test]
    fn thresholds_of_what_was_seen() -> Result<(), EngineError> {
        let half = Quantile::new(0.5).ok_or(EngineError::Cancelled)?;
        let quantile = |promised| Method::Quantile {
            asked: 0.5,
            promised,
            n_needed: 1,
        };
        let f1 = |f1| Method::F1 { f1 };
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
            // Nobody marked the defect: the map still goes by the good ones.
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
            let found = seen(good, defective, pixels).calibration(half, OWN)?;
            let pair = |found: Found| (found.threshold, found.method);
            assert_eq!(pair(found.image), image, "{good:?} {defective:?}");
            assert_eq!(pair(found.pixel), pixel, "{good:?} {defective:?}");
            assert_eq!(
                (found.n_good, found.n_defective, found.n_skipped),
                (good.len(), defective.len(), 1)
            );
            assert_eq!(found.own, OWN);
        }
        let none = seen(&[], &[0.9], &[]).calibration(half, OWN);
        assert!(
            matches!(none, Err(EngineError::NoGoodPart { n_photos: 2 })),
            "{none:?}"
        );
        Ok(())
    }

    #[test]
    fn options_and_findings_have_the_form_that_the_page_knows() -> Result<(), serde_json::Error> {
        use serde_json::json;
        let options: CalibrationOptions =
            serde_json::from_value(json!({ "object": "bolt", "quantile": 0.9 }))?;
        assert_eq!(
            (options.object.as_deref(), options.quantile),
            (Some("bolt"), 0.9)
        );
        assert_eq!(CalibrationOptions::default().quantile, 0.95);
        for (method, expected) in [
            (Method::F1 { f1: 0.5 }, json!({ "kind": "f1", "f1": 0.5 })),
            (
                Method::Quantile {
                    asked: 0.95,
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
