//! The input of a detector: features of a package's encoders, or pixels at the package's size.

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use vmad_engine::{CancelToken, Engine, Photo, Query, Trace, TraceData};
use vmad_eval::ScoreMap;
use vmad_eval::baseline::{PatchGrid, Planes, difference_of_gaussians, local_z_score};
use vmad_model::VmadConfig;
use vmad_prep::resize::{Filter, resize};
use vmad_prep::{FrameAxis, LinearTap, PhotoFrame, Prior, RgbImage, sam_input, upscale_logits};

use crate::args::DeviceArg;
use crate::files::read_manifest;
use crate::session;

/// Features that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Layer {
    /// CLIP's hidden states at the projector's taps, concatenated
    Clip,
    /// SAM's image embedding
    Sam,
}

/// Maps computed from pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statistic {
    Contrast,
    ZScore,
    Prior,
}

/// Standard deviations of the two blurs, as shares of the square that the model looks at: 1 and
/// 8 pixels of 256.
const BLURS: (f64, f64) = (1.0 / 256.0, 8.0 / 256.0);
/// From a pixel to the edge of the square that it is compared with, as a share likewise.
const RADIUS: f64 = 12.0 / 256.0;
/// Added to a standard deviation; pixels are 0 to 1.
const FLOOR: f32 = 0.02;

/// Computes the input of a detector for one photograph after another.
pub(super) struct Backbone {
    config: VmadConfig,
    input: Input,
    /// Frame of the last photograph whose features were computed.
    frame: PhotoFrame,
}

enum Input {
    Features(Box<Engine>, Layer),
    Pixels(Statistic),
}

impl Backbone {
    /// Uses the features of a package's encoders.
    pub fn with_features(package: &Path, device: DeviceArg, layer: Layer) -> Result<Self> {
        let engine = session::open(package, device, &CancelToken::new())?;
        Ok(Self::new(
            engine.config().clone(),
            Input::Features(Box::new(engine), layer),
        ))
    }

    /// Uses pixels at a package's input size; does not read its weights.
    pub fn with_pixels(package: &Path, statistic: Statistic) -> Result<Self> {
        let manifest = read_manifest(package)?;
        let config: VmadConfig = serde_json::from_value(manifest.meta.config)
            .with_context(|| format!("the configuration in {}", package.display()))?;
        config.validate()?;
        Ok(Self::new(config, Input::Pixels(statistic)))
    }

    fn new(config: VmadConfig, input: Input) -> Self {
        Self {
            frame: config.photo_frame((1, 1)),
            config,
            input,
        }
    }

    /// The features of a photograph.
    pub fn features(&mut self, image: &RgbImage) -> Result<PatchGrid> {
        self.frame = self.frame_of(image);
        let Input::Features(engine, layer) = &mut self.input else {
            bail!("this detector uses pixels, not features");
        };
        engine.start_trace();
        let events = engine.inspect(
            Photo::Rgb(image.clone()),
            Query::default(),
            &CancelToken::new(),
        );
        session::finish(events)?;
        let trace = engine.take_trace().context("the engine kept no trace")?;
        match layer {
            Layer::Clip => {
                let taps = self.config.clip.taps.iter();
                let grids = taps.map(|tap| clip_grid(&trace, *tap, self.config.clip.grid()));
                Ok(PatchGrid::joined(&grids.collect::<Result<Vec<_>>>()?)?)
            }
            Layer::Sam => sam_grid(&trace),
        }
    }

    fn frame_of(&self, image: &RgbImage) -> PhotoFrame {
        self.config.photo_frame(image.dimensions())
    }

    /// Resamples a map over the feature grid to the last photograph whose features were computed.
    pub fn map_on_photo(&self, map: &[f32]) -> Result<ScoreMap> {
        match &self.input {
            Input::Features(_, Layer::Clip) => {
                Ok(from_clip(map, self.config.clip.grid(), &self.frame))
            }
            Input::Features(_, Layer::Sam) => from_sam(map, self.config.sam.grid(), &self.frame),
            Input::Pixels(_) => bail!("this detector uses pixels, not features"),
        }
    }

    /// The map of a photograph's pixels.
    pub fn statistic(&self, image: &RgbImage) -> Result<ScoreMap> {
        let Input::Pixels(statistic) = self.input else {
            bail!("this detector uses features, not pixels");
        };
        let size = self.config.sam.image_size;
        if statistic == Statistic::Prior {
            let frame = self.frame_of(image);
            let side = self.config.sam.mask_side();
            let map = Prior::new(&sam_input(image, &frame)).for_sam(side as u32);
            return from_sam(&map, side, &frame);
        }
        let (width, height) = self.frame_of(image).sam_resized();
        let small = resize(image, width, height, Filter::Bilinear);
        let (width, height) = (width as usize, height as usize);
        let plane = |c: usize| {
            small
                .pixels()
                .map(move |pixel| f32::from(pixel.0[c]) / 255.0)
        };
        let planes = Planes::new(width, height, (0..3).flat_map(plane).collect())?;
        let pixels = |share: f64| (share * size as f64).max(1.0);
        let values = match statistic {
            Statistic::ZScore => local_z_score(&planes, pixels(RADIUS) as usize, FLOOR)?,
            _ => difference_of_gaussians(&planes, BLURS.0 * size as f64, BLURS.1 * size as f64)?,
        };
        Ok(ScoreMap {
            width,
            height,
            values,
        })
    }
}

fn values<'t>(trace: &'t Trace, name: &str) -> Result<(&'t [usize], &'t [f32])> {
    match trace.get(name) {
        Some(tensor) => match &tensor.data {
            TraceData::F32(values) => Ok((&tensor.shape, values)),
            TraceData::I32(_) => bail!("{name} holds integers, not floats"),
        },
        None => bail!("the engine's trace has no {name}"),
    }
}

/// A hidden state without its class token.
fn clip_grid(trace: &Trace, tap: usize, grid: usize) -> Result<PatchGrid> {
    let name = format!("clip.hidden.{tap}");
    let (shape, values) = values(trace, &name)?;
    let [_, d] = *shape else {
        bail!("{name} has shape {shape:?}");
    };
    let patches = values.get(d..).unwrap_or_default().to_vec();
    Ok(PatchGrid::new(grid, grid, d, patches)?)
}

/// SAM's embedding `[d, rows, columns]`, channels last.
fn sam_grid(trace: &Trace) -> Result<PatchGrid> {
    let name = "sam.image_embedding";
    let (shape, values) = values(trace, name)?;
    let [d, rows, columns] = *shape else {
        bail!("{name} has shape {shape:?}");
    };
    let n = rows * columns;
    let cell = |cell: usize| (0..d).map(move |c| values[c * n + cell]);
    let patches = (0..n).flat_map(cell).collect();
    Ok(PatchGrid::new(rows, columns, d, patches)?)
}

/// A map over SAM's square, on the photograph.
fn from_sam(map: &[f32], side: usize, frame: &PhotoFrame) -> Result<ScoreMap> {
    let values = upscale_logits(map, side as u32, frame)?;
    Ok(ScoreMap {
        width: frame.photo_size.0 as usize,
        height: frame.photo_size.1 as usize,
        values,
    })
}

/// Resamples a map over CLIP's input to the photograph at its size in SAM's input; bilinear. Pixels
/// outside of a crop take the value at its edge.
fn from_clip(map: &[f32], grid: usize, frame: &PhotoFrame) -> ScoreMap {
    let (width, height) = frame.sam_resized();
    let resized = PhotoFrame {
        photo_size: (width, height),
        ..*frame
    };
    let taps = |axis: FrameAxis, length: u32| -> Vec<LinearTap> {
        (0..length)
            .filter_map(|pixel| LinearTap::at(axis.clip_from_photo(pixel as f32 + 0.5), grid))
            .collect()
    };
    let columns = taps(resized.x(), width);
    let mix = |tap: &LinearTap, row: usize| {
        let (a, b) = (map[row * grid + tap.low], map[row * grid + tap.high]);
        a + (b - a) * tap.high_weight
    };
    let rows = taps(resized.y(), height).into_iter();
    let values = rows.flat_map(|row| {
        let pixel = |column: &LinearTap| {
            let (a, b) = (mix(column, row.low), mix(column, row.high));
            a + (b - a) * row.high_weight
        };
        columns.iter().map(pixel).collect::<Vec<f32>>()
    });
    ScoreMap {
        values: values.collect(),
        width: width as usize,
        height: height as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmad_prep::ClipMode;

    fn frame(clip_mode: ClipMode) -> PhotoFrame {
        PhotoFrame {
            photo_size: (80, 40),
            clip_size: 1,
            clip_mode,
            sam_size: 8,
        }
    }

    #[test]
    fn clip_maps_are_cropped_to_the_photograph() {
        // Four cells a side; the photograph takes the two rows in the middle.
        let map: Vec<f32> = (0..16).map(|cell| (cell / 4) as f32).collect();
        let wide = from_clip(&map, 4, &frame(ClipMode::Pad));
        assert_eq!((wide.width, wide.height), (8, 4));
        let column: Vec<f32> = wide.values.iter().step_by(8).copied().collect();
        assert_eq!(column, [0.75, 1.25, 1.75, 2.25]);
        // The crop is the photograph's middle square: rows run from top to bottom.
        let wide = from_clip(&map, 4, &frame(ClipMode::Crop));
        let column: Vec<f32> = wide.values.iter().step_by(8).copied().collect();
        assert_eq!(column, [0.0, 1.0, 2.0, 3.0]);
        let turned: Vec<f32> = (0..16).map(|cell| (cell % 4) as f32).collect();
        let wide = from_clip(&turned, 4, &frame(ClipMode::Crop));
        assert_eq!(wide.values[..8], [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 3.0, 3.0]);
    }

    #[test]
    fn embeddings_are_read_channels_last() -> Result<()> {
        let tensor = |name: &str, shape: &[usize], values: &[f32]| vmad_engine::TraceTensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            data: TraceData::F32(values.to_vec()),
        };
        let trace = Trace {
            tensors: vec![
                tensor("clip.hidden.2", &[2, 3], &[9.0, 9.0, 9.0, 1.0, 2.0, 3.0]),
                tensor("sam.image_embedding", &[2, 1, 2], &[1.0, 2.0, 3.0, 4.0]),
            ],
        };
        let expected = PatchGrid::new(1, 1, 3, vec![1.0, 2.0, 3.0])?;
        assert_eq!(clip_grid(&trace, 2, 1)?, expected);
        let expected = PatchGrid::new(1, 2, 2, vec![1.0, 3.0, 2.0, 4.0])?;
        assert_eq!(sam_grid(&trace)?, expected);
        assert!(clip_grid(&trace, 3, 1).is_err());
        Ok(())
    }
}
