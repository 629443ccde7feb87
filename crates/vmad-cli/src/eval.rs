//! `vmad eval`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use vmad_data::{DefectKind, Record, read_dataset};
use vmad_engine::{Ask, CancelToken, Engine, Query};
use vmad_eval::{Accumulator, EvalOptions, ImageResult, Mask, Report, ScoreMap};

use crate::args::{DeviceArg, Length};
use crate::files::read_photo;
use crate::interrupt::Stop;
use crate::text::print;
use crate::{progress, session};

const HELP: &str = "Example:
  vmad synth /tmp/unseen --seed 1 --count 400 --split unseen
  vmad eval models/tiny /tmp/unseen --json

DATA is a folder that `vmad synth` wrote, or another with COCO annotations (annotations.json) and
sidecar (sidecar.json). Every photograph is inspected as `vmad inspect --ask description` does, with
the object's name and nothing else. Metrics are shares from 0 to 1, null where the data does not
define them; those at the top are means over categories.";

/// Most tokens of an answer: a description names the defect at its beginning.
const ANSWER_TOKENS: usize = 64;

/// Measure a model on labelled photographs
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct EvalArgs {
    /// Folder of the model package, the one with model.json
    package: PathBuf,
    /// Folder with annotations.json, sidecar.json and images
    data: PathBuf,
    /// Print one JSON object instead of a Markdown table
    #[arg(long)]
    json: bool,
    /// Use only the first N photographs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Which device computes
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceArg,
    #[command(flatten)]
    length: Length,
}

pub(crate) fn run(args: EvalArgs) -> Result<()> {
    let mut records = read_dataset(&args.data)?.records;
    if let Some(limit) = args.limit {
        records.truncate(limit as usize);
    }
    if records.is_empty() {
        bail!("{} has no photographs", args.data.display());
    }
    let stop = Stop::listen()?;
    let mut engine = session::open(&args.package, args.device, &CancelToken::new())?;
    eprintln!(
        "Computing on {}.",
        crate::text::plain(&engine.device().to_string())
    );
    let report = evaluate(&mut engine, records, args.length, &stop)?;
    if args.json {
        let json = serde_json::to_string_pretty(&report).context("encoding the report")?;
        print(&format!("{json}\n"))
    } else {
        print(&report.to_markdown())
    }
}

/// Category by category, so that only one category's maps are in memory.
pub(crate) fn evaluate(
    engine: &mut Engine,
    mut records: Vec<Record>,
    length: Length,
    stop: &Stop,
) -> Result<Report> {
    records.sort_by(|a, b| a.category.cmp(&b.category));
    let mut accumulator = Accumulator::new(EvalOptions::default())?;
    let bar = progress::count(records.len() as u64, "photographs");
    for group in records.chunk_by(|a, b| a.category == b.category) {
        for record in group {
            if stop.is_asked() {
                bail!(
                    "stopped after {} of {} photographs",
                    bar.position(),
                    records.len()
                );
            }
            let result =
                look(engine, record, length).with_context(|| record.path.display().to_string())?;
            accumulator.add(record.category.as_str(), result)?;
            bar.inc(1);
        }
        if let Some(record) = group.first() {
            accumulator.close(&record.category)?;
        }
    }
    bar.finish_and_clear();
    Ok(accumulator.finish()?)
}

fn look(engine: &mut Engine, record: &Record, length: Length) -> Result<ImageResult> {
    let query = Query {
        object: Some(record.object.clone()),
        ask: Ask::Description,
        generation: length.generation(Some(ANSWER_TOKENS)),
        ..Query::default()
    };
    let photo = read_photo(&record.path)?;
    let events = engine.inspect(photo, query, &CancelToken::new());
    let (map, verdict) = session::finish(events)?;
    let mask = record.mask();
    let named = DefectKind::find_in(&verdict.answer);
    Ok(ImageResult {
        score: verdict.score,
        map: Some(ScoreMap {
            width: map.width as usize,
            height: map.height as usize,
            values: map.values,
        }),
        mask: Some(Mask {
            width: mask.width() as usize,
            height: mask.height() as usize,
            values: mask.iter().map(|value| *value != 0).collect(),
        }),
        is_defective: record.is_defective(),
        truth_kind: record.kinds.first().map(|kind| kind.name().to_owned()),
        answer_kind: named.map(|kind| kind.name().to_owned()),
        says_normal: says_normal(&verdict.answer),
    })
}

/// Whether an answer says that nothing is wrong: it names no kind of defect, and denies one.
fn says_normal(answer: &str) -> bool {
    const DENIALS: [&str; 5] = [
        "no defect",
        "not defective",
        "no abnormal",
        "no anomal",
        "without defect",
    ];
    let answer = answer.to_lowercase();
    DefectKind::find_in(&answer).is_none() && DENIALS.iter().any(|denial| answer.contains(denial))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials() {
        for (answer, expected) in [
            ("No defect is visible. The coin looks as it should.", true),
            (
                "There is no impact, because the gear shows no defect.",
                true,
            ),
            (
                "There is a small dent on the upper left of the coin.",
                false,
            ),
            ("There is no defect but a scratch.", false),
            ("", false),
            ("A defect.", false),
        ] {
            assert_eq!(says_normal(answer), expected, "{answer}");
        }
    }
}
