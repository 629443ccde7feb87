//! `vmad train`.

mod loss_log;
mod plan;
mod provenance;
mod run;
mod step_printer;
mod strip;
mod validation;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use vmad_train::{Plan, TrainConfig};

use crate::args::Usage;
use crate::interrupt::Stop;
pub(crate) use run::{Compute, RunOutcome, TrainRun};

const HELP: &str = "Examples:
  vmad train --plan models/tiny/runs.toml
  vmad train --plan models/tiny/runs.toml --only tiny-clip-close
  vmad train config.toml --run runs/mine --package models/mine

A plan's runs are trained in their order, each in runs/NAME; finished ones are skipped. A run's folder keeps
checkpoints, losses.csv with losses.svg, and, renewed at each checkpoint, the predictions for held-out scenes:
samples.png and validation.csv. Ctrl-C saves a checkpoint and ends; the same command resumes the run exactly.
After the last step the package is written; its thresholds are set on scenes that training did not use.";

/// Train a model on generated scenes or data sets, and write it as a package
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct TrainArgs {
    /// The configuration of one run
    #[arg(required_unless_present_any = ["plan", "strip"], conflicts_with = "plan")]
    config: Option<PathBuf>,
    /// A plan of several runs, such as models/tiny/runs.toml
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Train only this run of the plan
    #[arg(long, value_name = "RUN", requires = "plan")]
    only: Option<String>,
    /// Folder of a plan's runs; a plan's [run.start] names their packages as runs/NAME/package
    #[arg(
        long,
        value_name = "DIR",
        default_value = "runs",
        conflicts_with = "config"
    )]
    runs: PathBuf,
    /// Folder of the run: new, or one to resume
    #[arg(long, value_name = "DIR", conflicts_with = "plan", required_unless_present_any = ["plan", "strip"])]
    run: Option<PathBuf>,
    /// Folder of the package; files that are not part of a package stay
    #[arg(long, value_name = "OUT", required_unless_present = "plan")]
    package: Option<PathBuf>,
    #[command(flatten)]
    compute: Compute,
    /// Save and end after this many steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps_now: Option<u64>,
    /// Scenes that the thresholds are set on; 0 leaves them at 0.5. A plan has its own numbers
    #[arg(long, value_name = "N", default_value_t = 800, conflicts_with = "plan")]
    calibrate: u64,
    /// Write the package from the newest checkpoint without training
    #[arg(long, conflicts_with_all = ["steps_now", "plan"])]
    export_only: bool,
    /// Train nothing: copy from a finished package of the run only what it has learned, for models/checkpoints
    #[arg(long, value_name = "PACKAGE", requires = "package", conflicts_with_all = ["run", "steps_now", "export_only"])]
    strip: Option<PathBuf>,
    /// With --strip: the tensors that the run has learned, where no configuration says so; may be repeated
    #[arg(long, value_name = "PATTERN", requires = "strip")]
    learned: Vec<String>,
    /// With --strip: a package that holds other tensors; may be repeated
    #[arg(long, value_name = "PATTERN=PACKAGE", requires = "strip")]
    base: Vec<String>,
}

pub(crate) fn run(args: TrainArgs) -> Result<()> {
    let plan = args.plan.as_deref().map(Plan::read).transpose()?;
    if let Some(package) = &args.strip {
        let run = match (&plan, &args.only, &args.config) {
            (Some(plan), Some(name), _) => Some(plan.run(name).map_err(Usage)?.config.clone()),
            (_, _, Some(config)) => Some(TrainConfig::read(config)?),
            _ => None,
        };
        let out = args.package.as_deref().context("--strip needs --package")?;
        return strip::strip(package, run.as_ref(), &args.learned, &args.base, out);
    }
    let stop = Stop::listen()?;
    if let Some(plan) = plan {
        let plan_run = plan::PlanRun {
            runs: &args.runs,
            compute: args.compute,
            steps_now: args.steps_now,
        };
        return plan_run.train(&plan, args.only.as_deref(), &stop);
    }
    let (Some(config), Some(run), Some(package)) = (args.config, args.run, args.package) else {
        return Err(Usage("a configuration needs --run and --package".to_owned()).into());
    };
    let run = TrainRun {
        config: TrainConfig::read(&config)?,
        folder: run,
        package,
        compute: args.compute,
        steps_now: args.steps_now,
        calibrate: args.calibrate,
        export_only: args.export_only,
    };
    if let RunOutcome::Stopped { step, steps } = run.perform(&stop)? {
        eprintln!("stopped at step {step} of {steps}; the same command resumes the run");
    }
    Ok(())
}
