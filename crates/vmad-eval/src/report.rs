//! The report of an evaluation, as data and as a table.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::answer_metrics::{Confusion, Rate, TextScores};
use crate::bootstrap::{Bootstrap, Intervals};
use crate::choices::ChoiceReport;
use crate::criteria::CriteriaReport;
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
    /// Average precision over all pixels of the evaluation grid.
    #[serde(default)]
    pub pixel_ap: Option<f64>,
    /// Best F1 over all pixels of the evaluation grid and all thresholds.
    #[serde(default)]
    pub pixel_f1_max: Option<f64>,
    /// Per-region overlap in MVTec's form.
    pub pro: Option<f64>,
    /// Per-region overlap in the form of the zero-shot baselines.
    #[serde(default)]
    pub pro_zsad: Option<f64>,
    /// Share of defective images whose answer names a right type.
    pub defect_type_accuracy: Option<f64>,
    /// The accuracy of always naming the set's most frequent type.
    pub most_frequent_type_rate: Option<f64>,
    /// Share of normal images that the answer calls normal.
    pub normal_called_normal: Option<f64>,
}

const N_COLUMNS: usize = 11;

type Column = (&'static str, fn(&Scores) -> Option<f64>);

const COLUMNS: [Column; N_COLUMNS] = [
    ("image AUROC", |s| s.image_auroc),
    ("image AP", |s| s.image_ap),
    ("F1-max", |s| s.image_f1_max),
    ("pixel AUROC", |s| s.pixel_auroc),
    ("pixel AP", |s| s.pixel_ap),
    ("pixel F1-max", |s| s.pixel_f1_max),
    ("PRO", |s| s.pro),
    ("PRO (200 thresholds)", |s| s.pro_zsad),
    ("type right", |s| s.defect_type_accuracy),
    ("most frequent type", |s| s.most_frequent_type_rate),
    ("normal called normal", |s| s.normal_called_normal),
];

impl Scores {
    /// Title and value of each metric, for tables.
    pub fn columns(&self) -> [(&'static str, Option<f64>); N_COLUMNS] {
        COLUMNS.map(|(title, get)| (title, get(self)))
    }

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
            pixel_ap: mean(|s| s.pixel_ap),
            pixel_f1_max: mean(|s| s.pixel_f1_max),
            pro: mean(|s| s.pro),
            pro_zsad: mean(|s| s.pro_zsad),
            defect_type_accuracy: mean(|s| s.defect_type_accuracy),
            most_frequent_type_rate: mean(|s| s.most_frequent_type_rate),
            normal_called_normal: mean(|s| s.normal_called_normal),
        }
    }
}

impl Intervals {
    /// The interval of the metric with this title; see [`Scores::columns`].
    pub fn of(&self, title: &str) -> Option<(f64, f64)> {
        match title {
            "image AUROC" => self.image_auroc,
            "image AP" => self.image_ap,
            "F1-max" => self.image_f1_max,
            "pixel AUROC" => self.pixel_auroc,
            "pixel AP" => self.pixel_ap,
            "PRO" => self.pro,
            _ => None,
        }
    }
}

/// One category's metrics and its size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CategoryReport {
    /// The metrics; their keys are beside the counts in JSON.
    #[serde(flatten)]
    pub scores: Scores,
    /// The threshold of the best F1 of the image scores.
    #[serde(default)]
    pub image_f1_threshold: Option<f32>,
    /// Images in the category.
    pub n_images: usize,
    /// Of these, images with a defect.
    pub n_defective: usize,
    /// Confidence intervals of the metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<Intervals>,
    /// Rates of the answers to each kind of question.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub text: BTreeMap<String, TextScores>,
}

/// Provenance: what is needed to repeat the measurement.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the program.
    pub version: String,
    /// Name of the model package.
    pub model: String,
    /// SHA-256 of its `model.json`, which holds those of its other files.
    pub model_sha256: String,
    /// Name of the data set's folder.
    pub data: String,
    /// SHA-256 of its labels: a line for each photograph with path, category, object and kinds.
    pub data_sha256: String,
    /// How the data was generated, if it was: seed, split, size, difficulty, count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// How training and test data relate, e.g. `cross-category`.
    pub protocol: String,
    /// What was asked about each photograph.
    pub asked: Vec<String>,
    /// The device that computed.
    pub device: String,
    /// Photographs of good parts that the model was shown; absent in zero-shot measurements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<References>,
}

/// Photographs of good parts that the model was shown before it was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct References {
    /// How many there were, and that this is not the zero-shot protocol.
    pub protocol: String,
    /// SHA-256 of a line for each: its category and the SHA-256 of its file.
    pub sha256: String,
}

/// A whole evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Means over the categories that define a metric; their keys are at the top level in JSON.
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
    /// The form of PRO under `pro`; the other stands under `pro_zsad`.
    pub pro_variant: ProVariant,
    /// PRO integrates up to this false positive rate.
    pub pro_fpr_limit: f64,
    /// How intervals were computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,
    /// Confidence intervals of the means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<Intervals>,
    /// Each category by its name.
    pub categories: BTreeMap<String, CategoryReport>,
    /// Rates of the answers to each kind of question, over all images.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub text: BTreeMap<String, TextScores>,
    /// Confusion matrix of the first answer about each image.
    #[serde(default)]
    pub confusion: Confusion,
    /// Questions with choices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mmad: Option<ChoiceReport>,
    /// Verdicts under several criteria.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criteria: Option<CriteriaReport>,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

impl Report {
    /// The report as Markdown tables in per cent: the metrics, a row per category and one for the
    /// mean; then the answers, the questions with choices and the criteria, where there are any.
    pub fn to_markdown(&self) -> String {
        let mut text = self.metrics_table();
        self.push_notes(&mut text);
        if !self.text.is_empty() {
            text.push('\n');
            text.push_str(&text_table(&self.text));
        }
        if let Some(mmad) = &self.mmad {
            text.push('\n');
            text.push_str(&choices_table(mmad));
        }
        if let Some(criteria) = &self.criteria {
            text.push('\n');
            text.push_str(&criteria_table(criteria));
        }
        text
    }

    fn metrics_table(&self) -> String {
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
                ..
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
        if let Some(ci) = self.ci {
            text.push_str("| 95 % interval of the mean | | |");
            for (title, _) in COLUMNS {
                match ci.of(title) {
                    Some((low, high)) => push(
                        &mut text,
                        format_args!(" {:.1} – {:.1} |", low * 100.0, high * 100.0),
                    ),
                    None => text.push_str(" |"),
                }
            }
            text.push('\n');
        }
        text
    }

    fn push_notes(&self, text: &mut String) {
        push(
            text,
            format_args!(
                "\nPer cent. Grid {}x{}; PRO: MVTec reference and 200 thresholds, false positive rate up to {}.",
                self.grid.0, self.grid.1, self.pro_fpr_limit
            ),
        );
        if let Some(Bootstrap { n_resamples, seed }) = self.bootstrap {
            push(
                text,
                format_args!(" Intervals: {n_resamples} resamples, seed {seed}."),
            );
        }
        if let Some(name) = &self.most_frequent_type {
            push(text, format_args!(" Most frequent type: {}.", escape(name)));
        }
        if let Some(best) = self.pooled_f1 {
            push(
                text,
                format_args!(
                    " Best common threshold: {} (F1 {:.1}).",
                    best.threshold,
                    best.f1 * 100.0
                ),
            );
        }
        text.push('\n');
    }
}

/// Rates of the answers as a Markdown table in per cent, with counts.
pub fn text_table(text: &BTreeMap<String, TextScores>) -> String {
    let mut table = String::from("| answers |");
    for ask in text.keys() {
        push(&mut table, format_args!(" {} |", escape(ask)));
    }
    table.push_str("\n|:--|");
    table.push_str(&"--:|".repeat(text.len()));
    table.push('\n');
    for (i, (title, _)) in TextScores::default().rows().into_iter().enumerate() {
        push(&mut table, format_args!("| {title} |"));
        for scores in text.values() {
            let (_, rate) = scores.rows()[i];
            table.push_str(&rate_cell(rate));
        }
        table.push('\n');
    }
    table
}

fn criteria_table(report: &CriteriaReport) -> String {
    let mut table = String::from("| criteria | verdicts |\n|:--|--:|\n");
    for (title, rate) in report.rows() {
        push(&mut table, format_args!("| {title} |{}\n", rate_cell(rate)));
    }
    table
}

/// The cell of a rate: per cent, with its counts.
fn rate_cell(rate: Rate) -> String {
    rate.share().map_or(" – |".to_owned(), |share| {
        format!(" {:.1} ({} of {}) |", share * 100.0, rate.n, rate.of)
    })
}

fn choices_table(report: &ChoiceReport) -> String {
    let mut table = String::from(
        "| choices | accuracy | chance | right | questions |\n|:--|--:|--:|--:|--:|\n",
    );
    let per_cent = |value: Option<f64>| value.map_or("–".into(), |v| format!("{:.1}", v * 100.0));
    for (name, found) in &report.subtasks {
        push(
            &mut table,
            format_args!(
                "| {} | {} | {} | {} | {} |\n",
                escape(name),
                per_cent(found.accuracy),
                per_cent(found.chance),
                found.rate.n,
                found.rate.of
            ),
        );
    }
    push(
        &mut table,
        format_args!(
            "| **mean** | {} | {} | | {} |\n",
            per_cent(report.mean_accuracy),
            per_cent(report.mean_chance),
            report.n_questions
        ),
    );
    if report.n_left_out > 0 {
        push(
            &mut table,
            format_args!("\n{} questions were left out.\n", report.n_left_out),
        );
    }
    table
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
    for (_, value) in scores.columns() {
        match value {
            Some(value) => push(text, format_args!(" {:.1} |", value * 100.0)),
            None => text.push_str(" – |"),
        }
    }
    text.push('\n');
}

/// A folder's name may hold characters that would break the table.
pub(crate) fn escape(name: &str) -> String {
    name.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace(['\n', '\r'], " ")
}
