//! All runs of a plan, one after the other.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use vmad_train::{Plan, PlannedRun};

use super::run::{Compute, RunOutcome, TrainRun};
use crate::args::Usage;
use crate::interrupt::Stop;

/// How a plan is trained.
pub(super) struct PlanRun<'a> {
    /// Folder of the runs.
    pub runs: &'a Path,
    pub compute: Compute,
    /// Steps after which to save and end.
    pub steps_now: Option<u64>,
}

impl PlanRun<'_> {
    /// Trains the plan's runs, or the one called `only`, until they are finished, `steps_now` steps are taken or
    /// Ctrl-C comes.
    pub fn train(&self, plan: &Plan, only: Option<&str>, stop: &Stop) -> Result<()> {
        if let Some(name) = only {
            plan.run(name).map_err(Usage)?;
        }
        let n_runs = plan.runs.len();
        for (index, planned) in plan.runs.iter().enumerate() {
            let name = &planned.config.name;
            if only.is_some_and(|only| only != name) {
                continue;
            }
            let run = self.train_run(planned);
            let title = format!("run {} of {n_runs}: {name}", index + 1);
            if run.is_published()? {
                eprintln!("{title}: finished");
                continue;
            }
            eprintln!("{title}");
            match run.perform(stop).with_context(|| title.clone())? {
                RunOutcome::Published { .. } => {}
                RunOutcome::Stopped { step, steps } => {
                    eprintln!(
                        "{title}: stopped at step {step} of {steps}; the same command resumes it"
                    );
                    return Ok(());
                }
            }
            if stop.is_requested() {
                eprintln!("stopped; the same command goes on with the next run");
                return Ok(());
            }
        }
        Ok(())
    }

    fn train_run(&self, planned: &PlannedRun) -> TrainRun {
        let folder: PathBuf = self.runs.join(&planned.config.name);
        TrainRun {
            config: planned.config.clone(),
            package: match &planned.package {
                Some(package) => package.clone(),
                None => folder.join("package"),
            },
            folder,
            compute: self.compute,
            steps_now: self.steps_now,
            calibrate: planned.calibrate,
            export_only: false,
        }
    }
}
