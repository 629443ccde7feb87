//! The rows of a report, one per photograph, answer, choice or criterion, and their CSV and JSONL files.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use vmad_data::Record;
use vmad_eval::{Judgement, Parsed, Rate, Report, Truth};

use super::photo::EvaluatedPhoto;
use super::pictures::Extremes;
use crate::files::write_whole;

/// A photograph's line in `images.csv`.
pub(super) struct ImageRow {
    pub file: String,
    pub category: String,
    pub score: f32,
    pub threshold: f32,
    pub truth: Truth,
}

/// An answer's line in `answers.jsonl` and `answers.csv`.
#[derive(Serialize)]
pub(super) struct AnswerRow {
    pub image: String,
    pub category: String,
    pub question: String,
    pub answer: String,
    pub truth: Truth,
    pub parsed: Parsed,
    pub judgement: Judgement,
}

/// A question with choices, in `mmad.jsonl` and `mmad.csv`.
#[derive(Serialize)]
pub(super) struct ChoiceRow {
    pub image: String,
    pub subtask: &'static str,
    pub question: String,
    pub options: Vec<String>,
    pub right: usize,
    pub chosen: usize,
    /// Mean ln p of each option's tokens.
    pub likelihoods: Vec<f32>,
}

/// A verdict under a criterion, in `criteria.csv`.
pub(super) struct CriterionRow {
    pub image: String,
    pub criterion: String,
    pub score: f32,
    pub rejected: bool,
}

/// The rows of a run.
#[derive(Default)]
pub(super) struct EvalTables {
    pub images: Vec<ImageRow>,
    pub answers: Vec<AnswerRow>,
    pub choices: Vec<ChoiceRow>,
    pub criteria: Vec<CriterionRow>,
    /// By category, in their order.
    pub extremes: Vec<(String, Extremes)>,
}

/// The columns of `answers.csv`.
const ANSWER_COLUMNS: &[&str] = &[
    "image",
    "category",
    "question",
    "answer",
    "defective",
    "true_kinds",
    "true_places",
    "true_size",
    "true_severity",
    "claim",
    "kinds",
    "places",
    "size",
    "severity",
    "kind_right",
    "place_right",
    "size_right",
    "severity_right",
    "object_repeated",
    "runs_on",
    "normal_called_normal",
    "normal_called_defective",
    "defect_denied",
    "false_kind",
];

impl EvalTables {
    /// Adds a photograph. The photographs of a category must come one after another.
    pub fn add(&mut self, folder: &Path, record: &Record, photo: EvaluatedPhoto) -> Result<()> {
        let name = record.path.strip_prefix(folder).unwrap_or(&record.path);
        let file = name.to_string_lossy().into_owned();
        let category = &record.category;
        if self
            .extremes
            .last()
            .is_none_or(|(last, _)| last != category)
        {
            self.extremes.push((category.clone(), Extremes::default()));
        }
        if let Some((_, extremes)) = self.extremes.last_mut() {
            extremes.consider(&file, record, &photo)?;
        }
        for answer in photo.answers {
            self.answers.push(AnswerRow {
                image: file.clone(),
                category: category.clone(),
                question: answer.ask,
                answer: answer.text,
                judgement: Judgement::of(&answer.parsed, &photo.truth),
                parsed: answer.parsed,
                truth: photo.truth.clone(),
            });
        }
        self.images.push(ImageRow {
            file,
            category: category.clone(),
            score: photo.score,
            threshold: photo.threshold,
            truth: photo.truth,
        });
        Ok(())
    }

    /// Scores and labels of a category, or of all.
    pub fn scores(&self, category: Option<&str>) -> (Vec<f32>, Vec<bool>) {
        self.images
            .iter()
            .filter(|image| category.is_none_or(|category| image.category == category))
            .map(|image| (image.score, image.truth.is_defective))
            .unzip()
    }

    /// Writes `images.csv`, `answers.csv`, `answers.jsonl` and, if there are choices or criteria,
    /// `mmad.csv` and `mmad.jsonl`, and `criteria.csv`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_csv(&folder.join("images.csv"), &self.image_table())?;
        write_csv(&folder.join("answers.csv"), &self.answer_table())?;
        write_jsonl(&folder.join("answers.jsonl"), &self.answers)?;
        if !self.choices.is_empty() {
            write_csv(&folder.join("mmad.csv"), &self.choice_table())?;
            write_jsonl(&folder.join("mmad.jsonl"), &self.choices)?;
        }
        if !self.criteria.is_empty() {
            write_csv(&folder.join("criteria.csv"), &self.criteria_table())?;
        }
        Ok(())
    }

    fn criteria_table(&self) -> Vec<Vec<String>> {
        let mut rows = vec![header(&["file", "criterion", "score", "verdict"])];
        rows.extend(self.criteria.iter().map(|row| {
            let verdict = if row.rejected { "rejected" } else { "passed" };
            vec![
                cell(&row.image),
                cell(&row.criterion),
                row.score.to_string(),
                verdict.to_owned(),
            ]
        }));
        rows
    }

    fn image_table(&self) -> Vec<Vec<String>> {
        let mut rows = vec![header(&[
            "file", "category", "score", "verdict", "truth", "kinds",
        ])];
        let word = |bad: bool| if bad { "defective" } else { "normal" }.to_owned();
        rows.extend(self.images.iter().map(|image| {
            vec![
                cell(&image.file),
                cell(&image.category),
                image.score.to_string(),
                word(image.score >= image.threshold),
                word(image.truth.is_defective),
                cell(&image.truth.kinds.join("; ")),
            ]
        }));
        rows
    }

    fn answer_table(&self) -> Vec<Vec<String>> {
        let mut rows = vec![header(ANSWER_COLUMNS)];
        rows.extend(self.answers.iter().map(|row| {
            let (truth, parsed, judged) = (&row.truth, &row.parsed, &row.judgement);
            let list = |values: &[String]| cell(&values.join("; "));
            let word = |value: &Option<String>| value.clone().unwrap_or_default();
            let flag = |value: Option<bool>| value.map(|v| v.to_string()).unwrap_or_default();
            vec![
                cell(&row.image),
                cell(&row.category),
                cell(&row.question),
                cell(&row.answer),
                truth.is_defective.to_string(),
                list(&truth.kinds),
                list(&truth.places),
                word(&truth.size),
                word(&truth.severity),
                format!("{:?}", parsed.claim).to_lowercase(),
                list(&parsed.kinds),
                list(&parsed.places),
                word(&parsed.size),
                word(&parsed.severity),
                flag(judged.kind_right),
                flag(judged.place_right),
                flag(judged.size_right),
                flag(judged.severity_right),
                judged.object_repeated.to_string(),
                flag(judged.runs_on),
                flag(judged.normal_called_normal),
                flag(judged.normal_called_defective),
                flag(judged.defect_denied),
                flag(judged.false_kind),
            ]
        }));
        rows
    }

    fn choice_table(&self) -> Vec<Vec<String>> {
        let mut rows = vec![header(&[
            "image", "subtask", "question", "right", "chosen", "is_right",
        ])];
        rows.extend(self.choices.iter().map(|row| {
            let option = |i: usize| row.options.get(i).map(|o| cell(o)).unwrap_or_default();
            vec![
                cell(&row.image),
                row.subtask.to_owned(),
                cell(&row.question),
                option(row.right),
                option(row.chosen),
                (row.right == row.chosen).to_string(),
            ]
        }));
        rows
    }
}

/// Metrics of each category and their means, for spreadsheets.
pub(super) fn metrics_table(report: &Report) -> Vec<Vec<String>> {
    let titles = report.scores.columns().map(|(title, _)| title);
    let mut head = header(&["category", "images", "defective"]);
    for title in titles {
        head.push(title.to_owned());
        if report.ci.is_some_and(|ci| ci.of(title).is_some()) {
            head.push(format!("{title}, low"));
            head.push(format!("{title}, high"));
        }
    }
    head.push("F1-max threshold".to_owned());
    let number = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
    let rows = report
        .categories
        .iter()
        .map(|(name, c)| {
            let counts = (c.n_images, c.n_defective);
            (name.as_str(), counts, &c.scores, c.ci, c.image_f1_threshold)
        })
        .chain([(
            "mean",
            (report.n_images, report.n_defective),
            &report.scores,
            report.ci,
            None,
        )]);
    let rows = rows.map(|(name, (n_images, n_defective), scores, ci, threshold)| {
        let mut row = vec![cell(name), n_images.to_string(), n_defective.to_string()];
        for (title, value) in scores.columns() {
            row.push(number(value));
            if report.ci.is_some_and(|all| all.of(title).is_some()) {
                let interval = ci.and_then(|ci| ci.of(title));
                row.push(number(interval.map(|(low, _)| low)));
                row.push(number(interval.map(|(_, high)| high)));
            }
        }
        row.push(threshold.map(|t| t.to_string()).unwrap_or_default());
        row
    });
    std::iter::once(head).chain(rows).collect()
}

/// Per cent, interval and counts: "60.0 (39–78), 12 of 20".
pub(super) fn format_rate(rate: Rate) -> String {
    match (rate.share(), rate.interval()) {
        (Some(share), Some((low, high))) => format!(
            "{:.1} ({:.0}–{:.0}), {} of {}",
            share * 100.0,
            low * 100.0,
            high * 100.0,
            rate.n,
            rate.of
        ),
        _ => "–".to_owned(),
    }
}

fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Text for a spreadsheet, quoted if a spreadsheet would run it as a formula.
fn cell(text: &str) -> String {
    match text.trim_start().chars().next() {
        Some('=' | '+' | '-' | '@') => format!("'{text}"),
        _ => text.to_owned(),
    }
}

/// Writes rows as in RFC 4180, but with line feeds only.
pub(super) fn write_csv(path: &Path, rows: &[Vec<String>]) -> Result<()> {
    let mut text = String::new();
    for row in rows {
        for (i, value) in row.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            if value.contains(['"', ',', '\n', '\r']) {
                text.push('"');
                text.push_str(&value.replace('"', "\"\""));
                text.push('"');
            } else {
                text.push_str(value);
            }
        }
        text.push('\n');
    }
    write_whole(path, text.as_bytes())
}

fn write_jsonl(path: &Path, rows: &[impl Serialize]) -> Result<()> {
    let mut text = Vec::new();
    for row in rows {
        let line =
            serde_json::to_vec(row).with_context(|| format!("encoding {}", path.display()))?;
        text.extend(line);
        text.push(b'\n');
    }
    write_whole(path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_quoted() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            (" @SUM(A1)", "' @SUM(A1)"),
            ("-dent", "'-dent"),
            ("a dent", "a dent"),
            ("", ""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }

    #[test]
    fn csv_quotes_what_it_must() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.csv");
        write_csv(&path, &[vec!["a,b".into(), "say \"x\"\nnow".into()]])?;
        let text = std::fs::read_to_string(path)?;
        assert_eq!(text, "\"a,b\",\"say \"\"x\"\"\nnow\"\n");
        Ok(())
    }
}
