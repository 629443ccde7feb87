//! Curves, pictures and metrics that a run writes into its folder at each checkpoint.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use plotters::prelude::*;
use vmad_eval::auroc;
use vmad_prep::RgbImage;
use vmad_prep::overlay::{encode_png, overlay_rgb};
use vmad_prep::resize::{Filter, resize};
use vmad_train::{HeldOut, LossPart, Preview, Trainer};

use crate::files::write_whole;

/// Held-out scenes of the validation.
const N_SCENES: usize = 96;
/// Scenes in `samples.png`.
const N_SAMPLES: usize = 12;
/// Side of a scene in `samples.png`, pixels.
const SAMPLE_SIDE: u32 = 192;
/// Columns of `samples.png`; each photograph is there with its true and its predicted mask.
const N_COLUMNS: u32 = 4;

/// The files: `losses.svg`, `samples.png` and `validation.csv`.
pub(super) struct Validation {
    folder: PathBuf,
    scenes: Vec<HeldOut>,
}

impl Validation {
    /// Renders the held-out scenes.
    pub fn new(trainer: &Trainer, folder: &Path) -> Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            scenes: trainer.held_out(N_SCENES)?,
        })
    }

    /// Writes the files, and returns the metrics as a line of text.
    pub fn write(&self, trainer: &Trainer, log: &Path) -> Result<String> {
        draw_losses(log, &self.folder.join("losses.svg"))?;
        if self.scenes.is_empty() {
            return Ok("no validation: the stage has no pictures".to_owned());
        }
        let previews = trainer.preview(&self.scenes)?;
        let shown = self.scenes.iter().zip(&previews).take(N_SAMPLES);
        let samples = encode_png(&draw_samples(shown)?)?;
        write_whole(&self.folder.join("samples.png"), &samples)?;
        let metrics = Metrics::of(&previews)?;
        metrics.append(&self.folder.join("validation.csv"), trainer.step_count())?;
        Ok(metrics.to_string())
    }
}

/// Metrics on the held-out scenes; `None` where they are undefined.
struct Metrics {
    image_auroc: Option<f64>,
    pixel_auroc: Option<f64>,
    kind_right: Option<f64>,
}

impl Metrics {
    fn of(previews: &[Preview]) -> Result<Self> {
        let highest = |preview: &Preview| preview.map.iter().copied().fold(0.0, f32::max);
        let scores: Vec<f32> = previews.iter().map(highest).collect();
        let labels: Vec<bool> = previews.iter().map(|g| g.is_defective).collect();
        let cells: Vec<f32> = previews
            .iter()
            .flat_map(|g| g.map.iter().copied())
            .collect();
        let truths = previews.iter().flat_map(|g| g.target.iter());
        let in_defect: Vec<bool> = truths.map(|share| *share > 127).collect();
        let kinds: Vec<_> = previews.iter().flat_map(|g| &g.kinds).collect();
        let right = kinds.iter().filter(|(kind, predicted)| kind == predicted);
        let share = right.count() as f64 / kinds.len().max(1) as f64;
        Ok(Self {
            image_auroc: auroc(&scores, &labels)?,
            pixel_auroc: auroc(&cells, &in_defect)?,
            kind_right: (!kinds.is_empty()).then_some(share),
        })
    }

    /// Adds a line; one of a step that is taken again after a resumption is replaced.
    fn append(&self, path: &Path, step: u64) -> Result<()> {
        const HEAD: &str = "step,image_auroc,pixel_auroc,kind_right";
        let old = std::fs::read_to_string(path).unwrap_or_default();
        let is_before = |line: &&str| {
            let number = line.split(',').next().and_then(|n| n.parse::<u64>().ok());
            number.is_some_and(|number| number < step)
        };
        let mut text = format!("{HEAD}\n");
        for line in old.lines().filter(is_before) {
            writeln!(text, "{line}")?;
        }
        let number = |value: Option<f64>| value.map_or(String::new(), |v| format!("{v:.4}"));
        writeln!(
            text,
            "{step},{},{},{}",
            number(self.image_auroc),
            number(self.pixel_auroc),
            number(self.kind_right)
        )?;
        write_whole(path, text.as_bytes())
    }
}

impl std::fmt::Display for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.3}"));
        write!(
            f,
            "{N_SCENES} held-out scenes: image AUROC {}, pixel AUROC {}, kind right {}",
            number(self.image_auroc),
            number(self.pixel_auroc),
            number(self.kind_right)
        )
    }
}

/// Each photograph with its true mask, beside the predicted map: heat map and outline.
fn draw_samples<'a>(shown: impl Iterator<Item = (&'a HeldOut, &'a Preview)>) -> Result<RgbImage> {
    let mut sheet = RgbImage::new(
        2 * N_COLUMNS * SAMPLE_SIDE,
        (N_SAMPLES as u32).div_ceil(N_COLUMNS) * SAMPLE_SIDE,
    );
    for (i, (scene, preview)) in shown.enumerate() {
        let (column, row) = (i as u32 % N_COLUMNS, i as u32 / N_COLUMNS);
        let truth: Vec<f32> = preview
            .target
            .iter()
            .map(|v| f32::from(*v) / 255.0)
            .collect();
        for (half, map) in [&truth, &preview.map].into_iter().enumerate() {
            let large = stretched(map, preview.side, scene.image.dimensions());
            let picture = overlay_rgb(&scene.image, &large, 0.5)?;
            let picture = resize(&picture, SAMPLE_SIDE, SAMPLE_SIDE, Filter::Bilinear);
            let x = i64::from((2 * column + half as u32) * SAMPLE_SIDE);
            image::imageops::replace(&mut sheet, &picture, x, i64::from(row * SAMPLE_SIDE));
        }
    }
    Ok(sheet)
}

/// A square map at a photograph's size, cell by cell.
fn stretched(map: &[f32], side: usize, (width, height): (u32, u32)) -> Vec<f32> {
    let cell = |at: u32, length: u32| at as usize * side / length as usize;
    let row = |y: u32| (0..width).map(move |x| (x, y));
    let pixels = (0..height).flat_map(row);
    pixels
        .map(|(x, y)| map[cell(y, height) * side + cell(x, width)])
        .collect()
}

/// A curve for each part of the loss that the run has.
fn draw_losses(log: &Path, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(log).with_context(|| log.display().to_string())?;
    let curves: Vec<_> = LossPart::ALL
        .into_iter()
        .map(|part| (part.name(), smoothed(&text, part.name())))
        .filter(|(_, points)| points.iter().any(|(_, value)| *value != 0.0))
        .collect();
    let mut svg = String::new();
    {
        let size = (900, 240 * curves.len().max(1) as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        for (area, (name, points)) in root
            .split_evenly((curves.len().max(1), 1))
            .iter()
            .zip(&curves)
        {
            let last = points.last().map_or(1.0, |(step, _)| *step);
            let highest = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
            let mut chart = ChartBuilder::on(area)
                .caption(*name, ("sans-serif", 18))
                .margin(10)
                .x_label_area_size(24)
                .y_label_area_size(56)
                .build_cartesian_2d(0.0..last.max(1.0), 0.0..(highest * 1.05).max(1e-6))?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .draw()?;
            chart.draw_series(LineSeries::new(points.iter().copied(), &BLUE))?;
        }
        root.present()?;
    }
    write_whole(path, svg.as_bytes())
}

/// Step and smoothed value of a column of the log, thinned out.
fn smoothed(log: &str, column: &str) -> Vec<(f64, f64)> {
    const NEWEST: f64 = 0.05;
    const MOST_POINTS: usize = 600;
    let mut lines = log.lines();
    let names = lines.next().unwrap_or_default();
    let Some(index) = names.split(',').position(|name| name == column) else {
        return Vec::new();
    };
    let mut mean = None;
    let mut points = Vec::new();
    for line in lines {
        let mut fields = line.split(',');
        let step = fields.next().and_then(|field| field.parse::<f64>().ok());
        // The first field is taken, so the column is one nearer.
        let value = fields.nth(index.saturating_sub(1));
        let value = value.and_then(|field| field.parse::<f64>().ok());
        if let (Some(step), Some(value)) = (step, value) {
            let mean = mean.get_or_insert(value);
            *mean += NEWEST * (value - *mean);
            points.push((step, *mean));
        }
    }
    let stride = points.len().div_ceil(MOST_POINTS).max(1);
    points.into_iter().step_by(stride).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_found_by_its_name_and_smoothed() {
        let log = "step,total,text,bce\n1,9,4,1\n2,9,2,0\nbroken\n";
        let points = smoothed(log, "text");
        assert_eq!(points, [(1.0, 4.0), (2.0, 3.9)]);
        assert_eq!(smoothed(log, "bce")[1], (2.0, 0.95));
        assert!(smoothed(log, "patch").is_empty());
    }

    #[test]
    fn a_map_is_stretched_cell_by_cell() {
        let map = [0.0, 1.0, 2.0, 3.0];
        assert_eq!(stretched(&map, 2, (3, 2)), [0.0, 0.0, 1.0, 2.0, 2.0, 3.0]);
    }
}
