//! What an evaluation found, as data and as a table.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::pro::ProVariant;
use crate::rank::F1Max;

/// The metrics of a category, or their means over categories. All are shares, 0..1, and `None`
/// (JSON `null`) where the data does not define them.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Scores {
    /// AUROC of the image scores.
    pub image_auroc: Option<f64>,
    /// Average precision of the image scores.
    pub image_ap: Option<f64>,
    /// Best F1 of the image scores over all thresholds.
    pub image_f1_max: Option<f64>,
    /// AUROC over all pixels of the evaluation grid.
    pub pixel_auroc: Option<f64>,
    /// Per-region overlap.
    pub pro: Option<f64>,
    /// Share of defective images whose answer names the right type.
    pub defect_type_accuracy: Option<f64>,
    /// What always answering the set's most frequent type would score.
    pub most_frequent_type_rate: Option<f64>,
    /// Share of normal images that the answer calls normal.
    pub normal_called_normal: Option<f64>,
}

type Column = (&'static str, fn(&Scores) -> Option<f64>);

const COLUMNS: [Column; 8] = [
    ("image AUROC", |s| s.image_auroc),
    ("image AP", |s| s.image_ap),
    ("F1-max", |s| s.image_f1_max),
    ("pixel AUROC", |s| s.pixel_auroc),
    ("PRO", |s| s.pro),
    ("type right", |s| s.defect_type_accuracy),
    ("most frequent type", |s| s.most_frequent_type_rate),
    ("normal called normal", |s| s.normal_called_normal),
];

impl Scores {
    /// Mean of each metric over the entries that define it.
    pub fn mean<'a>(entries: impl IntoIterator<Item = &'a Scores> + Clone) -> Self {
        let mean = |get: fn(&Scores) -> Option<f64>| {
            let values: Vec<f64> = entries.clone().into_iter().filter_map(get).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        Self {
            image_auroc: mean(|s| s.image_auroc),
            image_ap: mean(|s| s.image_ap),
            image_f1_max: mean(|s| s.image_f1_max),
            pixel_auroc: mean(|s| s.pixel_auroc),
            pro: mean(|s| s.pro),
            defect_type_accuracy: mean(|s| s.defect_type_accuracy),
            most_frequent_type_rate: mean(|s| s.most_frequent_type_rate),
            normal_called_normal: mean(|s| s.normal_called_normal),
        }
    }
}

/// One category's metrics and its size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CategoryReport {
    /// The metrics; their keys stand beside the counts in JSON.
    #[serde(flatten)]
    pub scores: Scores,
    /// Images in the category.
    pub n_images: usize,
    /// Of these, images with a defect.
    pub n_defective: usize,
}

/// A whole evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Means over the categories that define a metric; their keys stand at the top level in JSON.
    #[serde(flatten)]
    pub scores: Scores,
    /// Images in the set.
    pub n_images: usize,
    /// Of these, images with a defect.
    pub n_defective: usize,
    /// The true defect type with the most images, over all categories.
    pub most_frequent_type: Option<String>,
    /// Best F1 and its threshold with the images of all categories in one ranking: one threshold
    /// for every category.
    pub pooled_f1: Option<F1Max>,
    /// Width and height of the evaluation grid in pixels.
    pub grid: (usize, usize),
    /// The form of PRO.
    pub pro_variant: ProVariant,
    /// PRO integrates up to this false positive rate.
    pub pro_fpr_limit: f64,
    /// Each category by its name.
    pub categories: BTreeMap<String, CategoryReport>,
}

impl Report {
    /// The report as a Markdown table in per cent, a row per category and one for the mean.
    pub fn to_markdown(&self) -> String {
        let mut text = String::from("| category | images | defective |");
        for (title, _) in COLUMNS {
            push(&mut text, format_args!(" {title} |"));
        }
        text.push_str("\n|:--|--:|--:|");
        text.push_str(&"--:|".repeat(COLUMNS.len()));
        text.push('\n');
        for (name, category) in &self.categories {
            let CategoryReport {
                scores,
                n_images,
                n_defective,
            } = category;
            push_row(&mut text, &escape(name), *n_images, *n_defective, scores);
        }
        push_row(
            &mut text,
            "**mean**",
            self.n_images,
            self.n_defective,
            &self.scores,
        );
        let variant = match self.pro_variant {
            ProVariant::Mvtec => "MVTec reference",
            ProVariant::Zsad => "200 thresholds",
        };
        push(
            &mut text,
            format_args!(
                "\nPer cent. Grid {}x{}; PRO: {variant}, false positive rate up to {}.",
                self.grid.0, self.grid.1, self.pro_fpr_limit
            ),
        );
        if let Some(name) = &self.most_frequent_type {
            push(
                &mut text,
                format_args!(" Most frequent type: {}.", escape(name)),
            );
        }
        if let Some(best) = self.pooled_f1 {
            push(
                &mut text,
                format_args!(
                    " Best common threshold: {} (F1 {:.1}).",
                    best.threshold,
                    best.f1 * 100.0
                ),
            );
        }
        text.push('\n');
        text
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
}

fn push_row(text: &mut String, name: &str, n_images: usize, n_defective: usize, scores: &Scores) {
    push(
        text,
        format_args!("| {name} | {n_images} | {n_defective} |"),
    );
    for (_, get) in COLUMNS {
        match get(scores) {
            Some(value) => push(text, format_args!(" {:.1} |", value * 100.0)),
            None => text.push_str(" – |"),
        }
    }
    text.push('\n');
}

/// A folder's name may hold characters that would break the table.
fn escape(name: &str) -> String {
    name.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace(['\n', '\r'], " ")
}
