//! `vmad inspect`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use vmad_engine::{
    AnomalyMap, Ask, CancelToken, Engine, EngineError, Event, Inspection, Query, Region, Stage,
};
use vmad_prep::overlay::{encode_png, heatmap_rgb, mask_gray, overlay_rgb};
use vmad_prep::{Limits, decode};

use crate::args::{self, AnswerLength, DeviceArg, PartArgs, Usage};
use crate::files::{create_folder, read_photo, write_whole};
use crate::session;
use crate::text::{duration, plain, print_line};
use crate::thresholds::{ObjectThreshold, ThresholdFile};
use crate::{progress, references, trace};

const HELP: &str = "Examples:
  vmad inspect models/tiny photo.jpg
  vmad inspect models/tiny bolts/*.png --object bolt --out results
  vmad inspect models/tiny photo.jpg --ask impact
  vmad inspect models/tiny photo.jpg --ask \"Can the part still be used?\" --json
  vmad inspect models/tiny photo.jpg --object bolt --thresholds thresholds.json
  vmad inspect models/tiny photo.jpg --reference good-1.jpg good-2.jpg

--out writes NAME.mask.png, NAME.heatmap.png, NAME.overlay.png and NAME.json for the photograph
NAME.*; a second photograph of the same name becomes NAME-2. --json prints one JSON object per line
and photograph. If a photograph cannot be read, the error goes to standard error, the others are
inspected, and the exit status is 1. Otherwise it is 0, whatever the verdict.";

/// Inspect photographs: score, mask, and an answer in words
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct InspectArgs {
    /// Folder of the model package, the one with model.json
    package: PathBuf,
    /// Photographs: PNG, JPEG, WebP, BMP or TIFF
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    #[command(flatten)]
    part: PartArgs,
    /// What to answer in words, beside mask and score: one of the three, or a question
    #[arg(long, value_name = "description|impact|suggestion|TEXT", value_parser = args::parse_ask)]
    ask: Option<Ask>,
    /// Device to compute on
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceArg,
    #[command(flatten)]
    length: AnswerLength,
    /// Image score at or above which a part is anomalous [default: the package's]
    #[arg(long, value_name = "X", value_parser = args::finite, allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// Thresholds file written by `vmad calibrate --write`; the entry of --object is used
    #[arg(long, value_name = "FILE.json", conflicts_with = "threshold")]
    thresholds: Option<PathBuf>,
    /// Photographs of good parts, taken under the same conditions, to compare IMAGE with, at most 16;
    /// give them after the IMAGEs. Only for models with similarity_prompt. Thresholds calibrated
    /// without references are not valid with them
    #[arg(long = "reference", value_name = "GOOD", num_args = 1..)]
    references: Vec<PathBuf>,
    /// Folder for masks, heat maps, overlays and results
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON object for each photograph
    #[arg(long)]
    json: bool,
    /// Write every intermediate tensor of the pass (one photograph only)
    #[arg(long, value_name = "FILE.safetensors")]
    trace: Option<PathBuf>,
}

/// The result for one photograph.
#[derive(Serialize)]
struct Record<'a> {
    image: String,
    width: u32,
    height: u32,
    score: f32,
    threshold: f32,
    anomalous: bool,
    map_threshold: f32,
    regions: &'a [Region],
    answer: &'a str,
    seg_produced: bool,
    device: &'a str,
    /// Number of reference photographs.
    #[serde(skip_serializing_if = "is_zero")]
    n_references: usize,
    /// Stage and milliseconds.
    timings: &'a [(Stage, f64)],
}

impl<'a> Record<'a> {
    fn new(image: &Path, map: &AnomalyMap, verdict: &'a Inspection, n_references: usize) -> Self {
        Self {
            image: image.display().to_string(),
            width: map.width,
            height: map.height,
            score: verdict.score,
            threshold: verdict.threshold,
            anomalous: verdict.anomalous,
            map_threshold: verdict.map_threshold,
            regions: &verdict.regions,
            answer: &verdict.answer,
            seg_produced: verdict.seg_produced,
            device: &verdict.device,
            n_references,
            timings: &verdict.timings,
        }
    }
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

pub(crate) fn run(args: InspectArgs) -> Result<()> {
    if args.trace.is_some() && args.images.len() != 1 {
        let message = "--trace holds one pass: give exactly one IMAGE".to_owned();
        return Err(Usage(message).into());
    }
    if let Some(out) = &args.out {
        create_folder(out)?;
    }
    let mut engine = session::open(&args.package, args.device, &CancelToken::new())?;
    let own = own_thresholds(&args, &engine)?;
    references::set(&mut engine, &args.references)?;
    let names = output_names(&args.images);
    let mut n_failed = 0;
    for (image, name) in args.images.iter().zip(&names) {
        match inspect(&mut engine, &args, own.as_ref(), image, name) {
            Ok(()) => {}
            Err(error) if concerns_all(&error) => return Err(error),
            Err(error) => {
                eprintln!("error: {}", plain(&format!("{error:#}")));
                n_failed += 1;
            }
        }
    }
    match (n_failed, args.images.len()) {
        (0, _) => Ok(()),
        (failed, all) => bail!("{failed} of {all} photographs failed"),
    }
}

/// The thresholds of `--object` from `--thresholds`, if given.
fn own_thresholds(args: &InspectArgs, engine: &Engine) -> Result<Option<ObjectThreshold>> {
    let Some(path) = &args.thresholds else {
        return Ok(None);
    };
    let file = ThresholdFile::read(path, &engine.manifest().meta.name)?;
    let found = file.get(args.part.object.as_deref());
    let found = found.with_context(|| path.display().to_string())?;
    Ok(Some(found.clone()))
}

/// True if every other photograph would fail in the same way.
fn concerns_all(error: &anyhow::Error) -> bool {
    let about_query = |error: &EngineError| {
        error.is_fatal()
            || matches!(
                error.code(),
                "bad-query" | "question-empty" | "question-too-long"
            )
    };
    crate::text::is_broken_pipe(error) || error.downcast_ref().is_some_and(about_query)
}

fn inspect(
    engine: &mut Engine,
    args: &InspectArgs,
    own: Option<&ObjectThreshold>,
    image: &Path,
    name: &str,
) -> Result<()> {
    let file = read_photo(image)?;
    let query = Query {
        object: args.part.object.clone(),
        normal: args.part.normal.clone(),
        ask: args.ask.clone().unwrap_or_default(),
        generation: args.length.generation(None),
        threshold: args.threshold.or(own.map(|own| own.image)),
        map_threshold: own.map(|own| own.pixel),
    };
    if args.trace.is_some() {
        engine.start_trace();
    }
    let spinner = progress::spinner("");
    let show = |event: &Event| {
        if let Event::Progress { stage, .. } = event {
            spinner.set_message(format!("{}: {stage}", image.display()));
        }
        Ok(())
    };
    let photo = args.out.is_some().then(|| file.clone());
    let outcome = session::follow(engine.inspect(file, query, &CancelToken::new()), show);
    spinner.finish_and_clear();
    let (map, verdict) = outcome
        .and_then(|outcome| Ok(outcome.complete()?))
        .with_context(|| image.display().to_string())?;

    if let (Some(path), Some(tensors)) = (&args.trace, engine.take_trace()) {
        trace::write(path, &tensors)?;
    }
    let record = Record::new(image, &map, &verdict, engine.n_references());
    if let (Some(out), Some(photo)) = (&args.out, photo) {
        write_results(out, name, &photo, &map, &record)?;
    }
    if args.json {
        print_line(&serde_json::to_string(&record).context("encoding the result")?)
    } else {
        print_line(&plain(&summary(&record, &engine.device().to_string())))
    }
}

fn write_results(
    out: &Path,
    name: &str,
    photo: &[u8],
    map: &AnomalyMap,
    record: &Record<'_>,
) -> Result<()> {
    let AnomalyMap {
        width,
        height,
        values,
    } = map;
    let (width, height, threshold) = (*width, *height, record.map_threshold);
    let photo = decode(photo, &Limits::default())?;
    let mut json = serde_json::to_vec_pretty(record).context("encoding the result")?;
    json.push(b'\n');
    let mask = encode_png(&mask_gray(values, width, height, threshold)?)?;
    let heatmap = encode_png(&heatmap_rgb(values, width, height)?)?;
    let overlay = encode_png(&overlay_rgb(&photo, values, threshold)?)?;
    for (kind, bytes) in [
        ("mask.png", mask),
        ("heatmap.png", heatmap),
        ("overlay.png", overlay),
        ("json", json),
    ] {
        write_whole(&out.join(format!("{name}.{kind}")), &bytes)?;
    }
    Ok(())
}

/// A unique name for each photograph's results.
fn output_names(images: &[PathBuf]) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut names = Vec::with_capacity(images.len());
    for image in images {
        let stem = image.file_stem().unwrap_or_default().to_string_lossy();
        let mut name = stem.to_string();
        let mut n = 1;
        // Compared without case: some file systems ignore it.
        while !taken.insert(name.to_lowercase()) {
            n += 1;
            name = format!("{stem}-{n}");
        }
        names.push(name);
    }
    names
}

/// Maximum number of regions in the summary.
const SHOWN_REGIONS: usize = 5;

fn summary(record: &Record<'_>, device: &str) -> String {
    let Record {
        image,
        width,
        height,
        score,
        threshold,
        ..
    } = record;
    let verdict = if record.anomalous { "NOT OK" } else { "OK" };
    let mut lines = vec![
        format!("{image} ({width}×{height})"),
        format!("  verdict  {verdict}: score {score:.3}, threshold {threshold:.3}"),
        format!("  regions  {}", regions(record.regions)),
    ];
    if !record.answer.is_empty() {
        lines.push(format!("  answer   {}", record.answer.trim()));
    }
    if !record.seg_produced {
        lines.push(
            "  note     the model did not generate [SEG]; the mask is that of the forced prompt"
                .to_owned(),
        );
    }
    match record.n_references {
        0 => {}
        1 => lines.push("  compared with 1 reference photograph".to_owned()),
        n => lines.push(format!("  compared with {n} reference photographs")),
    }
    let total: f64 = record.timings.iter().map(|(_, ms)| ms).sum();
    let stages: Vec<String> = record
        .timings
        .iter()
        .map(|(stage, ms)| format!("{stage} {}", duration(*ms)))
        .collect();
    lines.push(format!("  device   {device}"));
    lines.push(format!(
        "  time     {} ({})",
        duration(total),
        stages.join(", ")
    ));
    lines.join("\n")
}

fn regions(regions: &[Region]) -> String {
    let shown: Vec<String> = regions
        .iter()
        .take(SHOWN_REGIONS)
        .map(|region| {
            format!(
                "{}×{} at ({}, {}) score {:.3}",
                region.width, region.height, region.x, region.y, region.score
            )
        })
        .collect();
    match regions.len() {
        0 => "none".to_owned(),
        n if n > SHOWN_REGIONS => format!("{n}: {}, …", shown.join(", ")),
        n => format!("{n}: {}", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_get_numbers() {
        let images: Vec<PathBuf> = ["a/x.png", "b/x.jpg", "x-2.png", "X.bmp", "y.png"]
            .map(PathBuf::from)
            .into();
        assert_eq!(
            output_names(&images),
            ["x", "x-2", "x-2-2", "X-3", "y"].map(str::to_owned)
        );
    }
}
