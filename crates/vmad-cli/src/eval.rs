//! `vmad eval`.

mod args;
mod choices;
mod criteria;
mod few_shot;
mod html;
mod photo;
mod pictures;
mod provenance;
mod rows;
mod svg;
mod truth;

use std::path::Path;

use anyhow::{Context, Result, bail};
use vmad_data::{MMAD, Record};
use vmad_engine::{Ask, CancelToken, Engine};
use vmad_eval::{Accumulator, Comparison, EvalOptions, Report, compare};

pub(crate) use self::args::EvalArgs;
use self::few_shot::FewShot;
use self::photo::{EvaluatedPhoto, Inspector};
use self::rows::{EvalTables, metrics_table, write_csv};
pub(crate) use self::truth::truth;
use crate::args::AnswerLength;
use crate::dataset::OpenDataset;
use crate::files::{create_folder, write_whole};
use crate::interrupt::Stop;
use crate::text::print;
use crate::{progress, session};

pub(crate) fn run(args: EvalArgs) -> Result<()> {
    let data = &args.data;
    let mut dataset = args.dataset.open(data)?;
    let reference = args.reference.as_deref().map(read_report).transpose()?;
    let few_shot = args.few_shot.as_deref();
    let few_shot = few_shot.map(|folder| FewShot::open(folder, &dataset.records));
    let few_shot = few_shot.transpose()?;
    let questions = args.mmad.as_ref().map(|file| {
        let own = data.join(MMAD);
        choices::questions(file.as_deref().unwrap_or(&own), args.dataset.limit)
    });
    let questions = questions.transpose()?;
    if let Some(folder) = &args.out {
        create_folder(folder)?;
    }
    let stop = Stop::listen()?;
    let mut engine = session::open(&args.package, args.device, &CancelToken::new())?;
    eprintln!(
        "Computing on {}.",
        crate::text::plain(&engine.device().to_string())
    );
    let mut tables = EvalTables::default();
    let plan = Plan {
        ask: &args.ask,
        length: args.length,
        options: args.settings.options(),
    };
    let mut provenance = provenance::of(&args, &engine, &dataset.records)?;
    provenance.references = few_shot.as_ref().map(FewShot::provenance).transpose()?;
    let mut report = evaluate(
        &plan,
        &mut engine,
        &mut dataset,
        few_shot.as_ref(),
        &stop,
        &mut |record, photo| match args.out {
            Some(_) => tables.add(data, record, photo),
            None => Ok(()),
        },
    )?;
    dataset.finish()?;
    report.provenance = Some(provenance);
    if let Some(mmad) = &questions {
        let (answers, rows) = choices::answer(&mut engine, mmad, &stop)?;
        report.mmad = Some(answers);
        tables.choices = rows;
    }
    if args.criteria {
        let (verdicts, rows) = criteria::judge(&mut engine, data, &mut dataset, &stop)?;
        report.criteria = Some(verdicts);
        tables.criteria = rows;
    }
    let comparison = reference.map(|reference| compare(&report, &reference));
    output(&args, &report, &tables, comparison.as_ref())
}

/// Writes the files of `--out` and prints the report.
fn output(
    args: &EvalArgs,
    report: &Report,
    tables: &EvalTables,
    comparison: Option<&Comparison>,
) -> Result<()> {
    if let Some(folder) = &args.out {
        write(folder, report, tables, comparison)?;
        eprintln!("The report is in {}.", folder.display());
    }
    if args.json {
        print(&format!("{}\n", encoded(report)?))
    } else {
        print(&markdown(report, comparison))
    }
}

/// The questions and settings of an evaluation.
pub(crate) struct Plan<'a> {
    /// Questions about each photograph; the metrics use the first.
    pub ask: &'a [Ask],
    /// AnswerLength of the answers.
    pub length: AnswerLength,
    /// Grid and confidence intervals.
    pub options: EvalOptions,
}

/// Evaluates category by category, so that only one category's maps are in memory. `keep` gets each
/// photograph after its inspection.
pub(crate) fn evaluate(
    plan: &Plan,
    engine: &mut Engine,
    dataset: &mut OpenDataset,
    few_shot: Option<&FewShot>,
    stop: &Stop,
    keep: &mut dyn FnMut(&Record, EvaluatedPhoto) -> Result<()>,
) -> Result<Report> {
    let OpenDataset { records, loader } = dataset;
    records.sort_by(|a, b| a.category.cmp(&b.category));
    let mut inspector = Inspector::new(engine, plan.ask, plan.length, records);
    let mut accumulator = Accumulator::new(plan.options)?;
    let bar = progress::count(records.len() as u64, "photographs");
    for group in records.chunk_by(|a, b| a.category == b.category) {
        if let (Some(few_shot), Some(record)) = (few_shot, group.first()) {
            few_shot.set_references(inspector.engine(), &record.category)?;
        }
        for record in group {
            if stop.is_requested() {
                bail!(
                    "stopped after {} of {} photographs",
                    bar.position(),
                    records.len()
                );
            }
            bar.inc(1);
            let Some(photo) = loader.load(record)? else {
                continue;
            };
            let evaluated = inspector
                .inspect(record, photo)
                .with_context(|| record.path.display().to_string())?;
            accumulator.add(record.category.as_str(), evaluated.result())?;
            keep(record, evaluated)?;
        }
        if let Some(record) = group.first() {
            accumulator.close(&record.category)?;
        }
    }
    bar.finish_and_clear();
    Ok(accumulator.finish()?)
}

/// Limit of a report file; one over thousands of categories is smaller.
const MAX_REPORT_BYTES: u64 = 64 << 20;

fn read_report(path: &Path) -> Result<Report> {
    let bytes = crate::files::read_at_most(path, MAX_REPORT_BYTES)?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not a report of `vmad eval --json`", path.display()))
}

fn encoded(report: &Report) -> Result<String> {
    serde_json::to_string_pretty(report).context("encoding the report")
}

fn markdown(report: &Report, comparison: Option<&Comparison>) -> String {
    let mut text = report.to_markdown();
    let measured = report.provenance.as_ref();
    if let Some(references) = measured.and_then(|measured| measured.references.as_ref()) {
        text.push_str(&format!("\nProtocol: {}.\n", references.protocol));
    }
    if let Some(comparison) = comparison {
        text.push('\n');
        text.push_str(&comparison.to_markdown());
    }
    text
}

fn write(
    folder: &Path,
    report: &Report,
    tables: &EvalTables,
    comparison: Option<&Comparison>,
) -> Result<()> {
    tables.write(folder)?;
    write_csv(&folder.join("metrics.csv"), &metrics_table(report))?;
    let page = html::page(report, tables, comparison)?;
    for (name, text) in [
        ("report.md", markdown(report, comparison)),
        ("report.html", page),
        ("report.json", encoded(report)? + "\n"),
    ] {
        write_whole(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}
