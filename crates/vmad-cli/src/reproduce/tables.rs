//! Results as Markdown tables, beside the paper's figures.

use std::fmt::Write;

use super::matrix::{Evaluation, Matrix, Paper, RowSpec};
use super::run_result::RunResult;

/// Cell of a variant without a finished run.
const NOT_RUN: &str = "not run yet";
/// Cell of an undefined figure, or of one that the paper does not give.
const NONE: &str = "–";

/// A figure of ours, and the paper's.
struct Column {
    title: &'static str,
    decimals: usize,
    ours: fn(&RunResult) -> Option<f64>,
    paper: Option<fn(&Paper) -> Option<f64>>,
}

const COLUMNS: [Column; 11] = [
    Column {
        title: "visual tokens",
        decimals: 0,
        ours: |r| Some(r.measured.n_visual as f64),
        paper: Some(|p| p.tokens),
    },
    Column {
        title: "weights, thousands",
        decimals: 0,
        ours: |r| Some(r.measured.projector_weights as f64 / 1e3),
        paper: None,
    },
    Column {
        title: "prefill, ms",
        decimals: 1,
        ours: |r| Some(r.measured.speed.prefill_ms),
        paper: None,
    },
    Column {
        title: "tokens/s, decoding",
        decimals: 0,
        ours: |r| r.measured.speed.decode_tokens_per_second,
        paper: None,
    },
    Column {
        title: "tokens/s, in all",
        decimals: 1,
        ours: |r| r.measured.speed.answer_tokens_per_second,
        paper: Some(|p| p.tokens_per_second),
    },
    Column {
        title: "image AUROC",
        decimals: 1,
        ours: |r| r.measured.report.scores.image_auroc.map(|v| v * 100.0),
        paper: Some(|p| p.image_auroc),
    },
    Column {
        title: "pixel AUROC",
        decimals: 1,
        ours: |r| r.measured.report.scores.pixel_auroc.map(|v| v * 100.0),
        paper: Some(|p| p.pixel_auroc),
    },
    Column {
        title: "PRO",
        decimals: 1,
        ours: |r| r.measured.report.scores.pro.map(|v| v * 100.0),
        paper: Some(|p| p.pro),
    },
    Column {
        title: "PRO (200 thresholds)",
        decimals: 1,
        ours: |r| r.measured.report.scores.pro_zsad.map(|v| v * 100.0),
        paper: None,
    },
    Column {
        title: "type right",
        decimals: 1,
        ours: |r| {
            r.measured
                .report
                .scores
                .defect_type_accuracy
                .map(|v| v * 100.0)
        },
        paper: None,
    },
    Column {
        title: "normal called normal",
        decimals: 1,
        ours: |r| {
            r.measured
                .report
                .scores
                .normal_called_normal
                .map(|v| v * 100.0)
        },
        paper: None,
    },
];

/// All tables of the matrix. Cells with two figures are ours and, in brackets, the paper's.
pub(super) fn markdown(matrix: &Matrix, results: &[RunResult]) -> String {
    let mut text = String::new();
    for table in &matrix.tables {
        line(&mut text, format_args!("### {}\n", table.title));
        let titles = COLUMNS.map(|column| column.title).join(" | ");
        line(&mut text, format_args!("| | seeds | {titles} |"));
        line(
            &mut text,
            format_args!("|:--|--:|{}", "--:|".repeat(COLUMNS.len())),
        );
        for row in &table.rows {
            line(&mut text, format_args!("{}", row_of(row, results)));
        }
        text.push('\n');
        if !table.note.is_empty() {
            line(&mut text, format_args!("{}\n", table.note));
        }
    }
    let Evaluation {
        world,
        split,
        seed,
        count,
        size,
        difficulty,
        ..
    } = &matrix.evaluation;
    line(
        &mut text,
        format_args!(
            "Mean ± standard deviation over seeds; in brackets the paper's figure, which is of other \
             data and a model a thousand times larger. Metrics in per cent, on {count} scenes of \
             {size} px (world {}, split {}, seed {seed}, difficulty {difficulty}).",
            name_of(world),
            name_of(split),
        ),
    );
    text
}

/// The serialised name of a setting.
fn name_of(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{arguments}");
}

fn row_of(row: &RowSpec, results: &[RunResult]) -> String {
    let own: Vec<&RunResult> = results
        .iter()
        .filter(|result| result.variant == row.variant)
        .collect();
    let cells = COLUMNS.map(|column| {
        let ours = match own.as_slice() {
            [] => NOT_RUN.to_owned(),
            own => {
                let values: Vec<f64> = own.iter().filter_map(|r| (column.ours)(r)).collect();
                spread(&values, column.decimals)
            }
        };
        match column.paper {
            None => ours,
            Some(paper) => {
                let paper = paper(&row.paper);
                let paper = paper.map_or(NONE.to_owned(), |value| value.to_string());
                format!("{ours} ({paper})")
            }
        }
    });
    format!("| {} | {} | {} |", row.label, own.len(), cells.join(" | "))
}

/// Mean and standard deviation (n − 1) of values over seeds.
fn spread(values: &[f64], decimals: usize) -> String {
    if values.is_empty() {
        return NONE.to_owned();
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    // A figure that does not depend on the seed has no deviation.
    if squares == 0.0 {
        return format!("{mean:.decimals$}");
    }
    let deviation = (squares / (n - 1.0)).sqrt();
    format!("{mean:.decimals$} ± {deviation:.decimals$}")
}

#[cfg(test)]
mod tests {
    use vmad_eval::{Accumulator, EvalOptions};
    use vmad_train::World;

    use super::super::matrix::ProductSplit;
    use super::super::measure::{Measured, Speed};
    use super::*;

    #[test]
    fn spreads() {
        for (values, decimals, expected) in [
            (&[][..], 1, "–"),
            (&[93.54], 1, "93.5"),
            (&[64.0, 64.0, 64.0], 0, "64"),
            (&[92.0, 94.0], 1, "93.0 ± 1.4"),
            (&[1.0, 2.0, 3.0], 2, "2.00 ± 1.00"),
        ] {
            assert_eq!(spread(values, decimals), expected, "{values:?}");
        }
    }

    fn result(variant: &str, seed: u64, image_auroc: f64) -> RunResult {
        let empty = Accumulator::new(EvalOptions::default()).and_then(Accumulator::finish);
        let mut report = empty.expect("nothing was measured");
        report.scores.image_auroc = Some(image_auroc);
        report.scores.pixel_auroc = Some(0.5);
        RunResult {
            variant: variant.to_owned(),
            seed,
            seconds: 9.0,
            evaluation: Evaluation {
                world: World::Catalogue,
                split: ProductSplit::Unseen,
                seed: 99,
                count: 4,
                size: 64,
                difficulty: 0.5,
                timed: 1,
            },
            measured: Measured {
                n_visual: 4,
                projector_weights: 5600,
                speed: Speed {
                    prefill_ms: 2.04,
                    decode_tokens_per_second: None,
                    answer_tokens_per_second: Some(50.0),
                },
                report,
            },
        }
    }

    #[test]
    fn a_row_has_ours_and_the_paper_s() {
        let row = |variant: &str| RowSpec {
            label: "LTC".to_owned(),
            variant: variant.to_owned(),
            paper: Paper {
                tokens: Some(144.0),
                image_auroc: Some(95.8),
                ..Paper::default()
            },
        };
        let results = [result("ltc", 1, 0.90), result("ltc", 2, 0.92)];
        assert_eq!(
            row_of(&row("ltc"), &results),
            "| LTC | 2 | 4 (144) | 6 | 2.0 | – | 50.0 (–) | 91.0 ± 1.4 (95.8) | 50.0 (–) | – (–) | – | – | – |"
        );
        assert_eq!(
            row_of(&row("mlp"), &results),
            "| LTC | 0 | not run yet (144) | not run yet | not run yet | not run yet | \
             not run yet (–) | not run yet (95.8) | not run yet (–) | not run yet (–) | \
             not run yet | not run yet | not run yet |"
        );
    }
}
