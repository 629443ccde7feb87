//! One run: train, export, calibrate.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use vmad_data::{Generator, Split};
use vmad_kernels::Device;
use vmad_train::{TrainConfig, Trainer};

use super::loss_log::LossLog;
use super::provenance::export_options;
use super::step_printer::StepPrinter;
use super::validation::Validation;
use crate::args::DeviceArg;
use crate::calibrate::calibrate_on_scenes;
use crate::files::{copy_package, write_whole};
use crate::interrupt::Stop;
use crate::{progress, session, text};

/// Side of the scenes that set the thresholds, in pixels.
const SCENE_SIZE: u32 = 256;
/// Offset from the run's seed to that of the scenes that set the thresholds.
const SEED_OFFSET: u64 = 1_000_003;
/// A file in the run's folder that names the package, written last.
const PUBLISHED_FILE: &str = "published.txt";

/// Where a run computes.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Compute {
    /// Which device computes
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceArg,
    /// Train with LibTorch's CPU kernels
    #[cfg(feature = "libtorch")]
    #[arg(long, conflicts_with = "device")]
    pub libtorch: bool,
}

impl Compute {
    fn device(self) -> Result<Device> {
        #[cfg(feature = "libtorch")]
        if self.libtorch {
            return Ok(vmad_kernels::libtorch_device());
        }
        Ok(session::device(self.device)?.device)
    }
}

/// A run with its folders.
pub(crate) struct TrainRun {
    pub config: TrainConfig,
    /// Folder of checkpoints and logs.
    pub folder: PathBuf,
    /// Folder of the finished package.
    pub package: PathBuf,
    pub compute: Compute,
    /// Steps after which to save and end.
    pub steps_now: Option<u64>,
    /// Scenes that set the thresholds; 0 for none.
    pub calibrate: u64,
    /// Exports the newest checkpoint without training.
    pub export_only: bool,
}

/// The state of a run after [`TrainRun::perform`].
pub(crate) enum RunOutcome {
    /// All steps are taken and the package is written.
    Published {
        /// Seconds spent in all sessions of the run.
        seconds: f64,
    },
    /// There is a checkpoint, and steps are left.
    Stopped { step: u64, steps: u64 },
}

impl TrainRun {
    /// Starts or resumes the run, and writes its package once all steps are taken.
    pub fn perform(&self, stop: &Stop) -> Result<RunOutcome> {
        if self.export_only && !self.folder.join("progress.json").is_file() {
            bail!("{} holds no checkpoint", self.folder.display());
        }
        let device = self.compute.device()?.autodiff();
        let spinner = progress::spinner("opening the run");
        let trainer = Trainer::open(self.config.clone(), &self.folder, device);
        spinner.finish_and_clear();
        let mut trainer = trainer?;
        if !self.export_only {
            self.train(&mut trainer, stop)?;
            if !trainer.is_done() {
                return Ok(RunOutcome::Stopped {
                    step: trainer.step_count(),
                    steps: self.config.steps,
                });
            }
        }
        let seconds = trainer.seconds();
        self.publish(trainer, stop)?;
        Ok(RunOutcome::Published { seconds })
    }

    /// Returns whether the run was finished with this configuration.
    pub fn is_published(&self) -> Result<bool> {
        if !self.folder.join(PUBLISHED_FILE).is_file() {
            return Ok(false);
        }
        let path = self.folder.join("run.toml");
        if TrainConfig::read(&path)? != self.config {
            bail!(
                "{}: this run was made with another configuration; remove its folder to train it anew",
                path.display()
            );
        }
        Ok(true)
    }

    /// Steps until the run is done, enough steps are taken or Ctrl-C comes; the last step is saved.
    fn train(&self, trainer: &mut Trainer, stop: &Stop) -> Result<()> {
        if trainer.is_done() {
            return Ok(());
        }
        let log_path = self.folder.join("losses.csv");
        let mut log = LossLog::open(&log_path, trainer.step_count())?;
        let bar = progress::steps(self.config.steps);
        bar.set_position(trainer.step_count());
        // Steps of earlier sessions do not count for this one's speed.
        bar.reset_eta();
        let mut printer = StepPrinter::new(bar);
        let last_now = self
            .steps_now
            .map_or(u64::MAX, |n| trainer.step_count().saturating_add(n));
        std::thread::spawn(trainer.render_ahead());
        let validation = Validation::new(trainer, &self.folder)?;
        let mut is_saved = true;
        while !trainer.is_done() && trainer.step_count() < last_now && !stop.is_requested() {
            let report = trainer.step()?;
            is_saved = false;
            log.add(&report, trainer.seconds())?;
            printer.print_step(&report);
            if trainer.checkpoint_due() {
                trainer.save()?;
                is_saved = true;
                let line = validation.write(trainer, &log_path)?;
                printer.print_line(&format!("step {}  {line}", report.step));
            }
        }
        if !is_saved {
            trainer.save()?;
        }
        printer.finish();
        let skipped = trainer.skipped();
        if !skipped.is_empty() {
            eprintln!("photographs left out: {}", skipped.len());
            for (path, why) in skipped {
                eprintln!("  {}", text::plain(&format!("{path}: {why}")));
            }
        }
        Ok(())
    }

    /// Writes the package: first in the run's folder, where it is calibrated, then in its own.
    fn publish(&self, trainer: Trainer, stop: &Stop) -> Result<()> {
        let staging = self.folder.join("package");
        if staging.exists() {
            let context = || format!("removing {}", staging.display());
            fs::remove_dir_all(&staging).with_context(context)?;
        }
        let options = export_options(&self.config, trainer.step_count());
        trainer.export(&options, &staging)?;
        // The optimiser's memory is not needed any more.
        drop(trainer);
        if self.calibrate > 0 {
            let seed = self.config.seed.wrapping_add(SEED_OFFSET);
            let generator = Generator::new(seed, Split::Train, SCENE_SIZE);
            let device = self.compute.device;
            calibrate_on_scenes(&staging, &generator, seed, self.calibrate, device, stop)
                .context("the thresholds are not set; repeat the command")?;
        }
        copy_package(&staging, &self.package)?;
        let line = format!("{}\n", self.package.display());
        write_whole(&self.folder.join(PUBLISHED_FILE), line.as_bytes())?;
        eprintln!("package in {}", self.package.display());
        Ok(())
    }
}
