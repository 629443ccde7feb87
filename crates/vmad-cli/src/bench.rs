//! `vmad bench`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use vmad_engine::{Ask, CancelToken, Query, Stage};

use crate::args::{AnswerLength, DeviceArg, PartArgs};
use crate::files::read_photo;
use crate::text::{duration, plain, print};
use crate::{progress, session};

const HELP: &str = "Example:
  vmad bench models/tiny photo.jpg --runs 9

The first inspection is a warm-up and not counted. The answer is a description.";

/// Time an inspection stage by stage
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct BenchArgs {
    /// Folder of the model package, the one with model.json
    package: PathBuf,
    /// The photograph
    image: PathBuf,
    /// Inspections that are timed
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    #[command(flatten)]
    part: PartArgs,
    /// Device to compute on
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceArg,
    #[command(flatten)]
    length: AnswerLength,
}

pub(crate) fn run(args: BenchArgs) -> Result<()> {
    let photo = read_photo(&args.image)?;
    let mut engine = session::open(&args.package, args.device, &CancelToken::new())?;
    let query = Query {
        object: args.part.object,
        normal: args.part.normal,
        ask: Ask::Description,
        generation: args.length.generation(None),
        ..Query::default()
    };
    let bar = progress::count(u64::from(args.runs) + 1, "runs");
    let mut timings = Vec::new();
    for _ in 0..=args.runs {
        let events = engine.inspect(photo.clone(), query.clone(), &CancelToken::new());
        let (_, verdict) =
            session::finish(events).with_context(|| args.image.display().to_string())?;
        timings.push(verdict.timings);
        bar.inc(1);
    }
    bar.finish_and_clear();
    timings.remove(0);

    let loading: f64 = engine.report().loading.iter().map(|(_, ms)| ms).sum();
    let mut text = format!(
        "{}, {}, median of {} runs; {}\n\n| Stage | {} |\n|---|---:|\n",
        args.package.display(),
        args.image.display(),
        args.runs,
        machine(),
        engine.device().kind
    );
    for (name, ms) in rows(&timings) {
        text.push_str(&format!("| {name} | {} |\n", duration(ms)));
    }
    text.push_str(&format!(
        "| opening the package | {} |\n",
        duration(loading)
    ));
    print(&plain(&text))
}

/// The median of each stage in the order of the first run, then that of the sum.
fn rows(timings: &[Vec<(Stage, f64)>]) -> Vec<(String, f64)> {
    let mut stages: Vec<Stage> = Vec::new();
    for (stage, _) in timings.iter().flatten() {
        if !stages.contains(stage) {
            stages.push(*stage);
        }
    }
    let sum = |run: &[(Stage, f64)], wanted: Option<Stage>| -> f64 {
        run.iter()
            .filter(|(stage, _)| wanted.is_none_or(|wanted| wanted == *stage))
            .map(|(_, ms)| ms)
            .sum()
    };
    let over_runs = |wanted| median(timings.iter().map(|run| sum(run, wanted)).collect());
    let mut rows: Vec<_> = stages
        .iter()
        .map(|stage| (stage.to_string(), over_runs(Some(*stage))))
        .collect();
    rows.push(("**inspection in all**".to_owned(), over_runs(None)));
    rows
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2).copied().unwrap_or(0.0);
    let lower = values.get(values.len().saturating_sub(1) / 2);
    (upper + lower.copied().unwrap_or(0.0)) / 2.0
}

/// The processor's name and its threads.
pub(crate) fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .filter(|line| line.starts_with("model name"))
        .find_map(|line| line.split_once(':'))
        .map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{name}, {n_threads} threads, {}", std::env::consts::OS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (values, expected) in [
            (vec![3.0], 3.0),
            (vec![4.0, 1.0], 2.5),
            (vec![9.0, 1.0, 5.0], 5.0),
            (vec![], 0.0),
        ] {
            assert_eq!(median(values), expected);
        }
    }

    #[test]
    fn a_stage_that_runs_twice_counts_once() {
        let runs = [
            vec![(Stage::Clip, 1.0), (Stage::Mask, 2.0), (Stage::Mask, 3.0)],
            vec![(Stage::Clip, 3.0), (Stage::Mask, 1.0)],
        ];
        assert_eq!(
            rows(&runs),
            [
                ("clip".to_owned(), 2.0),
                ("mask".to_owned(), 3.0),
                ("**inspection in all**".to_owned(), 5.0)
            ]
        );
    }
}
