//! `vmad reproduce`.

mod matrix;
mod measure;
mod run_result;
mod tables;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use vmad_data::write_dataset;
use vmad_train::TrainConfig;

use crate::args::Usage;
use crate::bench::machine;
use crate::files::{create_folder, write_whole};
use crate::interrupt::Stop;
use crate::progress;
use crate::text::{plain, print};
use crate::train::{Compute, RunOutcome, TrainRun};
use matrix::{Evaluation, Matrix, Run};
use measure::{measure, time};
use run_result::RunResult;

const HELP: &str = "Example:
  vmad reproduce models/reproduce.toml --out runs/reproduce
  vmad reproduce models/reproduce.toml --out runs/reproduce --only ltc_dssl --only mlp --seeds 1

Trains every variant of the matrix under every seed, measures each on the same held-out scenes, and
prints the matrix's tables beside the paper's figures. Ctrl-C saves and ends; the same command
continues, and skips finished runs. OUT holds a folder for each run (config.toml, which
`vmad train` takes as well, the run and its package), results.json and tables.md. Paths in the matrix
and in its base are taken from where the command runs. docs/reproduction.md has the results.";

/// Train and measure a matrix of configurations, for tables as the paper's III and IV
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ReproduceArgs {
    /// The matrix, such as models/reproduce.toml
    config: PathBuf,
    /// Folder of all runs: new, or that of an interrupted matrix
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Run only this variant; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Seeds of each variant, counted from 1
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Steps of each run [default: the matrix's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Do not train: measure the speed of all finished runs again, on an idle machine
    #[arg(long)]
    time: bool,
    #[command(flatten)]
    compute: Compute,
}

/// The head of results.json.
#[derive(Serialize)]
struct Results<'a> {
    software: &'static str,
    machine: String,
    base: &'a Path,
}

pub(crate) fn run(args: ReproduceArgs) -> Result<()> {
    let matrix = Matrix::read(&args.config)?;
    let is_known = |name: &&String| matrix.variants.iter().any(|v| v.name == **name);
    if let Some(name) = args.only.iter().find(|name| !is_known(name)) {
        let names: Vec<&str> = matrix.variants.iter().map(|v| v.name.as_str()).collect();
        let message = format!("there is no variant {name}; there are {}", names.join(", "));
        return Err(Usage(message).into());
    }
    let runs = matrix.runs(args.seeds, args.steps)?;
    let stop = Stop::listen()?;
    let runner = Runner {
        out: &args.out,
        evaluation: &matrix.evaluation,
        compute: args.compute,
        stop: &stop,
    };
    let (mut results, mut pending) = runner.finished_and_pending(&runs, &args.only)?;
    if args.time {
        pending.clear();
        runner.measure_speed(&mut results)?;
    }
    if !pending.is_empty() {
        runner.render_scenes()?;
    }
    for (index, run) in pending.iter().enumerate() {
        let left = time_left(&results, pending.len() - index);
        eprintln!(
            "run {} of {}: {}{left}",
            index + 1,
            pending.len(),
            run.name()
        );
        match runner.train_and_measure(run) {
            Ok(Some(result)) => results.push(result),
            Ok(None) => break,
            Err(_) if stop.is_requested() => break,
            Err(error) => return Err(error.context(format!("run {}", run.name()))),
        }
        // In the order of the matrix, however often the work was interrupted.
        let place = |r: &RunResult| {
            let is_its = |run: &Run| (&run.variant, run.seed) == (&r.variant, r.seed);
            runs.iter().position(is_its)
        };
        results.sort_by_key(place);
        write_results(&args.out, &matrix, &results)?;
    }
    if stop.is_requested() {
        eprintln!("stopped; the same command continues");
    }
    // Also without a new run: the rows of the matrix may have changed.
    write_results(&args.out, &matrix, &results)?;
    print(&plain(&tables::markdown(&matrix, &results)))
}

/// Writes results.json and tables.md. Each run's result.json goes into the former as it stands:
/// numbers that were read and written again would not keep their last digits.
fn write_results(out: &Path, matrix: &Matrix, runs: &[RunResult]) -> Result<()> {
    create_folder(out)?;
    let texts = runs.iter().map(|run| {
        let path = out.join("runs").join(run.name()).join("result.json");
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    });
    let texts = texts.collect::<Result<Vec<String>>>()?;
    let head = Results {
        software: concat!("vmad ", env!("CARGO_PKG_VERSION")),
        machine: machine(),
        base: &matrix.base,
    };
    let head = serde_json::to_string(&head).context("encoding the results")?;
    let json = format!(
        "{{{},\"runs\":[\n{}\n]}}\n",
        head.trim_matches(['{', '}']),
        texts.join(",\n")
    );
    write_whole(&out.join("results.json"), json.as_bytes())?;
    let text = tables::markdown(matrix, runs);
    write_whole(&out.join("tables.md"), text.as_bytes())
}

/// Estimated time of the pending runs, from the mean of the finished ones.
fn time_left(results: &[RunResult], n_left: usize) -> String {
    if results.is_empty() {
        return String::new();
    }
    let seconds: f64 = results.iter().map(|result| result.seconds).sum();
    let seconds = seconds / results.len() as f64 * n_left as f64;
    // Whole minutes; the estimate is no more precise.
    let minutes = Duration::from_secs((seconds / 60.0).ceil() as u64 * 60);
    format!(" (about {} left)", indicatif::HumanDuration(minutes))
}

/// Trains and measures runs, and finds finished ones.
struct Runner<'a> {
    out: &'a Path,
    evaluation: &'a Evaluation,
    compute: Compute,
    stop: &'a Stop,
}

impl Runner<'_> {
    fn folder(&self, run: &Run) -> PathBuf {
        self.out.join("runs").join(run.name())
    }

    fn scenes(&self) -> PathBuf {
        self.out.join("evaluation")
    }

    /// Results of finished runs, and the runs that are still to do.
    fn finished_and_pending<'r>(
        &self,
        runs: &'r [Run],
        only: &[String],
    ) -> Result<(Vec<RunResult>, Vec<&'r Run>)> {
        let (mut results, mut pending) = (Vec::new(), Vec::new());
        for run in runs {
            self.check_config(run)?;
            match self.result(run)? {
                Some(result) => results.push(result),
                None if only.is_empty() || only.contains(&run.variant) => pending.push(run),
                None => {}
            }
        }
        Ok((results, pending))
    }

    /// Fails if the run's folder was made with another configuration.
    fn check_config(&self, run: &Run) -> Result<()> {
        let path = self.folder(run).join("config.toml");
        match fs::read_to_string(&path) {
            Ok(kept) if kept == run.config => Ok(()),
            Ok(_) => bail!(
                "{}: this run was made with another configuration: remove its folder, or give \
                 another --out",
                path.display()
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// The result of a run, if it was measured on these scenes.
    fn result(&self, run: &Run) -> Result<Option<RunResult>> {
        let path = self.folder(run).join("result.json");
        let json = match fs::read(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let result: RunResult = serde_json::from_slice(&json).with_context(|| {
            format!(
                "{}: remove this file, and the run is measured again",
                path.display()
            )
        })?;
        Ok((result.evaluation == *self.evaluation).then_some(result))
    }

    /// Writes the evaluation scenes, unless they exist.
    fn render_scenes(&self) -> Result<()> {
        let folder = self.scenes();
        let label = folder.join("evaluation.json");
        let wanted = serde_json::to_vec_pretty(self.evaluation).context("encoding the scenes")?;
        if fs::read(&label).is_ok_and(|kept| kept == wanted) {
            return Ok(());
        }
        create_folder(&folder)?;
        let bar = progress::count(self.evaluation.count, "scenes");
        let scenes = self.evaluation.scenes();
        write_dataset(
            &folder,
            scenes.as_ref(),
            self.evaluation.count,
            &mut |done, _| {
                bar.set_position(done);
                if self.stop.is_requested() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        )?;
        bar.finish_and_clear();
        // Written last, so that an interrupted rendering starts again.
        write_whole(&label, &wanted)
    }

    /// Trains a run to its end and measures it. Returns `None` if it was stopped.
    fn train_and_measure(&self, run: &Run) -> Result<Option<RunResult>> {
        let folder = self.folder(run);
        create_folder(&folder)?;
        let config = folder.join("config.toml");
        write_whole(&config, run.config.as_bytes())?;
        let training = TrainRun {
            config: TrainConfig::read(&config)?,
            folder: folder.join("run"),
            package: folder.join("package"),
            compute: self.compute,
            steps_now: None,
            // Thresholds do not enter the figures.
            calibrate: 0,
            export_only: false,
        };
        let seconds = match training.perform(self.stop)? {
            RunOutcome::Published { seconds } => seconds,
            RunOutcome::Stopped { .. } => return Ok(None),
        };
        let measured = measure(
            &training.package,
            &self.scenes(),
            self.evaluation.timed,
            self.compute.device,
            self.stop,
        )?;
        let result = RunResult {
            variant: run.variant.clone(),
            seed: run.seed,
            seconds,
            evaluation: self.evaluation.clone(),
            measured,
        };
        write_result(&folder, &result)?;
        Ok(Some(result))
    }

    /// Measures the speed of finished runs again, until Ctrl-C.
    fn measure_speed(&self, results: &mut [RunResult]) -> Result<()> {
        let bar = progress::count(results.len() as u64, "runs");
        for result in results {
            let folder = self.out.join("runs").join(result.name());
            let package = folder.join("package");
            let n_timed = self.evaluation.timed;
            match time(
                &package,
                &self.scenes(),
                n_timed,
                self.compute.device,
                self.stop,
            ) {
                Ok(speed) => result.measured.speed = speed,
                Err(_) if self.stop.is_requested() => break,
                Err(error) => return Err(error.context(package.display().to_string())),
            }
            write_result(&folder, result)?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }
}

fn write_result(folder: &Path, result: &RunResult) -> Result<()> {
    let json = serde_json::to_vec_pretty(result).context("encoding the result")?;
    write_whole(&folder.join("result.json"), &json)
}
