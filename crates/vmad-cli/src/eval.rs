//! `vmad eval`.

mod choices;
mod criteria;
mod few_shot;
mod html;
mod look;
mod pictures;
mod provenance;
mod rows;
mod svg;
mod truth;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use vmad_data::{MMAD, Record};
use vmad_engine::{Ask, CancelToken, Engine};
use vmad_eval::{Accumulator, Bootstrap, Comparison, EvalOptions, GRID_SIDE, Report, compare};

use self::few_shot::FewShot;
use self::look::Inspector;
pub(crate) use self::look::Seen;
use self::rows::{Kept, metrics_table, write_csv};
pub(crate) use self::truth::truth;
use crate::args::{self, DeviceArg, Length};
use crate::dataset::{DATA_HELP, DatasetArgs, OpenDataset};
use crate::files::{create_folder, write_whole};
use crate::interrupt::Stop;
use crate::text::print;
use crate::{progress, session};

const HELP: &str = "Example:
  vmad synth /tmp/unseen --seed 1 --count 400 --split unseen
  vmad eval models/tiny /tmp/unseen --json
  vmad eval models/tiny mvtec_anomaly_detection --on-bad-image skip
  vmad eval models/tiny /tmp/unseen --mmad --out report
  vmad eval models/tiny mvtec_anomaly_detection --few-shot good-parts --json

Every photograph is inspected as `vmad inspect --ask description` does, with
the object's name and nothing else. Metrics are shares from 0 to 1, null where the data does not
define them; those at the top are means over categories. docs/evaluation.md defines them all.

--out writes report.json, report.md, report.html, metrics.csv, images.csv, answers.csv and
answers.jsonl, with --mmad also mmad.csv and mmad.jsonl, and with --criteria criteria.csv.";

#[derive(Debug, Args)]
struct Settings {
    /// Side of the square on which maps are held against masks
    #[arg(long, value_name = "PIXELS", default_value_t = GRID_SIDE as u32,
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    grid: u32,
    /// Resamples for confidence intervals; 0 for none
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(0..=100_000))]
    bootstrap: u32,
    /// Seed of the resamples
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl Settings {
    fn options(&self) -> EvalOptions {
        EvalOptions {
            grid_side: self.grid as usize,
            bootstrap: (self.bootstrap > 0).then_some(Bootstrap {
                n_resamples: self.bootstrap as usize,
                seed: self.seed,
            }),
            ..EvalOptions::default()
        }
    }
}

/// Measure a model on labelled photographs
#[derive(Debug, Args)]
#[command(after_help = format!("{HELP}\n\n{DATA_HELP}"))]
pub(crate) struct EvalArgs {
    /// Folder of the model package, the one with model.json
    package: PathBuf,
    /// Folder of the data set
    data: PathBuf,
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Print one JSON object instead of Markdown tables
    #[arg(long)]
    json: bool,
    /// Write the report, its tables and every answer into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What to ask about each photograph: description, impact, suggestion, or a question. May be
    /// given several times: the first counts for the metrics, each further one is an inspection more
    #[arg(long, value_name = "WHAT", default_value = "description", value_parser = args::ask)]
    ask: Vec<Ask>,
    /// Also answer questions with choices, those of DATA/mmad.json or of another file in MMAD's
    /// layout
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    mmad: Option<Option<PathBuf>>,
    /// Also judge each defective photograph under three criteria: its kinds of defect forbidden, its
    /// kinds allowed, and another kind allowed
    #[arg(long, conflicts_with = "few_shot")]
    criteria: bool,
    /// How training and test data relate, for the report: cross-category, cross-dataset, …
    #[arg(long, value_name = "NAME", default_value = "not stated")]
    protocol: String,
    /// Photographs of good parts that the model compares with: those in FOLDER/CATEGORY or, where
    /// there is no such folder, in FOLDER; at most 16. This is not the zero-shot protocol
    #[arg(long, value_name = "FOLDER", conflicts_with = "mmad")]
    few_shot: Option<PathBuf>,
    /// Compare with the report.json of an earlier run
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// Which device computes
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceArg,
    #[command(flatten)]
    length: Length,
    #[command(flatten)]
    settings: Settings,
}

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
    let mut kept = Kept::default();
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
        &mut |record, seen| match args.out {
            Some(_) => kept.keep(data, record, seen),
            None => Ok(()),
        },
    )?;
    dataset.finish()?;
    report.provenance = Some(provenance);
    if let Some(mmad) = &questions {
        let (found, rows) = choices::answer(&mut engine, mmad, &stop)?;
        report.mmad = Some(found);
        kept.choices = rows;
    }
    if args.criteria {
        let (found, rows) = criteria::judge(&mut engine, data, &mut dataset, &stop)?;
        report.criteria = Some(found);
        kept.criteria = rows;
    }
    let comparison = reference.map(|reference| compare(&report, &reference));
    if let Some(folder) = &args.out {
        write(folder, &report, &kept, comparison.as_ref())?;
        eprintln!("The report is in {}.", folder.display());
    }
    if args.json {
        print(&format!("{}\n", encoded(&report)?))
    } else {
        print(&markdown(&report, comparison.as_ref()))
    }
}

/// How photographs are looked at and measured.
pub(crate) struct Plan<'a> {
    /// What is asked about each; the first counts for the metrics.
    pub ask: &'a [Ask],
    /// Length of the answers.
    pub length: Length,
    /// Grid and intervals.
    pub options: EvalOptions,
}

/// Category by category, so that only one category's maps are in memory. `keep` gets each photograph
/// when it has been looked at.
pub(crate) fn evaluate(
    plan: &Plan,
    engine: &mut Engine,
    dataset: &mut OpenDataset,
    few_shot: Option<&FewShot>,
    stop: &Stop,
    keep: &mut dyn FnMut(&Record, Seen) -> Result<()>,
) -> Result<Report> {
    let OpenDataset { records, loader } = dataset;
    records.sort_by(|a, b| a.category.cmp(&b.category));
    let mut inspector = Inspector::new(engine, plan.ask, plan.length, records);
    let mut accumulator = Accumulator::new(plan.options)?;
    let bar = progress::count(records.len() as u64, "photographs");
    for group in records.chunk_by(|a, b| a.category == b.category) {
        if let (Some(few_shot), Some(record)) = (few_shot, group.first()) {
            few_shot.show(inspector.engine(), &record.category)?;
        }
        for record in group {
            if stop.is_asked() {
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
            let seen = inspector
                .look(record, photo)
                .with_context(|| record.path.display().to_string())?;
            accumulator.add(record.category.as_str(), seen.result())?;
            keep(record, seen)?;
        }
        if let Some(record) = group.first() {
            accumulator.close(&record.category)?;
        }
    }
    bar.finish_and_clear();
    Ok(accumulator.finish()?)
}

/// Most bytes of a report that is read; one over thousands of categories has fewer.
const MAX_REPORT_BYTES: u64 = 64 << 20;

fn read_report(path: &Path) -> Result<Report> {
    let bytes = crate::files::read_at_most(path, MAX_REPORT_BYTES)?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is no report of `vmad eval --json`", path.display()))
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
    kept: &Kept,
    comparison: Option<&Comparison>,
) -> Result<()> {
    kept.write(folder)?;
    write_csv(&folder.join("metrics.csv"), &metrics_table(report))?;
    let page = html::page(report, kept, comparison)?;
    for (name, text) in [
        ("report.md", markdown(report, comparison)),
        ("report.html", page),
        ("report.json", encoded(report)? + "\n"),
    ] {
        write_whole(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}
