//! Collects results image by image and turns them into a [`Report`].

use std::collections::BTreeMap;

use crate::error::EvalError;
use crate::grid::{check_size, resize_map, resize_mask};
use crate::pro::ProVariant;
use crate::rank::{auroc, average_precision, f1_max, pixel_auroc};
use crate::report::{CategoryReport, Report, Scores};
use crate::text::{defect_type_accuracy, most_frequent_type, normal_called_normal};

/// How pixel metrics are computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvalOptions {
    /// Side of the square evaluation grid in pixels.
    pub grid_side: usize,
    /// The form of PRO.
    pub pro_variant: ProVariant,
    /// PRO integrates up to this false positive rate.
    pub pro_fpr_limit: f64,
}

impl Default for EvalOptions {
    fn default() -> Self {
        Self {
            grid_side: 256,
            pro_variant: ProVariant::Mvtec,
            pro_fpr_limit: 0.3,
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

/// What a model said about one image, and the truth.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageResult {
    /// The image's anomaly score; higher is more anomalous.
    pub score: f32,
    /// The anomaly map, of any size. `None` keeps the image out of the pixel metrics.
    pub map: Option<ScoreMap>,
    /// The true mask, of any size. `None` means empty for a normal image, and unknown (out of
    /// the pixel metrics) for a defective one.
    pub mask: Option<Mask>,
    /// Whether the image truly has a defect. Not read off the mask: a small defect may vanish
    /// on the grid.
    pub is_defective: bool,
    /// The true defect type, if the data names it.
    pub truth_kind: Option<String>,
    /// The defect type that the answer names, if it names one.
    pub answer_kind: Option<String>,
    /// Whether the answer says that nothing is wrong.
    pub says_normal: bool,
}

#[derive(Default)]
struct Category {
    scores: Vec<f32>,
    labels: Vec<bool>,
    kinds: Vec<(String, Option<String>)>,
    normal_says_normal: Vec<bool>,
    pixels: Pixels,
}

enum Pixels {
    Open {
        maps: Vec<Vec<f32>>,
        masks: Vec<Vec<bool>>,
    },
    Closed {
        pixel_auroc: Option<f64>,
        pro: Option<f64>,
    },
}

impl Default for Pixels {
    fn default() -> Self {
        Self::Open {
            maps: Vec::new(),
            masks: Vec::new(),
        }
    }
}

/// Takes results in any order of categories.
///
/// An image costs `5 · grid_side²` bytes until its category is closed: 330 kB on the default
/// grid. Over a large set, call [`Accumulator::close`] after each category's last image.
pub struct Accumulator {
    options: EvalOptions,
    categories: BTreeMap<String, Category>,
}

impl Accumulator {
    /// An empty accumulator.
    pub fn new(options: EvalOptions) -> Result<Self, EvalError> {
        let EvalOptions {
            grid_side,
            pro_fpr_limit,
            ..
        } = options;
        if grid_side == 0 || grid_side.checked_mul(grid_side).is_none() {
            return Err(EvalError::BadSize {
                width: grid_side,
                height: grid_side,
            });
        }
        if !(pro_fpr_limit > 0.0 && pro_fpr_limit <= 1.0) {
            return Err(EvalError::BadLimit(pro_fpr_limit.to_string()));
        }
        Ok(Self {
            options,
            categories: BTreeMap::new(),
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
        let category = self.categories.entry(name.clone()).or_default();
        let Pixels::Open { maps, masks } = &mut category.pixels else {
            return Err(EvalError::CategoryClosed(name));
        };
        if let Some((map, mask)) = pixels {
            maps.push(map);
            masks.push(mask);
        }
        category.scores.push(image.score);
        category.labels.push(image.is_defective);
        if image.is_defective {
            category
                .kinds
                .extend(image.truth_kind.map(|truth| (truth, image.answer_kind)));
        } else {
            category.normal_says_normal.push(image.says_normal);
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
        if let Some(mask) = &image.mask {
            check_size("mask", index, mask.values.len(), mask.width, mask.height)?;
            if !image.is_defective && mask.values.contains(&true) {
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
            None if image.is_defective => return Ok(None),
            None => vec![false; grid.0 * grid.1],
        };
        let map = resize_map(&map.values, (map.width, map.height), grid)?;
        Ok(Some((map, mask)))
    }

    /// Computes a category's pixel metrics now and frees its maps. Unknown names are ignored.
    pub fn close(&mut self, category: &str) -> Result<(), EvalError> {
        let EvalOptions {
            grid_side,
            pro_variant,
            pro_fpr_limit,
        } = self.options;
        let Some(category) = self.categories.get_mut(category) else {
            return Ok(());
        };
        if let Pixels::Open { maps, masks } = &category.pixels {
            category.pixels = Pixels::Closed {
                pixel_auroc: pixel_auroc(maps, masks)?,
                pro: pro_variant.compute(maps, masks, grid_side, grid_side, pro_fpr_limit)?,
            };
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
                .map(|(truth, _)| truth.as_str()),
        )
        .map(str::to_owned);

        let (mut all_scores, mut all_labels) = (Vec::new(), Vec::new());
        let mut categories = BTreeMap::new();
        for (name, category) in self.categories {
            all_scores.extend_from_slice(&category.scores);
            all_labels.extend_from_slice(&category.labels);
            categories.insert(name, category.report(constant.as_deref())?);
        }
        Ok(Report {
            scores: Scores::mean(categories.values().map(|category| &category.scores)),
            n_images: all_labels.len(),
            n_defective: count(&all_labels),
            most_frequent_type: constant,
            pooled_f1: f1_max(&all_scores, &all_labels)?,
            grid: (self.options.grid_side, self.options.grid_side),
            pro_variant: self.options.pro_variant,
            pro_fpr_limit: self.options.pro_fpr_limit,
            categories,
        })
    }
}

impl Category {
    fn report(&self, constant: Option<&str>) -> Result<CategoryReport, EvalError> {
        let (pixel_auroc, pro) = match self.pixels {
            Pixels::Closed { pixel_auroc, pro } => (pixel_auroc, pro),
            Pixels::Open { .. } => (None, None),
        };
        let truths = || self.kinds.iter().map(|(truth, _)| truth.as_str());
        Ok(CategoryReport {
            scores: Scores {
                image_auroc: auroc(&self.scores, &self.labels)?,
                image_ap: average_precision(&self.scores, &self.labels)?,
                image_f1_max: f1_max(&self.scores, &self.labels)?.map(|best| best.f1),
                pixel_auroc,
                pro,
                defect_type_accuracy: defect_type_accuracy(
                    self.kinds
                        .iter()
                        .map(|(truth, answer)| (truth.as_str(), answer.as_deref())),
                ),
                most_frequent_type_rate: defect_type_accuracy(
                    truths().map(|truth| (truth, constant)),
                ),
                normal_called_normal: normal_called_normal(self.normal_says_normal.iter().copied()),
            },
            n_images: self.labels.len(),
            n_defective: count(&self.labels),
        })
    }
}

fn count(labels: &[bool]) -> usize {
    labels.iter().filter(|&&label| label).count()
}
