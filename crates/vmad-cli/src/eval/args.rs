//! The arguments of `vmad eval`.

use std::path::PathBuf;

use clap::Args;
use vmad_engine::Ask;
use vmad_eval::{Bootstrap, EvalOptions, GRID_SIDE};

use crate::args::{self, AnswerLength, DeviceArg};
use crate::dataset::{DATA_HELP, DatasetArgs};

const HELP: &str = "Example:
  vmad synth /tmp/unseen --seed 1 --count 400 --split unseen
  vmad eval models/tiny /tmp/unseen --json
  vmad eval models/tiny mvtec_anomaly_detection --on-bad-image skip
  vmad eval models/tiny /tmp/unseen --mmad --out report
  vmad eval models/tiny mvtec_anomaly_detection --few-shot good-parts --json

Inspects every photograph as `vmad inspect --ask description` does, with the name of the object only.
Metrics are shares from 0 to 1, null if the data does not define them; those at the top are means
over categories. docs/evaluation.md defines them all.

--out writes report.json, report.md, report.html, metrics.csv, images.csv, answers.csv and
answers.jsonl, with --mmad also mmad.csv and mmad.jsonl, and with --criteria criteria.csv.";

#[derive(Debug, Args)]
pub(super) struct Settings {
    /// Side of the square grid on which maps are compared with masks
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
    pub fn options(&self) -> EvalOptions {
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
    pub(super) package: PathBuf,
    /// Folder of the data set
    pub(super) data: PathBuf,
    #[command(flatten)]
    pub(super) dataset: DatasetArgs,
    /// Print one JSON object instead of Markdown tables
    #[arg(long)]
    pub(super) json: bool,
    /// Write the report, its tables and every answer into this folder
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Question about each photograph: description, impact, suggestion, or free text. May be given
    /// several times: the metrics use the first, each further one costs another inspection
    #[arg(long, value_name = "WHAT", default_value = "description", value_parser = args::parse_ask)]
    pub(super) ask: Vec<Ask>,
    /// Also answer multiple-choice questions, from DATA/mmad.json or from another file in MMAD's
    /// layout
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub(super) mmad: Option<Option<PathBuf>>,
    /// Also judge each defective photograph under three criteria: its kinds of defect forbidden, its
    /// kinds allowed, and another kind allowed
    #[arg(long, conflicts_with = "few_shot")]
    pub(super) criteria: bool,
    /// Relation of training and test data, for the report: cross-category, cross-dataset, …
    #[arg(long, value_name = "NAME", default_value = "not stated")]
    pub(super) protocol: String,
    /// Reference photographs of good parts: FOLDER/CATEGORY if that folder exists, otherwise FOLDER;
    /// at most 16. This is not the zero-shot protocol
    #[arg(long, value_name = "FOLDER", conflicts_with = "mmad")]
    pub(super) few_shot: Option<PathBuf>,
    /// Compare with the report.json of an earlier run
    #[arg(long, value_name = "FILE")]
    pub(super) reference: Option<PathBuf>,
    /// Device to compute on
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) device: DeviceArg,
    #[command(flatten)]
    pub(super) length: AnswerLength,
    #[command(flatten)]
    pub(super) settings: Settings,
}
