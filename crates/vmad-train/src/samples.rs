//! The pool of scenes: rendered once, prepared as the model wants them, drawn from many times.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use half::f16;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vmad_data::{Category, Generator, Sample, Scenes, Split};
use vmad_prep::{ClipMode, Prior, RgbImage, clip_pixels, sam_pixels};

use crate::TrainError;
use crate::config::TrainConfig;
use crate::conversation::{Dialogue, Interviewer};

/// Patch class of a patch without a defect; defect kinds count from 1.
pub const NORMAL_PATCH: u8 = 0;
/// Patch classes: normal and 15 kinds.
pub const PATCH_CLASSES: usize = 16;

/// A scene as the model wants it. Pixels are kept in half precision: the pool stays in memory.
pub struct Prepared {
    /// `[3, clip, clip]`
    pub clip: Vec<f16>,
    /// `[3, sam, sam]`
    pub sam: Vec<f16>,
    /// `[PRIOR_CHANNELS, prior_side, prior_side]`, the similarity prior for CLIP; empty if unused.
    pub clip_prior: Vec<f16>,
    /// `[1, mask_side, mask_side]`, the similarity prior for SAM; empty if unused.
    pub sam_prior: Vec<f16>,
    /// `[mask_side, mask_side]`, the share of each cell that is defective, 0 to 255.
    pub mask: Vec<u8>,
    /// Index of the category in [`vmad_data::Category::ALL`].
    pub category: usize,
    /// Class of each CLIP patch.
    pub patches: Vec<u8>,
    /// Whether places in the words hold for these pixels.
    placed: bool,
    sample: Sample,
}

/// The pool.
pub struct Pool {
    config: TrainConfig,
    scenes: Vec<OnceLock<Prepared>>,
    next: AtomicUsize,
    stop: AtomicBool,
}

impl Pool {
    /// An empty pool; scenes are rendered ahead by [`Self::render_ahead`] or when asked for.
    #[must_use]
    pub fn new(config: &TrainConfig) -> Self {
        let mut scenes = Vec::new();
        scenes.resize_with(config.data.pool, OnceLock::new);
        Self {
            config: config.clone(),
            scenes,
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        }
    }

    /// Renders scene after scene until the pool is full or [`Self::stop`] is called.
    pub fn render_ahead(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.scenes.len() {
                return;
            }
            self.scene(index);
        }
    }

    /// Ends [`Self::render_ahead`] after the scene in hand.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Scene `index`, rendered now if it was not yet.
    fn scene(&self, index: usize) -> &Prepared {
        self.scenes[index].get_or_init(|| prepare(&self.config, index))
    }

    /// The samples of `step`: a pure function of the configuration and the step.
    ///
    /// # Errors
    /// The tokenizer's.
    pub fn draw(
        &self,
        step: u64,
        interviewer: &Interviewer,
    ) -> Result<Vec<(&Prepared, Dialogue)>, TrainError> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed ^ 0x5eed_0001);
        rng.set_stream(step);
        let available = self.config.pool_at(step);
        (0..self.config.batch)
            .map(|_| {
                let prepared = self.scene(rng.random_range(0..available));
                let dialogue = interviewer.ask(&prepared.sample, prepared.placed, &mut rng)?;
                Ok((prepared, dialogue))
            })
            .collect()
    }
}

/// Difficulty rises from the pool's first scene to its last.
fn difficulty(config: &TrainConfig, index: usize) -> f32 {
    let data = &config.data;
    let share = index as f32 / data.pool as f32;
    data.difficulty_start + (data.difficulty_end - data.difficulty_start) * share
}

fn prepare(config: &TrainConfig, index: usize) -> Prepared {
    let size = config.model.sam.image_size as u32;
    let sample = Generator::new(config.seed, Split::Train, size)
        .with_difficulty(difficulty(config, index))
        .sample(index as u64);
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed ^ 0x5eed_0002);
    rng.set_stream(index as u64);
    // Every fifth picture loses a border, so that the model meets padding.
    let cropped = rng.random_bool(0.2);
    let (width, height) = if cropped {
        let shorter = (size as f32 * rng.random_range(0.55..0.95)) as u32;
        if rng.random_bool(0.5) {
            (size, shorter)
        } else {
            (shorter, size)
        }
    } else {
        (size, size)
    };
    let (x, y) = ((size - width) / 2, (size - height) / 2);
    let image: RgbImage = image::imageops::crop_imm(&sample.image, x, y, width, height).to_image();
    let (sam, frame) = sam_pixels(&image, size);
    let mask_side = config.model.sam.mask_side();
    let mode = match config.model.clip_mode {
        vmad_model::config::ClipFit::Pad => ClipMode::Pad,
        vmad_model::config::ClipFit::Crop => ClipMode::Crop,
    };
    let clip = clip_pixels(&image, config.model.clip.image_size as u32, mode);
    let prior = config.model.needs_prior().then(|| Prior::new(&sam, &frame));
    let prior_for = |wanted: bool, part: &dyn Fn(&Prior) -> Vec<f32>| {
        let values = prior.as_ref().filter(|_| wanted).map(part);
        half(&values.unwrap_or_default())
    };
    let prior_side = config.model.clip.prior_side() as u32;
    let clip_prior = prior_for(config.model.clip.similarity_prompt, &|p| {
        p.for_clip(prior_side, mode)
    });
    let sam_prior = prior_for(config.model.sam.similarity_prompt, &|p| {
        p.for_sam(mask_side as u32)
    });
    // SAM's square has its padding right and below, the CLIP square on both sides.
    let longest = width.max(height);
    let offset = ((longest - width) / 2, (longest - height) / 2);
    let source = MaskSource {
        sample: &sample,
        x,
        y,
        width,
        height,
    };
    Prepared {
        clip: half(&clip),
        sam: half(&sam),
        clip_prior,
        sam_prior,
        mask: source.shares(mask_side, longest, (0, 0)),
        patches: source.patch_classes(config.model.clip.grid(), longest, offset),
        category: Category::parse(&sample.category).map_or(0, |category| category as usize),
        placed: !cropped,
        sample,
    }
}

fn half(values: &[f32]) -> Vec<f16> {
    values.iter().map(|v| f16::from_f32(*v)).collect()
}

/// The masks of a cropped scene.
struct MaskSource<'a> {
    sample: &'a Sample,
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

impl MaskSource<'_> {
    /// Share of each cell that is defective, for a square of `longest` pixels in which the crop
    /// lies at `offset`.
    fn shares(&self, side: usize, longest: u32, offset: (u32, u32)) -> Vec<u8> {
        let mut counts = vec![0_u32; side * side];
        for defect in &self.sample.defects {
            for y in 0..self.height {
                for x in 0..self.width {
                    if defect.mask.get_pixel(x + self.x, y + self.y).0[0] > 127 {
                        let cell = |at: u32| (at as usize * side) / longest as usize;
                        counts[cell(y + offset.1) * side + cell(x + offset.0)] += 1;
                    }
                }
            }
        }
        let area = (longest as f32 / side as f32).powi(2);
        counts
            .iter()
            .map(|count| (*count as f32 / area * 255.0).min(255.0) as u8)
            .collect()
    }

    /// Class of each patch: the defect's kind where it covers at least 2 % of the patch.
    fn patch_classes(&self, side: usize, longest: u32, offset: (u32, u32)) -> Vec<u8> {
        let kind = self
            .sample
            .defects
            .first()
            .map_or(NORMAL_PATCH, |d| d.kind.id() as u8 + 1);
        self.shares(side, longest, offset)
            .into_iter()
            .map(|share| if share > 5 { kind } else { NORMAL_PATCH })
            .collect()
    }
}
