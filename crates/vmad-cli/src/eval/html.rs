//! The report as one self-contained HTML page: no script, no other file.
//!
//! `report.html` is the template. Whatever it inserts is escaped, but for the style sheet, the charts
//! and the addresses of the pictures, which hold no text from outside.

use anyhow::{Context, Result};
use minijinja::Environment;
use serde::Serialize;
use vmad_eval::{
    ChoiceReport, Comparison, Confusion, CriteriaReport, Intervals, Provenance, Report, Scores,
    TextScores, curve,
};

use super::pictures::Case;
use super::rows::{EvalTables, format_rate};
use super::svg;

const TEMPLATE: &str = include_str!("report.html");
const STYLE: &str = include_str!("report.css");

/// The metrics that the paper reports, shown first.
const HEADLINE: [&str; 4] = ["image AUROC", "image AP", "pixel AUROC", "PRO"];

#[derive(Serialize)]
struct Page {
    title: String,
    style: &'static str,
    headline: Vec<Cell>,
    rows: Vec<Row>,
    mean: Row,
    fpr_limit: f64,
    grid: String,
    resamples: Option<usize>,
    all_charts: Vec<String>,
    threshold: String,
    n_found: usize,
    n_false: usize,
    asks: Vec<String>,
    answers: Vec<(&'static str, Vec<String>)>,
    names: Vec<String>,
    confusion: Vec<ConfusionRow>,
    choices: Option<Choices>,
    criteria: Vec<(&'static str, String)>,
    comparison: Option<Compared>,
    categories: Vec<Category>,
    facts: Vec<(&'static str, String)>,
}

#[derive(Clone, Serialize)]
struct Cell {
    title: &'static str,
    value: String,
    range: Option<String>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    n_images: usize,
    n_defective: usize,
    cells: Vec<Cell>,
    threshold: String,
}

#[derive(Serialize)]
struct ConfusionRow {
    name: String,
    cells: Vec<ConfusionCell>,
}

#[derive(Serialize)]
struct ConfusionCell {
    count: usize,
    share: String,
    is_right: bool,
}

#[derive(Serialize)]
struct Choices {
    rows: Vec<ChoiceRow>,
    accuracy: String,
    chance: String,
    n: usize,
    n_left_out: usize,
}

#[derive(Serialize)]
struct ChoiceRow {
    name: String,
    accuracy: String,
    chance: String,
    n: usize,
    of: usize,
}

#[derive(Serialize)]
struct Compared {
    reservations: Vec<String>,
    rows: Vec<[String; 6]>,
}

#[derive(Serialize)]
struct Category {
    name: String,
    image_auroc: String,
    pro: String,
    charts: Vec<String>,
    cases: Vec<Picture>,
}

#[derive(Serialize)]
struct Picture {
    title: &'static str,
    file: String,
    score: String,
    is_wrong: bool,
    truth: String,
    answer: String,
    /// Caption and URL.
    pictures: Vec<(&'static str, String)>,
}

/// The page.
///
/// # Errors
/// Scores that cannot be ranked.
pub(super) fn page(
    report: &Report,
    tables: &EvalTables,
    comparison: Option<&Comparison>,
) -> Result<String> {
    let mut environment = Environment::new();
    // The name's ending switches escaping on.
    environment
        .add_template("report.html", TEMPLATE)
        .context("the template of the report")?;
    let page = Page::of(report, tables, comparison)?;
    let template = environment.get_template("report.html")?;
    template
        .render(page)
        .context("writing the page of the report")
}

impl Page {
    fn of(report: &Report, tables: &EvalTables, comparison: Option<&Comparison>) -> Result<Self> {
        let provenance = report.provenance.clone().unwrap_or_default();
        let threshold = tables.images.first().map(|image| image.threshold);
        let called_bad = |bad: bool| {
            let of_class = tables.images.iter().filter(|i| i.truth.is_defective == bad);
            of_class.filter(|i| i.score >= i.threshold).count()
        };
        let mean = Row {
            name: "mean".to_owned(),
            n_images: report.n_images,
            n_defective: report.n_defective,
            cells: cells(&report.scores, report.ci),
            threshold: fixed(report.pooled_f1.map(|best| best.threshold)),
        };
        let headline = mean.cells.iter().filter(|c| HEADLINE.contains(&c.title));
        let (names, confusion) = confusion(&report.confusion);
        Ok(Self {
            title: format!("{} on {}", provenance.model, provenance.data),
            style: STYLE,
            headline: headline.cloned().collect(),
            rows: rows(report),
            mean,
            fpr_limit: report.pro_fpr_limit,
            grid: format!("{}×{}", report.grid.0, report.grid.1),
            resamples: report.bootstrap.map(|bootstrap| bootstrap.n_resamples),
            all_charts: charts(tables, None, threshold)?,
            threshold: fixed(threshold),
            n_found: called_bad(true),
            n_false: called_bad(false),
            asks: report.text.keys().cloned().collect(),
            answers: answers(report),
            names,
            confusion,
            choices: report.mmad.as_ref().map(choices),
            criteria: criteria(report),
            comparison: comparison.map(compared),
            categories: categories(report, tables, threshold)?,
            facts: facts(report, provenance),
        })
    }
}

fn per_cent(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{:.1}", value * 100.0))
}

fn fixed(value: Option<f32>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.3}"))
}

fn cells(scores: &Scores, ci: Option<Intervals>) -> Vec<Cell> {
    let cell = |(title, value)| Cell {
        title,
        value: per_cent(value),
        range: ci
            .and_then(|ci| ci.of(title))
            .map(|(low, high)| format!("{:.1}–{:.1}", low * 100.0, high * 100.0)),
    };
    scores.columns().into_iter().map(cell).collect()
}

fn rows(report: &Report) -> Vec<Row> {
    let rows = report.categories.iter().map(|(name, category)| Row {
        name: name.clone(),
        n_images: category.n_images,
        n_defective: category.n_defective,
        cells: cells(&category.scores, category.ci),
        threshold: fixed(category.image_f1_threshold),
    });
    rows.collect()
}

/// The charts of a category, or of all photographs.
fn charts(
    tables: &EvalTables,
    category: Option<&str>,
    threshold: Option<f32>,
) -> Result<Vec<String>> {
    let (scores, labels) = tables.scores(category);
    let points = curve(&scores, &labels)?;
    let mut charts = vec![svg::histogram(&scores, &labels, threshold)];
    if !points.is_empty() {
        let n_bad = labels.iter().filter(|label| **label).count();
        charts.push(svg::roc(&points));
        charts.push(svg::precision_recall(
            &points,
            n_bad as f64 / labels.len() as f64,
        ));
    }
    Ok(charts)
}

fn answers(report: &Report) -> Vec<(&'static str, Vec<String>)> {
    let titles = TextScores::default().rows().map(|(title, _)| title);
    let rows = titles.into_iter().enumerate().map(|(i, title)| {
        let rates = report
            .text
            .values()
            .map(|scores| format_rate(scores.rows()[i].1));
        (title, rates.collect())
    });
    rows.collect()
}

/// Empty without `--criteria`.
fn criteria(report: &Report) -> Vec<(&'static str, String)> {
    let rows = report.criteria.iter().flat_map(CriteriaReport::rows);
    rows.map(|(title, rate)| (title, format_rate(rate)))
        .collect()
}

fn confusion(table: &Confusion) -> (Vec<String>, Vec<ConfusionRow>) {
    let names = table.names();
    let filled = names
        .iter()
        .filter_map(|name| table.rows.get_key_value(*name));
    let rows = filled.map(|(row, answers)| {
        let total = answers.values().sum::<usize>().max(1) as f64;
        let cell = |name: &&str| {
            let count = answers.get(*name).copied().unwrap_or(0);
            ConfusionCell {
                count,
                share: format!("{:.2}", count as f64 / total),
                is_right: *name == row,
            }
        };
        ConfusionRow {
            name: row.clone(),
            cells: names.iter().map(cell).collect(),
        }
    });
    let rows = rows.collect();
    (names.into_iter().map(str::to_owned).collect(), rows)
}

fn choices(report: &ChoiceReport) -> Choices {
    let rows = report.subtasks.iter().map(|(name, found)| ChoiceRow {
        name: name.clone(),
        accuracy: per_cent(found.accuracy),
        chance: per_cent(found.chance),
        n: found.rate.n,
        of: found.rate.of,
    });
    Choices {
        rows: rows.collect(),
        accuracy: per_cent(report.mean_accuracy),
        chance: per_cent(report.mean_chance),
        n: report.n_questions,
        n_left_out: report.n_left_out,
    }
}

fn compared(comparison: &Comparison) -> Compared {
    let rows = comparison.differences.iter().map(|found| {
        let outside = match found.is_outside {
            Some(true) => "yes",
            Some(false) => "no",
            None => "–",
        };
        [
            found.category.clone().unwrap_or_else(|| "mean".to_owned()),
            found.metric.to_owned(),
            per_cent(Some(found.value)),
            per_cent(Some(found.reference)),
            format!("{:+.1}", (found.value - found.reference) * 100.0),
            outside.to_owned(),
        ]
    });
    Compared {
        reservations: comparison.reservations.clone(),
        rows: rows.collect(),
    }
}

fn categories(
    report: &Report,
    tables: &EvalTables,
    threshold: Option<f32>,
) -> Result<Vec<Category>> {
    let of = |name: &String| report.categories.get(name).map(|c| c.scores);
    let categories = tables.extremes.iter().map(|(name, extremes)| {
        Ok(Category {
            name: name.clone(),
            image_auroc: per_cent(of(name).and_then(|scores| scores.image_auroc)),
            pro: per_cent(of(name).and_then(|scores| scores.pro)),
            charts: charts(tables, Some(name), threshold)?,
            cases: extremes.cases().map(picture).collect(),
        })
    });
    categories.collect()
}

fn picture((title, case): (&'static str, &Case)) -> Picture {
    let what = ["photograph", "true outline", "heat map"];
    Picture {
        title,
        file: case.file.clone(),
        score: format!("{:.3}", case.score),
        is_wrong: !case.is_right,
        truth: case.truth.clone(),
        answer: case.answer.clone(),
        pictures: what.into_iter().zip(case.pictures.clone()).collect(),
    }
}

fn facts(report: &Report, provenance: Provenance) -> Vec<(&'static str, String)> {
    let Provenance {
        version,
        model,
        model_sha256,
        data,
        data_sha256,
        recipe,
        protocol,
        asked,
        device,
        references,
    } = provenance;
    let mut facts = vec![
        ("model", model),
        ("SHA-256 of its model.json", model_sha256),
        ("data", data),
        ("SHA-256 of its labels", data_sha256),
        ("protocol", protocol),
        ("asked for", asked.join(", ")),
        ("device", device),
        ("program", format!("vmad {version}")),
    ];
    if let Some(recipe) = recipe {
        facts.insert(3, ("generated with", recipe));
    }
    if let Some(references) = references {
        facts.push(("references", references.protocol));
        facts.push(("SHA-256 of the references", references.sha256));
    }
    if let Some(bootstrap) = report.bootstrap {
        let drawn = format!("{}, seed {}", bootstrap.n_resamples, bootstrap.seed);
        facts.push(("resamples", drawn));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::rows::ImageRow;
    use vmad_eval::{Accumulator, Answer, EvalOptions, ImageResult, Lexicon, Truth, compare};

    const NASTY: &str = "<script>alert(1)</script> & \"quoted\" 'too' {{ title }}";

    /// A report whose every text from outside would break a page that does not escape it.
    fn nasty() -> Result<(Report, EvalTables)> {
        let mut accumulator = Accumulator::new(EvalOptions {
            grid_side: 4,
            ..EvalOptions::default()
        })?;
        let mut tables = EvalTables::default();
        for (score, is_defective) in [(0.2, false), (0.7, true), (0.4, true)] {
            let truth = Truth {
                is_defective,
                kinds: vec![NASTY.to_owned(); usize::from(is_defective)],
                ..Truth::default()
            };
            let parsed = Lexicon::new([NASTY]).parse(NASTY, NASTY);
            let result = ImageResult {
                score,
                map: None,
                mask: None,
                truth: truth.clone(),
                answers: vec![Answer {
                    ask: NASTY.to_owned(),
                    said: parsed,
                }],
            };
            accumulator.add(NASTY, result)?;
            tables.images.push(ImageRow {
                file: NASTY.to_owned(),
                category: NASTY.to_owned(),
                score,
                threshold: 0.5,
                truth,
            });
        }
        tables.extremes.push((
            NASTY.to_owned(),
            crate::eval::pictures::Extremes::holding(NASTY),
        ));
        let mut report = accumulator.finish()?;
        report.provenance = Some(Provenance {
            model: NASTY.to_owned(),
            data: NASTY.to_owned(),
            protocol: NASTY.to_owned(),
            recipe: Some(NASTY.to_owned()),
            asked: vec![NASTY.to_owned()],
            ..Provenance::default()
        });
        Ok((report, tables))
    }

    #[test]
    fn text_is_text() -> Result<()> {
        let (report, tables) = nasty()?;
        let mut reference = report.clone();
        reference.provenance = None;
        let page = page(&report, &tables, Some(&compare(&report, &reference)))?;
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;"));
        // Nothing is loaded, and nothing is run.
        for part in [
            "http:",
            "https:",
            "url(",
            "javascript",
            " onload",
            "@import",
        ] {
            assert!(!page.contains(part), "{part}");
        }
        Ok(())
    }

    /// Every element that is opened is closed, in order.
    #[test]
    fn elements_are_closed() -> Result<()> {
        const VOID: [&str; 4] = ["meta", "img", "br", "!doctype"];
        let (report, tables) = nasty()?;
        let page = page(&report, &tables, None)?;
        let mut open: Vec<&str> = Vec::new();
        for tag in page.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').context("a tag without end")?;
            let name = tag.split([' ', '\n']).next().unwrap_or_default();
            assert!(tag.matches('"').count() % 2 == 0, "{tag}");
            if let Some(name) = name.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name), "{tag}");
            } else if !VOID.contains(&name) && !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?}");
        Ok(())
    }
}
