//! Finding the default thresholds of a package, and `vmad calibrate`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use vmad_data::{Generator, LabelledPhoto, Record, Sample, Scenes};
use vmad_engine::{CancelToken, Engine, Photo, Query};
use vmad_eval::{F1Max, f1_max};
use vmad_package::MANIFEST_FILE;
use vmad_prep::GrayImage;

use crate::args::DeviceArg;
use crate::dataset::{DATA_HELP, DatasetArgs, OpenDataset};
use crate::files::{read_manifest, write_whole};
use crate::interrupt::Stop;
use crate::session::{self, AnomalyMap};
use crate::{progress, text};

const HELP: &str = "Example:
  vmad synth /tmp/scenes --seed 9 --count 200
  vmad calibrate models/tiny /tmp/scenes

The thresholds with the best F1 are written into model.json: one for the score of a photograph, one
for the pixels of the map. Weights are not touched.";

/// Set a package's default thresholds from labelled photographs
#[derive(Debug, Args)]
#[command(after_help = format!("{HELP}\n\n{DATA_HELP}"))]
pub(crate) struct CalibrateArgs {
    /// Folder of the model package, the one with model.json
    package: PathBuf,
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Which device computes
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceArg,
}

/// A photograph whose defects are known.
pub(crate) struct Labelled {
    photo: Photo,
    object: String,
    /// Not 0 where there is a defect. Without it, only the photograph's score is looked at.
    mask: Option<GrayImage>,
    is_defective: bool,
}

impl Labelled {
    /// A scene of the generator.
    pub fn from_sample(sample: Sample) -> Self {
        Self {
            mask: Some(sample.mask()),
            is_defective: !sample.defects.is_empty(),
            object: sample.object,
            photo: Photo::Rgb(sample.image),
        }
    }

    /// A photograph of a data set on disk.
    pub fn from_record(record: &Record, photo: LabelledPhoto) -> Self {
        Self {
            photo: Photo::Rgb(photo.image),
            object: record.object.clone(),
            mask: photo.mask,
            is_defective: record.is_defective,
        }
    }
}

/// What a calibration found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calibration {
    image: F1Max,
    pixel: F1Max,
    n_images: usize,
}

pub(crate) fn run(args: CalibrateArgs) -> Result<()> {
    let mut dataset = args.dataset.open()?;
    let stop = Stop::listen()?;
    let mut engine = session::open(&args.package, args.device, &CancelToken::new())?;
    let OpenDataset { records, loader } = &mut dataset;
    let scenes = loader.iter(records.iter()).map(|loaded| {
        let (record, photo) = loaded?;
        Ok(Labelled::from_record(record, photo))
    });
    let found = calibrate(&mut engine, scenes, records.len(), &stop);
    dataset.finish()?;
    let found = found?;
    let source = format!(
        "best F1 over {} photographs of {}",
        found.n_images,
        folder_name(&args.dataset.data)
    );
    write_thresholds(&args.package, &found, source)?;
    report(&found);
    Ok(())
}

/// The last part of a path: the rest says something about the machine only.
pub(crate) fn folder_name(path: &Path) -> String {
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    full.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Sets the thresholds of a package from scenes of the training categories that training did not
/// draw: another seed.
pub(crate) fn calibrate_on_scenes(
    package: &Path,
    generator: &Generator,
    seed: u64,
    n_scenes: u64,
    device: DeviceArg,
    stop: &Stop,
) -> Result<()> {
    let mut engine = session::open(package, device, &CancelToken::new())?;
    let scenes = (0..n_scenes).map(|index| Ok(Labelled::from_sample(generator.sample(index))));
    let found = calibrate(&mut engine, scenes, n_scenes as usize, stop)?;
    let source = format!(
        "best F1 over {n_scenes} synthetic scenes, split {}, seed {seed}, {} px",
        generator.split().name(),
        generator.size()
    );
    write_thresholds(package, &found, source)?;
    report(&found);
    Ok(())
}

/// Inspects every scene and finds the thresholds with the best F1.
fn calibrate(
    engine: &mut Engine,
    scenes: impl Iterator<Item = Result<Labelled>>,
    n_scenes: usize,
    stop: &Stop,
) -> Result<Calibration> {
    let bar = progress::count(n_scenes as u64, "calibrating");
    let (mut scores, mut labels) = (Vec::new(), Vec::new());
    let (mut pixel_scores, mut pixel_labels) = (Vec::new(), Vec::new());
    for scene in scenes {
        if stop.is_asked() {
            bail!("stopped after {} of {n_scenes} photographs", scores.len());
        }
        let scene = scene?;
        let query = Query {
            object: Some(scene.object),
            ..Query::default()
        };
        let events = engine.inspect(scene.photo, query, &CancelToken::new());
        let (map, verdict) =
            session::finish(events).with_context(|| format!("photograph {}", scores.len()))?;
        scores.push(verdict.score);
        labels.push(scene.is_defective);
        for (score, label) in scene.mask.iter().flat_map(|mask| sampled(&map, mask)) {
            pixel_scores.push(score);
            pixel_labels.push(label);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let one_class = "thresholds need photographs with a defect and others without";
    Ok(Calibration {
        image: f1_max(&scores, &labels)?.context(one_class)?,
        pixel: f1_max(&pixel_scores, &pixel_labels)?.context(one_class)?,
        n_images: scores.len(),
    })
}

/// Map values and labels are taken on a grid of at most this side: pixels beside each other say
/// nearly the same.
const SAMPLE_SIDE: u32 = 64;

/// Map value and label at the centres of a grid over the photograph.
fn sampled(map: &AnomalyMap, mask: &GrayImage) -> Vec<(f32, bool)> {
    let n_columns = SAMPLE_SIDE.min(map.width);
    let n_rows = SAMPLE_SIDE.min(map.height);
    let centre = |i: u32, n: u32, len: u32| {
        let at = (u64::from(i) * 2 + 1) * u64::from(len) / (u64::from(n) * 2);
        u32::try_from(at).unwrap_or(u32::MAX)
    };
    let mut pairs = Vec::with_capacity((n_columns * n_rows) as usize);
    for row in 0..n_rows {
        for column in 0..n_columns {
            let x = centre(column, n_columns, map.width) as usize;
            let y = centre(row, n_rows, map.height) as usize;
            let in_mask = mask.get_pixel_checked(
                centre(column, n_columns, mask.width()),
                centre(row, n_rows, mask.height()),
            );
            let value = map.values.get(y * map.width as usize + x);
            if let (Some(value), Some(label)) = (value, in_mask) {
                pairs.push((*value, label.0[0] != 0));
            }
        }
    }
    pairs
}

/// Writes the thresholds into `model.json`.
fn write_thresholds(package: &Path, found: &Calibration, source: String) -> Result<()> {
    let mut manifest = read_manifest(package)?;
    let threshold = &mut manifest.meta.threshold;
    threshold.image = found.image.threshold;
    // The metric counts pixels that reach its threshold, the mask those above it.
    threshold.pixel = found.pixel.threshold.next_down();
    threshold.source = source;
    write_whole(&package.join(MANIFEST_FILE), &manifest.to_json()?)
}

fn report(found: &Calibration) {
    let Calibration {
        image,
        pixel,
        n_images,
    } = found;
    let line = format!(
        "thresholds from {n_images} photographs: image {} (F1 {:.3}), pixel {} (F1 {:.3})",
        image.threshold, image.f1, pixel.threshold, pixel.f1
    );
    eprintln!("{}", text::plain(&line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_lie_at_the_same_place_in_map_and_mask() {
        let map = AnomalyMap {
            width: 2,
            height: 1,
            values: vec![0.25, 0.75],
        };
        let mut mask = GrayImage::new(4, 2);
        for (x, y) in [(2, 0), (3, 0), (2, 1), (3, 1)] {
            mask.put_pixel(x, y, [255].into());
        }
        assert_eq!(sampled(&map, &mask), [(0.25, false), (0.75, true)]);
    }

    #[test]
    fn large_maps_are_thinned_out() {
        let (width, height) = (300, 200);
        let map = AnomalyMap {
            width,
            height,
            values: vec![0.5; 60_000],
        };
        let pairs = sampled(&map, &GrayImage::new(width, height));
        assert_eq!(pairs.len(), 64 * 64);
    }
}
