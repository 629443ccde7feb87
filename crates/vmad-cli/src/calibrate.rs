//! Thresholds from photographs, and `vmad calibrate`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::{StreamExt, stream};
use vmad_data::{Generator, OnBadImage, Record, Sample, Scenes};
use vmad_engine::{
    Calibration, CalibrationEvent, CalibrationOptions, CalibrationPhoto, CancelToken, Engine,
    EngineError, Label, Photo, ThresholdMethod,
};
use vmad_package::MANIFEST_FILE;

use crate::args::{self, DeviceArg, Usage};
use crate::dataset::{DATA_HELP, DatasetArgs};
use crate::files::{photographs_in, read_manifest, read_photo, write_whole};
use crate::interrupt::Stop;
use crate::text::{plain, print_line};
use crate::thresholds::{ObjectThreshold, ThresholdFile};
use crate::{progress, session};

const HELP: &str = "Examples:
  vmad synth /tmp/scenes --seed 9 --count 200
  vmad calibrate models/tiny /tmp/scenes
  vmad calibrate models/tiny /tmp/scenes --per-category --write thresholds.json
  vmad calibrate models/tiny --normal good-bolts --object bolt --quantile 0.98 --write thresholds.json
  vmad inspect models/tiny photo.jpg --object bolt --thresholds thresholds.json

The thresholds with the best F1 are written into model.json: one for the score of a photograph, one for
the pixels of the map. Weights are not touched. With --per-category each category gets its own, and
they go into the file that --write names, under the names of the objects.

With --normal no labels are needed. Of further good parts the share --quantile stays below the
threshold, if they are like those on the photographs; a share q takes q / (1 - q) photographs, so
0.95 takes 19. With fewer a warning says what they promise. --write adds the thresholds to a file.

A photograph that cannot be used is named and left out.";

/// Set thresholds from labelled photographs, or from photographs of good parts
#[derive(Debug, Args)]
#[command(after_help = format!("{HELP}\n\n{DATA_HELP}"))]
pub(crate) struct CalibrateArgs {
    /// Folder of the model package, the one with model.json
    package: PathBuf,
    /// Folder of the data set
    #[arg(required_unless_present = "normal", conflicts_with = "normal")]
    data: Option<PathBuf>,
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Folder with photographs of good parts, in place of DATA
    #[arg(long, value_name = "FOLDER")]
    normal: Option<PathBuf>,
    /// Name of the object on these photographs, e.g. "bolt"
    #[arg(long, value_name = "NAME", conflicts_with = "data")]
    object: Option<String>,
    /// Description of a good part, as for `vmad inspect --normal`
    #[arg(long, value_name = "TEXT", conflicts_with = "data")]
    normal_text: Option<String>,
    /// Share of good parts that must pass, if no photograph shows a defect
    #[arg(long, value_name = "Q", default_value_t = 0.95, value_parser = args::inner_share)]
    quantile: f64,
    /// Thresholds for each category, into the file that --write names
    #[arg(long, requires = "write", conflicts_with = "normal")]
    per_category: bool,
    /// File that the thresholds are added to, by the name of the object
    #[arg(long, value_name = "FILE.json")]
    write: Option<PathBuf>,
    /// Device to compute on
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceArg,
}

/// A scene of the generator.
fn of_sample(index: u64, sample: Sample) -> CalibrationPhoto {
    CalibrationPhoto {
        name: format!("scene {index}"),
        label: if sample.defects.is_empty() {
            Label::Good
        } else {
            Label::Marked(sample.mask())
        },
        object: Some(sample.object),
        photo: Ok(Photo::Rgb(sample.image)),
    }
}

/// A photograph of a data set on disk.
fn of_record(record: &Record) -> CalibrationPhoto {
    let mut label = Label::Good;
    let photo = match record.load() {
        Ok(loaded) => {
            if record.is_defective {
                label = loaded.mask.map_or(Label::Defective, Label::Marked);
            }
            Ok(Photo::Rgb(loaded.image))
        }
        Err(error) => Err(EngineError::Unreadable {
            reason: error.to_string(),
        }),
    };
    CalibrationPhoto {
        name: record.path.display().to_string(),
        photo,
        label,
        object: Some(record.object.clone()),
    }
}

fn of_good_part(path: &Path) -> CalibrationPhoto {
    let photo = read_photo(path).map(Photo::File);
    CalibrationPhoto {
        name: path.display().to_string(),
        photo: photo.map_err(|error| EngineError::Unreadable {
            reason: error.root_cause().to_string(),
        }),
        label: Label::Good,
        object: None,
    }
}

pub(crate) fn run(args: CalibrateArgs) -> Result<()> {
    match (&args.data, &args.normal) {
        (Some(data), _) if args.per_category => each_category(&args, data),
        (Some(data), _) => whole_package(&args, data),
        (None, Some(folder)) => good_parts(&args, folder),
        (None, None) => Err(Usage("give DATA, or a folder with --normal".to_owned()).into()),
    }
}

/// One pair of thresholds for everything, into the package.
fn whole_package(args: &CalibrateArgs, data: &Path) -> Result<()> {
    if args.write.is_some() {
        let message = "--write goes with --normal or --per-category; without them the thresholds \
                       are written into model.json";
        return Err(Usage(message.to_owned()).into());
    }
    let records = args.dataset.open(data)?.records;
    let run = args.calibration_run()?;
    let mut engine = session::open(&args.package, args.device, &CancelToken::new())?;
    let photos = records.iter().map(of_record);
    let found = run.calibrate(&mut engine, photos, records.len(), args.options())?;
    let source = source(&found, &folder_name(data));
    report("thresholds", &found)?;
    write_thresholds(&args.package, &found, source)
}

/// Thresholds for each category of a data set, under the names of its objects.
fn each_category(args: &CalibrateArgs, data: &Path) -> Result<()> {
    let records = args.dataset.open(data)?.records;
    let mut categories: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in &records {
        categories.entry(&record.category).or_default().push(record);
    }
    let run = args.calibration_run()?;
    let mut engine = session::open(&args.package, args.device, &CancelToken::new())?;
    let mut file = ThresholdFile::new(&engine.manifest().meta.name);
    for (category, records) in categories {
        let photos = records.iter().map(|record| of_record(record));
        let found = run.calibrate(&mut engine, photos, records.len(), args.options());
        let found = match found {
            Err(error) if lacks_good_parts(&error) => {
                eprintln!("left out: {}", plain(&format!("{category}: {error:#}")));
                continue;
            }
            found => found.with_context(|| format!("category {category:?}"))?,
        };
        let source = source(&found, &format!("{category} in {}", folder_name(data)));
        report(category, &found)?;
        let objects: BTreeSet<&str> = records
            .iter()
            .map(|record| record.object.as_str())
            .collect();
        for object in objects {
            file.set(object, ObjectThreshold::new(&found, source.clone()));
        }
    }
    args.write.as_ref().map_or(Ok(()), |path| file.write(path))
}

fn lacks_good_parts(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref();
    error.is_some_and(|error| matches!(error, EngineError::NoGoodPart { .. }))
}

/// Thresholds from good parts only.
fn good_parts(args: &CalibrateArgs, folder: &Path) -> Result<()> {
    let mut paths = photographs_in(folder)?;
    paths.truncate(args.dataset.limit.map_or(usize::MAX, |n| n as usize));
    let model = read_manifest(&args.package)?.meta.name;
    // Read first, so that an unusable file fails before the calibration.
    let write = args.write.as_ref();
    let file =
        write.map(|path| Ok::<_, anyhow::Error>((path, ThresholdFile::read_or_new(path, &model)?)));
    let file = file.transpose()?;
    // A folder of good parts may hold other files, too.
    let run = CalibrationRun {
        stop: Stop::listen()?,
        on_bad_image: OnBadImage::Skip,
    };
    let mut engine = session::open(&args.package, args.device, &CancelToken::new())?;
    let photos = paths.iter().map(|path| of_good_part(path));
    let found = run.calibrate(&mut engine, photos, paths.len(), args.options())?;
    let object = args.object.as_deref().unwrap_or_default();
    report(
        if object.is_empty() {
            "thresholds"
        } else {
            object
        },
        &found,
    )?;
    let Some((path, mut file)) = file else {
        return Ok(());
    };
    let source = source(&found, &folder_name(folder));
    file.set(object, ObjectThreshold::new(&found, source));
    file.write(path)
}

impl CalibrateArgs {
    fn calibration_run(&self) -> Result<CalibrationRun> {
        Ok(CalibrationRun {
            stop: Stop::listen()?,
            on_bad_image: self.dataset.on_bad_image,
        })
    }

    fn options(&self) -> CalibrationOptions {
        CalibrationOptions {
            object: self.object.clone(),
            normal: self.normal_text.clone(),
            quantile: self.quantile,
        }
    }
}

/// The last part of a path; the rest depends on the machine.
pub(crate) fn folder_name(path: &Path) -> String {
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    full.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Sets the thresholds of a package from scenes of the training categories, under a seed that training
/// does not use.
pub(crate) fn calibrate_on_scenes(
    package: &Path,
    generator: &Generator,
    seed: u64,
    n_scenes: u64,
    device: DeviceArg,
    stop: &Stop,
) -> Result<()> {
    let run = CalibrationRun {
        stop: stop.clone(),
        on_bad_image: OnBadImage::Fail,
    };
    let mut engine = session::open(package, device, &CancelToken::new())?;
    let photos = (0..n_scenes).map(|index| of_sample(index, generator.sample(index)));
    let options = CalibrationOptions::default();
    let found = run.calibrate(&mut engine, photos, n_scenes as usize, options)?;
    let source = format!(
        "best F1 over {n_scenes} synthetic scenes, split {}, seed {seed}, {} px",
        generator.split().name(),
        generator.size()
    );
    report("thresholds", &found)?;
    write_thresholds(package, &found, source)
}

/// How a calibration reacts to Ctrl-C and to unreadable photographs.
struct CalibrationRun {
    stop: Stop,
    on_bad_image: OnBadImage,
}

impl CalibrationRun {
    /// Runs a calibration to its end.
    fn calibrate(
        &self,
        engine: &mut Engine,
        photos: impl Iterator<Item = CalibrationPhoto>,
        n_photos: usize,
        options: CalibrationOptions,
    ) -> Result<Calibration> {
        let bar = progress::count(n_photos as u64, "calibrating");
        let cancel = CancelToken::new();
        let mut events = engine.calibrate(stream::iter(photos), options, &cancel);
        let mut found = None;
        while let Some(event) = pollster::block_on(events.next()) {
            if self.stop.is_requested() {
                cancel.cancel();
            }
            match event? {
                CalibrationEvent::Scored(_) => bar.inc(1),
                CalibrationEvent::Skipped { name, message, .. } => match self.on_bad_image {
                    OnBadImage::Fail => bail!("{name}: {message}"),
                    OnBadImage::Skip => {
                        bar.inc(1);
                        let line = plain(&format!("{name}: {message}"));
                        bar.suspend(|| eprintln!("left out: {line}"));
                    }
                },
                CalibrationEvent::Calibration(calibration) => found = Some(calibration),
                CalibrationEvent::Done { .. } => {}
            }
        }
        let n_done = bar.position();
        bar.finish_and_clear();
        match found {
            Some(found) => Ok(found),
            None => bail!("stopped after {n_done} of {n_photos} photographs"),
        }
    }
}

/// Describes how the thresholds were found.
fn source(found: &Calibration, data: &str) -> String {
    let n = found.n_good + found.n_defective;
    match found.image.method {
        ThresholdMethod::F1 { .. } => format!("best F1 over {n} photographs of {data}"),
        ThresholdMethod::Quantile { promised, .. } => {
            format!("quantile {promised:.4} of {n} photographs of good parts, {data}")
        }
    }
}

/// Writes the thresholds into `model.json`.
fn write_thresholds(package: &Path, found: &Calibration, source: String) -> Result<()> {
    let mut manifest = read_manifest(package)?;
    let threshold = &mut manifest.meta.threshold;
    threshold.image = found.image.threshold;
    threshold.pixel = found.pixel.threshold;
    threshold.source = source;
    write_whole(&package.join(MANIFEST_FILE), &manifest.to_json()?)
}

/// Prints the thresholds and their guarantee; warns if that is less than `--quantile`.
fn report(title: &str, found: &Calibration) -> Result<()> {
    let Calibration {
        image,
        pixel,
        n_good,
        n_defective,
        n_skipped,
        ..
    } = found;
    if let ThresholdMethod::Quantile {
        requested,
        promised,
        n_needed,
    } = image.method
        && promised < requested
    {
        eprintln!(
            "warning: {n_good} photographs of good parts are too few for the quantile {requested}, \
             which needs {n_needed}; they promise {promised:.3}"
        );
    }
    let how = |method: ThresholdMethod| match method {
        ThresholdMethod::F1 { f1 } => format!("F1 {f1:.3}"),
        ThresholdMethod::Quantile { promised, .. } => {
            format!("at most {:.1} % of good parts", 100.0 * (1.0 - promised))
        }
    };
    let line = format!(
        "{title}: image {} ({}), pixel {} ({}); {n_good} good, {n_defective} defective, \
         {n_skipped} left out",
        image.threshold,
        how(image.method),
        pixel.threshold,
        how(pixel.method),
    );
    print_line(&plain(&line))
}
