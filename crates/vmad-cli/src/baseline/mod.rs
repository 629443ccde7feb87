//! `vmad baseline`.

mod backbone;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use vmad_data::{LabelledPhoto, PhotoLoader, Record, Subset, read_dataset};
use vmad_eval::baseline::{Covariance, Padim, PatchCore, PatchGrid};
use vmad_eval::{Accumulator, EvalOptions, ImageResult, Mask, Report, ScoreMap};
use vmad_prep::{RgbImage, ScoreMode, image_score};

use crate::args::{DeviceArg, Usage};
use crate::dataset::{DATA_HELP, DatasetArgs, OpenDataset};
use crate::eval::truth;
use crate::interrupt::Stop;
use crate::progress;
use crate::text::print;
use backbone::{Backbone, Layer, Statistic};

const HELP: &str = "Example:
  vmad synth /tmp/unseen --seed 1 --count 400 --split unseen
  vmad synth /tmp/normal --seed 2 --count 400 --split unseen
  vmad baseline models/tiny /tmp/unseen --normal /tmp/normal --method patchcore

Prints the report of `vmad eval` for a detector without language: padim and patchcore know the good
photographs of the same category among those of --normal, as the package's encoders see them (of a
data set with training photographs these, so that DATA and DATA2 may be the same folder); the other
methods know nothing, and take of the package only the size at which it looks at a photograph.
Unlike the model itself, padim and patchcore are not zero-shot.";

/// Measure a plain detector on labelled photographs, to compare a model with
#[derive(Debug, Args)]
#[command(after_help = format!("{HELP}\n\n{DATA_HELP}"))]
pub(crate) struct BaselineArgs {
    /// Folder of the model package whose encoders give the features, the one with model.json
    package: PathBuf,
    /// Folder of the data set
    data: PathBuf,
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Detection method
    #[arg(long, value_enum)]
    method: Method,
    /// Folder of a data set whose photographs without a defect are the training set
    #[arg(long, value_name = "DATA2",
          required_if_eq_any([("method", "padim"), ("method", "patchcore")]))]
    normal: Option<PathBuf>,
    /// Features to compare
    #[arg(long, value_enum, default_value = "clip")]
    features: Layer,
    /// Maximum number of normal photographs per category [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    shots: Option<u32>,
    /// PaDiM: add this to each variance, as the paper does with 0.01, instead of Ledoit-Wolf
    #[arg(long, value_name = "X")]
    ridge: Option<f64>,
    /// PatchCore: share of the normal patches in the coreset
    #[arg(long, value_name = "X", default_value_t = 0.1)]
    coreset: f64,
    /// PatchCore: reweight the image score by this number of neighbours in the bank, eq. (7) of the paper
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "9",
          value_parser = clap::value_parser!(u32).range(2..))]
    reweight: Option<u32>,
    /// Print one JSON object instead of a Markdown table
    #[arg(long)]
    json: bool,
    /// Device for the features
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceArg,
}

/// Detection methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    /// A Gaussian of features at each place (Defard et al. 2021)
    Padim,
    /// The nearest of a bank of normal patches (Roth et al. 2022)
    Patchcore,
    /// Difference of two Gaussian blurs of the pixels
    Contrast,
    /// Distance of each pixel from the mean around it, in standard deviations
    Zscore,
    /// The patch-similarity prior, one of the model's inputs
    Prior,
}

impl Method {
    /// The map that a method computes from pixels; `None` if it uses features.
    fn statistic(self) -> Option<Statistic> {
        match self {
            Self::Padim | Self::Patchcore => None,
            Self::Contrast => Some(Statistic::Contrast),
            Self::Zscore => Some(Statistic::ZScore),
            Self::Prior => Some(Statistic::Prior),
        }
    }
}

/// PatchCore averages features over neighbours up to this many cells away.
const NEIGHBOURHOOD: usize = 1;

pub(crate) fn run(args: BaselineArgs) -> Result<()> {
    let mut dataset = args.dataset.open(&args.data)?;
    let normal = match (&args.normal, args.method.statistic()) {
        (Some(folder), None) => normal_records(folder, &dataset.records)?,
        (None, Some(_)) => Vec::new(),
        _ => {
            let message = "--normal belongs to the methods padim and patchcore, and only to them";
            return Err(Usage(message.to_owned()).into());
        }
    };
    let stop = Stop::listen()?;
    let mut backbone = match args.method.statistic() {
        Some(statistic) => Backbone::with_pixels(&args.package, statistic)?,
        None => Backbone::with_features(&args.package, args.device, args.features)?,
    };
    let report = measure(&mut backbone, &args, &mut dataset, &normal, &stop)?;
    dataset.finish()?;
    if args.json {
        let json = serde_json::to_string_pretty(&report).context("encoding the report")?;
        print(&format!("{json}\n"))
    } else {
        print(&report.to_markdown())
    }
}

/// The photographs that detectors are fitted to: the training photographs of a data set that has
/// such, otherwise all normal ones.
fn normal_records(folder: &Path, measured: &[Record]) -> Result<Vec<Record>> {
    let mut records = read_dataset(folder, None)?.records;
    let is_train = |record: &Record| record.part == Some(Subset::Train);
    if records.iter().any(is_train) {
        records.retain(is_train);
    }
    records.retain(|record| !record.is_defective);
    let place = |record: &Record| {
        let path = record.path.canonicalize();
        path.unwrap_or_else(|_| record.path.clone())
    };
    let measured: HashSet<PathBuf> = measured.iter().map(place).collect();
    if records
        .iter()
        .any(|record| measured.contains(&place(record)))
    {
        bail!("--normal must hold other photographs than those that are measured");
    }
    Ok(records)
}

/// Category by category, so that only one category's detector and maps are in memory.
fn measure(
    backbone: &mut Backbone,
    args: &BaselineArgs,
    dataset: &mut OpenDataset,
    normal: &[Record],
    stop: &Stop,
) -> Result<Report> {
    let OpenDataset { records, loader } = dataset;
    records.sort_by(|a, b| a.category.cmp(&b.category));
    let mut accumulator = Accumulator::new(EvalOptions::default())?;
    let bar = progress::count(records.len() as u64, "photographs");
    for group in records.chunk_by(|a, b| a.category == b.category) {
        let Some(first) = group.first() else { continue };
        let detector = {
            let good = normal
                .iter()
                .filter(|record| record.category == first.category);
            let fitted = Detector::fit(backbone, args, loader, good, stop);
            fitted
                .with_context(|| format!("fitting the detector of category {}", first.category))?
        };
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
            let (score, map) = detector
                .score(backbone, &photo.image)
                .with_context(|| record.path.display().to_string())?;
            let result = result(record, photo, score, map)?;
            accumulator.add(record.category.as_str(), result)?;
        }
        accumulator.close(&first.category)?;
    }
    bar.finish_and_clear();
    Ok(accumulator.finish()?)
}

/// A detector gives no answers; that is not the same as wrong answers.
fn result(record: &Record, photo: LabelledPhoto, score: f32, map: ScoreMap) -> Result<ImageResult> {
    Ok(ImageResult {
        score,
        map: Some(map),
        truth: truth(record, photo.mask.as_ref())?,
        mask: photo.mask.map(|mask| Mask {
            width: mask.width() as usize,
            height: mask.height() as usize,
            values: mask.iter().map(|value| *value != 0).collect(),
        }),
        answers: Vec::new(),
    })
}

/// A detector fitted to one category.
enum Detector {
    Padim(Padim),
    PatchCore(PatchCore, Option<usize>),
    Pixels,
}

impl Detector {
    /// Fits the detector to good photographs.
    fn fit<'r>(
        backbone: &mut Backbone,
        args: &BaselineArgs,
        loader: &mut PhotoLoader,
        good: impl Iterator<Item = &'r Record>,
        stop: &Stop,
    ) -> Result<Self> {
        if args.method.statistic().is_some() {
            return Ok(Self::Pixels);
        }
        let shots = args.shots.map_or(usize::MAX, |n| n as usize);
        let mut images = Vec::new();
        for record in good.take(shots) {
            if stop.is_requested() {
                bail!("stopped");
            }
            let Some(photo) = loader.load(record)? else {
                continue;
            };
            let features = backbone.features(&photo.image);
            images.push(features.with_context(|| record.path.display().to_string())?);
        }
        if args.method == Method::Padim {
            let covariance = args.ridge.map_or(Covariance::LedoitWolf, Covariance::Ridge);
            return Ok(Self::Padim(Padim::fit(&images, covariance)?));
        }
        let images: Vec<PatchGrid> = images
            .iter()
            .map(|image| image.neighbourhood_mean(NEIGHBOURHOOD))
            .collect();
        let core = PatchCore::fit(&images, args.coreset)?;
        Ok(Self::PatchCore(core, args.reweight.map(|n| n as usize)))
    }

    /// Score and map of a photograph. The score is the model's own reduction of a map, except for
    /// PatchCore's reweighted score.
    fn score(&self, backbone: &mut Backbone, image: &RgbImage) -> Result<(f32, ScoreMap)> {
        let (map, score) = match self {
            Self::Pixels => (backbone.statistic(image)?, None),
            Self::Padim(padim) => {
                let distances = padim.map(&backbone.features(image)?)?;
                (backbone.map_on_photo(&distances)?, None)
            }
            Self::PatchCore(core, neighbours) => {
                let features = backbone.features(image)?.neighbourhood_mean(NEIGHBOURHOOD);
                let verdict = core.judge(&features, *neighbours)?;
                let score = neighbours.map(|_| verdict.score);
                (backbone.map_on_photo(&verdict.map)?, score)
            }
        };
        let (width, height) = (map.width as u32, map.height as u32);
        let score = match score {
            Some(score) => score,
            None => image_score(&map.values, width, height, ScoreMode::Max)?,
        };
        Ok((score, map))
    }
}
