//! Collects results image by image and turns them into a [`Report`].

use std::collections::BTreeMap;

use crate::answer_metrics::{Confusion, Judgement, Rate, TextScores, Truth, most_frequent_type};
use crate::answer_parser::Parsed;
use crate::bootstrap::{Bootstrap, Profile, Replicates};
use crate::error::EvalError;
use crate::grid::{check_size, resize_map, resize_mask};
use crate::pixels::PixelSet;
use crate::pro::{ProVariant, ZSAD_THRESHOLDS, check_limit};
use crate::rank::{auroc, average_precision, f1_max};
use crate::report::{CategoryReport, Report, Scores};

/// Side of the evaluation grid of the published zero-shot work (§11 of the specification).
pub const GRID_SIDE: usize = 518;

/// How pixel metrics are computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvalOptions {
    /// Side of the square evaluation grid in pixels.
    pub grid_side: usize,
    /// PRO integrates up to this false positive rate.
    pub pro_fpr_limit: f64,
    /// Confidence intervals, if wanted.
    pub bootstrap: Option<Bootstrap>,
}

impl Default for EvalOptions {
    fn default() -> Self {
        Self {
            grid_side: GRID_SIDE,
            pro_fpr_limit: 0.3,
            bootstrap: None,
        }
    }
}

/// An anomaly map.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreMap {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Row-major `[height, width]`; higher is more anomalous.
    pub values: Vec<f32>,
}

/// A ground truth mask.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Row-major `[height, width]`; true in a defect.
    pub values: Vec<bool>,
}

/// An answer, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What was asked for, e.g. `description`. Answers to each are counted apart.
    pub ask: String,
    /// What the answer says.
    pub said: Parsed,
}

/// Results of a model on one image, and the ground truth.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageResult {
    /// The image's anomaly score; higher is more anomalous.
    pub score: f32,
    /// The anomaly map, of any size. `None` keeps the image out of the pixel metrics.
    pub map: Option<ScoreMap>,
    /// The true mask, of any size. `None` means empty for a normal image, and unknown (out of
    /// the pixel metrics) for a defective one.
    pub mask: Option<Mask>,
    /// Ground truth. That an image is defective is not read off the mask: a small defect may vanish
    /// on the grid.
    pub truth: Truth,
    /// The answers. The first counts for the rates of [`Scores`] and the confusion table.
    pub answers: Vec<Answer>,
}

#[derive(Default)]
struct Category {
    scores: Vec<f32>,
    labels: Vec<bool>,
    /// True kinds of each defective image, and the kinds that its first answer names.
    kinds: Vec<(Vec<String>, Vec<String>)>,
    normal_called_normal: Rate,
    text: BTreeMap<String, TextScores>,
    pixels: Pixels,
}

#[derive(Default)]
enum Pixels {
    /// No image yet.
    #[default]
    Empty,
    Open(PixelSet),
    Closed(PixelScores),
}

#[derive(Clone, Copy, Default)]
struct PixelScores {
    auroc: Option<f64>,
    ap: Option<f64>,
    f1_max: Option<f64>,
    pro_mvtec: Option<f64>,
    pro_zsad: Option<f64>,
}

/// Takes results in any order of categories.
///
/// An image costs about `4 · grid_side²` bytes until its category is closed: 1.1 MB on the default
/// grid. Over a large set, call [`Accumulator::close`] after each category's last image.
pub struct Accumulator {
    options: EvalOptions,
    categories: BTreeMap<String, Category>,
    replicates: Vec<(String, Replicates)>,
    confusion: Confusion,
}

impl Accumulator {
    /// An empty accumulator.
    pub fn new(options: EvalOptions) -> Result<Self, EvalError> {
        PixelSet::new(options.grid_side, options.grid_side)?;
        check_limit(options.pro_fpr_limit)?;
        Ok(Self {
            options,
            categories: BTreeMap::new(),
            replicates: Vec::new(),
            confusion: Confusion::default(),
        })
    }

    /// Adds one image. Nothing is kept of an image that is refused.
    pub fn add(
        &mut self,
        category: impl Into<String>,
        image: ImageResult,
    ) -> Result<(), EvalError> {
        let name = category.into();
        let index = self.categories.get(&name).map_or(0, |c| c.scores.len());
        if image.score.is_nan() {
            return Err(EvalError::NotFinite {
                what: "score",
                index,
                value: "NaN".into(),
            });
        }
        let pixels = self.on_grid(&name, index, &image)?;
        let side = self.options.grid_side;
        let is_defective = image.truth.is_defective;
        let category = self.categories.entry(name.clone()).or_default();
        if let Pixels::Empty = category.pixels {
            category.pixels = Pixels::Open(PixelSet::new(side, side)?);
        }
        let Pixels::Open(set) = &mut category.pixels else {
            return Err(EvalError::CategoryClosed(name));
        };
        if let Some((map, mask)) = pixels {
            set.add(&map, &mask, is_defective)?;
        }
        category.scores.push(image.score);
        category.labels.push(is_defective);
        category.hear(&image);
        if let Some(first) = image.answers.first() {
            self.confusion.count(&first.said, &image.truth);
        }
        Ok(())
    }

    /// Map and mask of the image on the grid, or `None` if one of them is unknown.
    #[expect(clippy::type_complexity, reason = "a pair used in one place")]
    fn on_grid(
        &self,
        category: &str,
        index: usize,
        image: &ImageResult,
    ) -> Result<Option<(Vec<f32>, Vec<bool>)>, EvalError> {
        let grid = (self.options.grid_side, self.options.grid_side);
        let is_defective = image.truth.is_defective;
        if let Some(mask) = &image.mask {
            check_size("mask", index, mask.values.len(), mask.width, mask.height)?;
            if !is_defective && mask.values.contains(&true) {
                return Err(EvalError::NormalWithMask {
                    category: category.into(),
                    index,
                });
            }
        }
        let Some(map) = &image.map else {
            return Ok(None);
        };
        check_size("map", index, map.values.len(), map.width, map.height)?;
        if let Some(value) = map.values.iter().find(|value| !value.is_finite()) {
            return Err(EvalError::NotFinite {
                what: "map",
                index,
                value: value.to_string(),
            });
        }
        let mask = match &image.mask {
            Some(mask) => resize_mask(&mask.values, (mask.width, mask.height), grid)?,
            None if is_defective => return Ok(None),
            None => vec![false; grid.0 * grid.1],
        };
        let map = resize_map(&map.values, (map.width, map.height), grid)?;
        Ok(Some((map, mask)))
    }

    /// Computes a category's pixel metrics and resamples now, and frees its maps. Unknown names are
    /// ignored.
    pub fn close(&mut self, name: &str) -> Result<(), EvalError> {
        let EvalOptions {
            pro_fpr_limit,
            bootstrap,
            ..
        } = self.options;
        let Some(category) = self.categories.get_mut(name) else {
            return Ok(());
        };
        let set = match std::mem::take(&mut category.pixels) {
            Pixels::Open(set) => set,
            other => {
                category.pixels = other;
                return Ok(());
            }
        };
        let profile = bootstrap.map(|_| Profile::of(&set));
        let ranked = set.rank();
        let scores = PixelScores {
            auroc: ranked.auroc(),
            ap: ranked.average_precision(),
            f1_max: ranked.f1_max().map(|best| best.f1),
            pro_mvtec: ranked.pro_mvtec(pro_fpr_limit)?,
            pro_zsad: ranked.pro_zsad(pro_fpr_limit, ZSAD_THRESHOLDS)?,
        };
        category.pixels = Pixels::Closed(scores);
        if let (Some(bootstrap), Some(profile)) = (bootstrap, profile) {
            let mut replicates = Replicates::draw(
                bootstrap,
                name,
                &category.scores,
                &category.labels,
                Some(&profile),
                pro_fpr_limit,
            );
            let exact = [scores.auroc, scores.ap, scores.pro_mvtec];
            replicates.correct(exact, profile.whole(pro_fpr_limit));
            self.replicates.push((name.to_owned(), replicates));
        }
        Ok(())
    }

    /// The report over everything that was added.
    pub fn finish(mut self) -> Result<Report, EvalError> {
        let names: Vec<String> = self.categories.keys().cloned().collect();
        for name in &names {
            self.close(name)?;
        }
        let constant = most_frequent_type(
            self.categories
                .values()
                .flat_map(|category| &category.kinds)
                .flat_map(|(truth, _)| truth)
                .map(String::as_str),
        )
        .map(str::to_owned);

        let (mut all_scores, mut all_labels) = (Vec::new(), Vec::new());
        let mut categories = BTreeMap::new();
        let mut text = BTreeMap::<String, TextScores>::new();
        for (name, category) in self.categories {
            all_scores.extend_from_slice(&category.scores);
            all_labels.extend_from_slice(&category.labels);
            for (ask, scores) in &category.text {
                text.entry(ask.clone()).or_default().merge(scores);
            }
            let ci = self
                .replicates
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, replicates)| replicates.intervals());
            let report = category.report(constant.as_deref())?;
            categories.insert(name, CategoryReport { ci, ..report });
        }
        let replicates: Vec<_> = self.replicates.into_iter().map(|(_, r)| r).collect();
        Ok(Report {
            scores: Scores::mean(categories.values().map(|category| &category.scores)),
            n_images: all_labels.len(),
            n_defective: count(&all_labels),
            most_frequent_type: constant,
            pooled_f1: f1_max(&all_scores, &all_labels)?,
            grid: (self.options.grid_side, self.options.grid_side),
            pro_variant: ProVariant::Mvtec,
            pro_fpr_limit: self.options.pro_fpr_limit,
            bootstrap: self.options.bootstrap,
            ci: (!replicates.is_empty()).then(|| Replicates::mean(&replicates).intervals()),
            categories,
            text,
            confusion: self.confusion,
            mmad: None,
            criteria: None,
            provenance: None,
        })
    }
}

impl Category {
    fn hear(&mut self, image: &ImageResult) {
        let truth = &image.truth;
        for (i, answer) in image.answers.iter().enumerate() {
            let judged = Judgement::of(&answer.said, truth);
            self.text
                .entry(answer.ask.clone())
                .or_default()
                .count(&judged);
            if i == 0 {
                self.normal_called_normal.count(judged.normal_called_normal);
                if truth.is_defective && !truth.kinds.is_empty() {
                    self.kinds
                        .push((truth.kinds.clone(), answer.said.kinds.clone()));
                }
            }
        }
    }

    fn report(&self, constant: Option<&str>) -> Result<CategoryReport, EvalError> {
        let pixels = match self.pixels {
            Pixels::Closed(scores) => scores,
            Pixels::Empty | Pixels::Open(_) => PixelScores::default(),
        };
        let (mut type_right, mut constant_right) = (Rate::default(), Rate::default());
        for (truth, said) in &self.kinds {
            type_right.count(Some(said.iter().any(|kind| truth.contains(kind))));
            constant_right.count(Some(truth.iter().any(|kind| Some(&**kind) == constant)));
        }
        let best = f1_max(&self.scores, &self.labels)?;
        Ok(CategoryReport {
            scores: Scores {
                image_auroc: auroc(&self.scores, &self.labels)?,
                image_ap: average_precision(&self.scores, &self.labels)?,
                image_f1_max: best.map(|best| best.f1),
                pixel_auroc: pixels.auroc,
                pixel_ap: pixels.ap,
                pixel_f1_max: pixels.f1_max,
                pro: pixels.pro_mvtec,
                pro_zsad: pixels.pro_zsad,
                defect_type_accuracy: type_right.share(),
                most_frequent_type_rate: constant_right.share(),
                normal_called_normal: self.normal_called_normal.share(),
            },
            image_f1_threshold: best.map(|best| best.threshold),
            n_images: self.labels.len(),
            n_defective: count(&self.labels),
            ci: None,
            text: self.text.clone(),
        })
    }
}

fn count(labels: &[bool]) -> usize {
    labels.iter().filter(|&&label| label).count()
}
