//! `vmad train`.

mod watch;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::ProgressBar;
use vmad_data::{Generator, Split};
use vmad_kernels::Device;
use vmad_package::Threshold;
use vmad_train::{ExportOptions, Losses, Part, StepReport, TrainConfig, Trainer};

use crate::args::DeviceArg;
use crate::calibrate::calibrate_on_scenes;
use crate::files::{copy_package, write_whole};
use crate::interrupt::Stop;
use crate::{progress, session, text};
use watch::Watch;

const HELP: &str = "Example:
  vmad train models/tiny.toml --run runs/tiny --package models/tiny

The run's folder keeps checkpoints, losses.csv with losses.svg, and, renewed at each checkpoint, what
the model makes of scenes that it does not learn from: samples.png and validation.csv. Ctrl-C saves a checkpoint and ends; the same
command goes on from there, exactly as if it had not been stopped. After the last step the package
is written, and its thresholds are set from scenes that training did not draw.";

/// Train a model from nothing on synthetic scenes, and write it as a package
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct TrainArgs {
    /// The run's configuration, such as models/tiny.toml
    pub config: PathBuf,
    /// Folder of the run: new, or one to go on with
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
    /// Folder of the package; files that are not part of a package stay
    #[arg(long, value_name = "OUT")]
    pub package: PathBuf,
    /// Which device computes
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceArg,
    /// Train with LibTorch's CPU kernels
    #[cfg(feature = "libtorch")]
    #[arg(long, conflicts_with = "device")]
    pub libtorch: bool,
    /// Save and end after this many steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps_now: Option<u64>,
    /// Scenes from which the thresholds are set; 0 leaves them at 0.5
    #[arg(long, value_name = "N", default_value_t = 800)]
    pub calibrate: u64,
    /// Write the package from the newest checkpoint without training
    #[arg(long, conflicts_with = "steps_now")]
    pub export_only: bool,
}

/// Steps between two lines where no bar can be drawn.
const STEPS_PER_LINE: u64 = 25;
/// Side of the scenes that set the thresholds, in pixels.
const SCENE_SIZE: u32 = 256;
/// From the run's seed to that of the scenes that set the thresholds.
const SEED_OFFSET: u64 = 1_000_003;

pub(crate) fn run(args: TrainArgs) -> Result<()> {
    let stop = Stop::listen()?;
    if let Standing::Stopped { step, steps } = perform(&args, &stop)? {
        eprintln!("stopped at step {step} of {steps}; the same command goes on");
    }
    Ok(())
}

/// Where a run stands when [`perform`] is done with it.
pub(crate) enum Standing {
    /// All steps are taken and the package is written.
    Published {
        /// Seconds spent in all sessions of the run.
        seconds: f64,
    },
    /// There is a checkpoint, and steps are left.
    Stopped { step: u64, steps: u64 },
}

/// Starts a run or goes on with it, and publishes it once all steps are taken.
pub(crate) fn perform(args: &TrainArgs, stop: &Stop) -> Result<Standing> {
    let config = TrainConfig::read(&args.config)?;
    if args.export_only && !args.run.join("progress.json").is_file() {
        bail!("{} holds no checkpoint", args.run.display());
    }
    let device = device(args)?.autodiff();
    let spinner = progress::spinner("opening the run");
    let trainer = Trainer::open(config, &args.run, device);
    spinner.finish_and_clear();
    let mut trainer = trainer?;
    if !args.export_only {
        train(&mut trainer, args, stop)?;
        if !trainer.is_done() {
            return Ok(Standing::Stopped {
                step: trainer.step_count(),
                steps: trainer.config().steps,
            });
        }
    }
    let seconds = trainer.seconds();
    publish(trainer, args, stop)?;
    Ok(Standing::Published { seconds })
}

/// Where the run computes.
fn device(args: &TrainArgs) -> Result<Device> {
    #[cfg(feature = "libtorch")]
    if args.libtorch {
        return Ok(vmad_kernels::libtorch_device());
    }
    Ok(session::device(args.device)?.device)
}

/// Steps until the run is done, enough steps were taken or Ctrl-C comes; what was done is saved.
fn train(trainer: &mut Trainer, args: &TrainArgs, stop: &Stop) -> Result<()> {
    if trainer.is_done() {
        return Ok(());
    }
    let log_path = args.run.join("losses.csv");
    let mut log = LossLog::open(&log_path, trainer.step_count())?;
    let bar = progress::steps(trainer.config().steps);
    bar.set_position(trainer.step_count());
    // Steps of earlier sessions say nothing about this one's speed.
    bar.reset_eta();
    let mut news = News::new(bar);
    let last_now = args
        .steps_now
        .map_or(u64::MAX, |n| trainer.step_count().saturating_add(n));
    std::thread::spawn(trainer.render_ahead());
    let watch = Watch::new(trainer, &args.run)?;
    let mut is_saved = true;
    while !trainer.is_done() && trainer.step_count() < last_now && !stop.is_asked() {
        let report = trainer.step()?;
        is_saved = false;
        log.add(&report, trainer.seconds())?;
        news.tell(&report);
        if trainer.checkpoint_due() {
            trainer.save()?;
            is_saved = true;
            let line = watch.look(trainer, &log_path)?;
            news.say(&format!("step {}  {line}", report.step));
        }
    }
    if !is_saved {
        trainer.save()?;
    }
    news.bar.finish_and_clear();
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
fn publish(trainer: Trainer, args: &TrainArgs, stop: &Stop) -> Result<()> {
    let staging = args.run.join("package");
    if staging.exists() {
        let context = || format!("removing {}", staging.display());
        fs::remove_dir_all(&staging).with_context(context)?;
    }
    let options = export_options(trainer.config(), trainer.step_count());
    trainer.export(&options, &staging)?;
    let seed = trainer.config().seed.wrapping_add(SEED_OFFSET);
    // The optimiser's memory is not needed any more.
    drop(trainer);
    if args.calibrate > 0 {
        let generator = Generator::new(seed, Split::Train, SCENE_SIZE);
        calibrate_on_scenes(
            &staging,
            &generator,
            seed,
            args.calibrate,
            args.device,
            stop,
        )
        .context("the thresholds are not set; repeat it with --export-only")?;
    }
    copy_package(&staging, &args.package)?;
    eprintln!("package in {}", args.package.display());
    Ok(())
}

/// What the package says about itself. No time or place is in it: the same run gives the same
/// bytes.
fn export_options(config: &TrainConfig, step: u64) -> ExportOptions {
    let start = match &config.start {
        Some(start) if start.fresh.is_empty() => format!("{}", start.package.display()),
        Some(start) => format!(
            "{}, but for {}",
            start.package.display(),
            start.fresh.join(", ")
        ),
        None => "random weights".to_owned(),
    };
    let provenance = [
        ("start", start),
        (
            "software",
            concat!("vmad ", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        (
            "data",
            format!(
                "vmad synth, split train, seed {}, {} scenes",
                config.seed, config.data.pool
            ),
        ),
        ("steps", format!("{step} of {}", config.steps)),
        ("batch", config.batch.to_string()),
        ("seed", config.seed.to_string()),
    ];
    ExportOptions {
        description: "Trained from nothing on synthetic scenes of 16 product categories."
            .to_owned(),
        provenance: provenance
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
        threshold: Threshold {
            image: 0.5,
            pixel: 0.5,
            temperature: 1.0,
            source: "not calibrated".to_owned(),
        },
    }
}

/// Losses for people: the mean over the last steps.
struct News {
    bar: ProgressBar,
    /// Smoothed.
    mean: Option<[f32; Part::ALL.len()]>,
    since: Instant,
    n_steps: u64,
}

/// Share of the newest step in the mean.
const NEWEST: f32 = 0.05;

impl News {
    fn new(bar: ProgressBar) -> Self {
        Self {
            bar,
            mean: None,
            since: Instant::now(),
            n_steps: 0,
        }
    }

    /// A line of its own, above the bar.
    fn say(&self, line: &str) {
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    fn tell(&mut self, report: &StepReport) {
        let now = Part::ALL.map(|part| report.losses.part(part));
        let mean = self.mean.get_or_insert(now);
        for (mean, now) in mean.iter_mut().zip(now) {
            *mean += NEWEST * (now - *mean);
        }
        self.n_steps += 1;
        let parts = Part::ALL.iter().zip(mean);
        // A part that a stage does not have stays 0.
        let parts = parts.filter(|(_, mean)| **mean != 0.0);
        let parts = parts.map(|(part, mean)| format!("{} {mean:.4}  ", part.name()));
        let line = format!(
            "{}rate {:.2e}  {} a step",
            parts.collect::<String>(),
            report.learning_rate,
            text::duration(self.since.elapsed().as_secs_f64() * 1e3 / self.n_steps as f64)
        );
        if self.bar.is_hidden() && (self.n_steps == 1 || report.step.is_multiple_of(STEPS_PER_LINE))
        {
            eprintln!("step {}  {line}", report.step);
        }
        self.bar.set_position(report.step);
        self.bar.set_message(line);
    }
}

/// The columns of the log.
fn log_head() -> String {
    let parts = Part::ALL.map(Part::name).join(",");
    format!("step,total,{parts},learning_rate,seconds\n")
}

/// The values of a line's middle columns.
fn log_losses(losses: &Losses) -> String {
    let parts = Part::ALL.map(|part| losses.part(part).to_string());
    format!("{},{}", losses.total, parts.join(","))
}

/// One line a step. Steps after the checkpoint that a run goes on from are taken again, so their
/// old lines go.
struct LossLog {
    path: PathBuf,
    file: File,
}

impl LossLog {
    fn open(path: &Path, step: u64) -> Result<Self> {
        let context = || path.display().to_string();
        let old = match fs::read_to_string(path) {
            Ok(old) => old,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(context),
        };
        write_whole(path, kept_lines(&old, step).as_bytes())?;
        let file = OpenOptions::new().append(true).open(path);
        Ok(Self {
            path: path.to_owned(),
            file: file.with_context(context)?,
        })
    }

    fn add(&mut self, report: &StepReport, seconds: f64) -> Result<()> {
        writeln!(
            self.file,
            "{},{},{},{seconds:.1}",
            report.step,
            log_losses(&report.losses),
            report.learning_rate,
        )
        .with_context(|| format!("writing {}", self.path.display()))
    }
}

/// The head and the whole lines of steps up to `step`.
fn kept_lines(log: &str, step: u64) -> String {
    let is_kept = |line: &&str| {
        let number = line
            .split(',')
            .next()
            .and_then(|field| field.parse::<u64>().ok());
        line.ends_with('\n') && number.is_some_and(|number| number <= step)
    };
    let mut kept = log_head();
    kept.extend(log.split_inclusive('\n').filter(is_kept));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_log_has_each_step_once() {
        let head = log_head();
        let log = format!("{head}1,a\n2,b\n3,c\n4,d");
        assert_eq!(kept_lines(&log, 2), format!("{head}1,a\n2,b\n"));
        assert_eq!(kept_lines(&log, 9), format!("{head}1,a\n2,b\n3,c\n"));
        assert_eq!(kept_lines("", 0), head);
    }
}
