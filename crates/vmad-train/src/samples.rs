//! Scenes as the model wants them: rendered once, looked at many times, each time differently.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use half::f16;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use vmad_data::{Defect, DefectKind, Sample};
use vmad_model::VmadConfig;
use vmad_model::config::SimilaritySource;
use vmad_prep::{PhotoFrame, Prior, RgbImage, clip_pixels, sam_input};

use crate::TrainError;
use crate::config::TrainConfig;
use crate::conversation::{Dialogue, Interviewer};
use crate::dssl::{PatchBox, draw_boxes};
use crate::told::Told;
use crate::worlds::{Use, Worlds};

/// Patch class of a patch without a defect; defect kinds count from 1.
pub const NORMAL_PATCH: u8 = 0;
/// Patch class where the kinds of the defects are not known: it does not count.
pub const UNKNOWN_PATCH: u8 = u8::MAX;
/// Patch classes: normal and 15 kinds.
pub const PATCH_CLASSES: usize = 16;
/// Share of pictures that lose a border, so that the model meets padding.
const CROPPED: f64 = 0.2;

/// One look at a scene: what the encoders take, or gave if they are frozen, and the targets.
pub struct View {
    /// For the language model.
    pub clip: ClipSide,
    /// For the mask decoder.
    pub sam: SamSide,
    /// `[1, mask_side, mask_side]`, the similarity prior for SAM; empty if unused or made of CLIP's
    /// features.
    pub sam_prior: Vec<f32>,
    /// Where the photograph lies in the encoders' inputs.
    pub frame: PhotoFrame,
    /// Patches for DSSL, as CLIP sees them; none where the run has no DSSL.
    pub crops: Vec<(PatchBox, ClipSide)>,
    /// What there is to learn from it.
    pub truth: Truth,
}

/// CLIP's side of a view.
pub enum ClipSide {
    /// What the encoder takes.
    Pixels {
        /// `[3, clip, clip]`
        pixels: Vec<f32>,
        /// `[PRIOR_CHANNELS, prior_side, prior_side]`, the similarity prior; empty if unused.
        prior: Vec<f32>,
    },
    /// What a frozen encoder gave: each tap, `[grid², d_vision]`.
    Taps(Vec<Vec<f16>>),
}

/// SAM's side of a view.
pub enum SamSide {
    /// What the encoder takes, `[3, sam, sam]`.
    Pixels(Vec<f32>),
    /// What a frozen encoder gave, `[d_out, grid, grid]`.
    Embedding(Vec<f16>),
}

/// What is known of a view.
pub struct Truth {
    /// Kinds of defect, each with the share of each cell that it covers, `[mask_side, mask_side]`,
    /// 0 to 255.
    pub masks: Vec<(DefectKind, Vec<u8>)>,
    /// Class of each CLIP patch.
    pub patches: Vec<u8>,
    /// Class of each cell of SAM's embedding.
    pub cells: Vec<u8>,
    /// Class of the object, below [`Worlds::N_OBJECTS`].
    pub object: usize,
    /// Whether places in the words hold for these pixels.
    pub placed: bool,
    /// The scene in words.
    pub told: Told,
}

impl Truth {
    /// The share of each of the mask's `n_cells` that is defective by a criterion that tolerates
    /// some kinds, 0 to 255.
    pub fn mask(&self, tolerated: &[DefectKind], n_cells: usize) -> Vec<u8> {
        let mut union = vec![0_u8; n_cells];
        for (kind, mask) in &self.masks {
            if tolerated.contains(kind) {
                continue;
            }
            for (all, share) in union.iter_mut().zip(mask) {
                *all = all.saturating_add(*share);
            }
        }
        union
    }

    /// The kinds of defect that a criterion leaves which tolerates some.
    pub fn left(&self, tolerated: &[DefectKind]) -> impl Iterator<Item = DefectKind> {
        let kinds = self.masks.iter().map(|(kind, _)| *kind);
        kinds.filter(|kind| !tolerated.contains(kind))
    }

    /// The class of the only kind of defect left by a criterion that tolerates some kinds, or
    /// [`NORMAL_PATCH`]; unknown where there are several.
    pub fn only_class(&self, tolerated: &[DefectKind]) -> u8 {
        if self.patches.contains(&UNKNOWN_PATCH) {
            return UNKNOWN_PATCH;
        }
        let mut left = self.left(tolerated);
        match (left.next(), left.next()) {
            (None, _) => NORMAL_PATCH,
            (Some(kind), None) => kind.id() as u8 + 1,
            (Some(_), Some(_)) => UNKNOWN_PATCH,
        }
    }
}

/// The scenes of a run.
pub struct Pool {
    config: TrainConfig,
    worlds: Worlds,
    scenes: Vec<OnceLock<Sample>>,
    next: AtomicUsize,
    stop: AtomicBool,
}

/// Which look at which scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ViewId {
    /// Index of the scene.
    pub scene: usize,
    /// Which of its augmentations.
    pub variant: u64,
}

impl Pool {
    /// An empty pool; scenes are rendered ahead by [`Self::render_ahead`] or when asked for.
    ///
    /// # Errors
    /// A data set that cannot be read.
    pub fn new(config: &TrainConfig) -> Result<Self, TrainError> {
        let mut scenes = Vec::new();
        scenes.resize_with(config.data.pool, OnceLock::new);
        Ok(Self {
            config: config.clone(),
            worlds: Worlds::new(config, Use::Learn)?,
            scenes,
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// Renders scene after scene, but for those that are `needless`, until the pool is full or
    /// [`Self::stop`] is called.
    pub fn render_ahead(&self, needless: impl Fn(usize) -> bool) {
        while !self.stop.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.scenes.len() {
                return;
            }
            // A scene that fails is asked for again when it is needed, and then fails aloud.
            if !needless(index) && self.scene(index).is_err() {
                return;
            }
        }
    }

    /// Ends [`Self::render_ahead`] after the scene in hand.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Scene `index`, rendered now if it was not yet.
    fn scene(&self, index: usize) -> Result<&Sample, TrainError> {
        let scene = &self.scenes[index];
        if let Some(sample) = scene.get() {
            return Ok(sample);
        }
        // Two threads may render the same scene; they get the same.
        let sample = self.worlds.scene(index, self.config.scene_size())?;
        Ok(scene.get_or_init(|| sample))
    }

    /// Photographs of data sets that were left out, and why.
    pub fn skipped(&self) -> Vec<(String, String)> {
        self.worlds.skipped()
    }

    /// The views of `step`: a pure function of the configuration and the step. With
    /// `data.variants` = 0 every look is a new one.
    pub fn choose(&self, step: u64) -> Vec<ViewId> {
        let mut rng = self.rng_of_step(step);
        let available = self.config.pool_at(step);
        (0..self.config.batch)
            .map(|_| ViewId {
                scene: rng.random_range(0..available),
                variant: match self.config.data.variants {
                    0 => rng.random(),
                    n => rng.random_range(0..n),
                },
            })
            .collect()
    }

    /// Looks at a scene.
    ///
    /// # Errors
    /// A photograph that cannot be read.
    pub fn view(&self, id: ViewId) -> Result<View, TrainError> {
        let seed = self.config.data_seed() ^ 0x5eed_0002 ^ id.variant << 20;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(id.scene as u64);
        let sample = self.scene(id.scene)?;
        let sample = if self.config.data.augment {
            sample.augmented(&mut rng)
        } else {
            sample.clone()
        };
        let n_boxes = self.config.dssl.as_ref().map_or(0, |dssl| dssl.n_boxes);
        let cut = match self.config.data.crop {
            Some(share) => Some(Window::around_a_defect(&sample, share, &mut rng)),
            None => Window::without_a_border(&sample, &mut rng),
        };
        let how = Some((&mut rng, n_boxes));
        Ok(look(&self.config.model, &sample, cut, how))
    }

    /// Views, made on all cores.
    ///
    /// # Errors
    /// As [`Self::view`].
    pub fn views(&self, ids: &[ViewId]) -> Result<Vec<View>, TrainError> {
        ids.par_iter().map(|id| self.view(*id)).collect()
    }

    /// What is said about each view of `step`.
    ///
    /// # Errors
    /// The tokenizer's.
    pub fn dialogues<'a>(
        &self,
        step: u64,
        truths: impl Iterator<Item = &'a Truth>,
        interviewer: &Interviewer,
    ) -> Result<Vec<Dialogue>, TrainError> {
        let mut rng = self.rng_of_step(step);
        rng.set_word_pos(1 << 20);
        truths
            .map(|truth| interviewer.ask(&truth.told, truth.placed, &mut rng))
            .collect()
    }

    fn rng_of_step(&self, step: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed ^ 0x5eed_0001);
        rng.set_stream(step);
        rng
    }
}

/// A part of a scene, in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

impl Window {
    /// What it shows.
    pub fn of(self, image: &RgbImage) -> RgbImage {
        image::imageops::crop_imm(image, self.x, self.y, self.width, self.height).to_image()
    }

    /// Now and then a picture that has lost a border on two sides.
    fn without_a_border(sample: &Sample, rng: &mut impl Rng) -> Option<Self> {
        let (full_width, full_height) = sample.image.dimensions();
        let share = rng.random_range(0.55..0.95_f32);
        let is_wide = rng.random_bool(0.5);
        if !rng.random_bool(CROPPED) {
            return None;
        }
        let shorter = |length: u32| (length as f32 * share) as u32;
        let (width, height) = match is_wide {
            true => (full_width, shorter(full_height)),
            false => (shorter(full_width), full_height),
        };
        Some(Self {
            x: (full_width - width) / 2,
            y: (full_height - height) / 2,
            width,
            height,
        })
    }

    /// A square with a defect in it, not always in its middle; anywhere in a normal picture.
    pub fn around_a_defect(sample: &Sample, share: f32, rng: &mut impl Rng) -> Self {
        let (full_width, full_height) = sample.image.dimensions();
        let shorter = full_width.min(full_height);
        let side = ((shorter as f32 * share) as u32).clamp(1, shorter);
        let middle = sample.defects.choose(rng).and_then(|defect| {
            let pixels = defect.mask.enumerate_pixels();
            let marked: Vec<_> = pixels.filter(|(_, _, value)| value.0[0] > 127).collect();
            marked.choose(rng).map(|(x, y, _)| (*x, *y))
        });
        let aside = (side as f32 * 0.3) as u32;
        let start = |middle: Option<u32>, full: u32, rng: &mut dyn rand::RngCore| match middle {
            Some(at) => {
                let at = (at + rng.random_range(0..=2 * aside)).saturating_sub(aside + side / 2);
                at.min(full - side)
            }
            None => rng.random_range(0..=full - side),
        };
        Self {
            x: start(middle.map(|at| at.0), full_width, rng),
            y: start(middle.map(|at| at.1), full_height, rng),
            width: side,
            height: side,
        }
    }
}

/// Prepares pixels and targets of a picture, or of a part of it, as inference does. In training it
/// takes a source of randomness and a number of patches for DSSL.
pub(crate) fn look(
    model: &VmadConfig,
    sample: &Sample,
    cut: Option<Window>,
    how: Option<(&mut ChaCha8Rng, usize)>,
) -> View {
    let (full_width, full_height) = sample.image.dimensions();
    let window = cut.unwrap_or(Window {
        x: 0,
        y: 0,
        width: full_width,
        height: full_height,
    });
    let image = window.of(&sample.image);
    let frame = model.photo_frame(image.dimensions());
    let sam = sam_input(&image, &frame);
    let mask_side = model.sam.mask_side();
    let clip = clip_pixels(&image, &frame);
    let prior = model.needs_prior().then(|| Prior::new(&sam));
    let prior_for = |wanted: bool, part: &dyn Fn(&Prior) -> Vec<f32>| {
        prior
            .as_ref()
            .filter(|_| wanted)
            .map(part)
            .unwrap_or_default()
    };
    let prior_side = model.clip.prior_side() as u32;
    let clip_prior = prior_for(model.clip.similarity_prompt, &|p| p.for_clip(prior_side));
    let sam_prior = prior_for(model.sam_compares(SimilaritySource::Pixels), &|p| {
        p.for_sam(mask_side as u32)
    });
    let source = MaskSource {
        sample,
        window,
        frame,
    };
    let kinds_are_known = !sample.qa.is_empty() || sample.defects.is_empty();
    let classes = |square: Square, grid: usize| match kinds_are_known {
        true => source.patch_classes(square, grid),
        false => vec![UNKNOWN_PATCH; grid.pow(2)],
    };
    let truth = Truth {
        masks: source.by_kind(Square::Sam, mask_side),
        patches: classes(Square::Clip, model.clip.grid()),
        cells: classes(Square::Sam, model.sam.grid()),
        object: Worlds::object_class(sample),
        placed: cut.is_none(),
        told: Told::from(sample),
    };
    View {
        clip: ClipSide::Pixels {
            pixels: clip,
            prior: clip_prior,
        },
        sam: SamSide::Pixels(sam.pixels),
        sam_prior,
        crops: how.map_or_else(Vec::new, |(rng, n_boxes)| {
            crops_of(&image, &frame, n_boxes, rng)
        }),
        frame,
        truth,
    }
}

/// DSSL's patches of a photograph. The similarity prior compares a picture with itself and says
/// nothing about a patch alone, so patches have none.
fn crops_of(
    image: &RgbImage,
    frame: &PhotoFrame,
    n_boxes: usize,
    rng: &mut impl Rng,
) -> Vec<(PatchBox, ClipSide)> {
    let boxes = draw_boxes(rng, frame.sam_resized(), n_boxes);
    let crop = |patch: PatchBox| {
        let pixels = patch
            .in_photograph(frame)
            .clip_pixels(image, frame.clip_size);
        let prior = Vec::new();
        (patch, ClipSide::Pixels { pixels, prior })
    };
    boxes.into_iter().map(crop).collect()
}

/// The square that a grid of cells divides.
#[derive(Clone, Copy)]
enum Square {
    Clip,
    Sam,
}

/// The masks of a cropped scene.
struct MaskSource<'a> {
    sample: &'a Sample,
    /// The part of the scene that the photograph shows.
    window: Window,
    frame: PhotoFrame,
}

impl MaskSource<'_> {
    /// For each kind of defect the share of each cell that it covers, `[side, side]`, 0 to 255.
    fn by_kind(&self, square: Square, side: usize) -> Vec<(DefectKind, Vec<u8>)> {
        let mut kinds: Vec<DefectKind> = self.sample.defects.iter().map(|d| d.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let shares = |kind| {
            let defects = self
                .sample
                .defects
                .iter()
                .filter(|defect| defect.kind == kind);
            (kind, self.shares(defects, square, side))
        };
        kinds.into_iter().map(shares).collect()
    }

    fn shares<'a>(
        &self,
        defects: impl Iterator<Item = &'a Defect>,
        square: Square,
        side: usize,
    ) -> Vec<u8> {
        let Window {
            x: left,
            y: top,
            width,
            height,
        } = self.window;
        let mut pixels = vec![0_u32; side * side];
        for defect in defects {
            for y in 0..height {
                for x in 0..width {
                    if defect.mask.get_pixel(x + left, y + top).0[0] <= 127 {
                        continue;
                    }
                    let cell = match square {
                        Square::Clip => self.frame.clip_cell((x, y), side),
                        Square::Sam => Some(self.frame.sam_cell((x, y), side)),
                    };
                    if let Some(cell) = cell {
                        pixels[cell] += 1;
                    }
                }
            }
        }
        let area = match square {
            Square::Clip => self.frame.clip_cell_pixels(side),
            Square::Sam => self.frame.sam_cell_pixels(side),
        };
        pixels
            .iter()
            .map(|count| (*count as f32 / area * 255.0).min(255.0) as u8)
            .collect()
    }

    /// Class of each patch: the kind of the defect that covers most of it, where that is at least
    /// 2 % of the patch.
    fn patch_classes(&self, square: Square, side: usize) -> Vec<u8> {
        const LEAST: u8 = 5;
        let mut classes = vec![NORMAL_PATCH; side * side];
        let mut most = vec![LEAST; side * side];
        for (kind, shares) in self.by_kind(square, side) {
            for ((class, most), share) in classes.iter_mut().zip(&mut most).zip(shares) {
                if share > *most {
                    (*class, *most) = (kind.id() as u8 + 1, share);
                }
            }
        }
        classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmad_data::{Scenes, Split};

    #[test]
    fn a_close_look_shows_the_defect() {
        let world = vmad_data::Generator::new(3, Split::Train, 96);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for index in 0..24 {
            let sample = world.sample(index);
            let window = Window::around_a_defect(&sample, 0.5, &mut rng);
            assert_eq!((window.width, window.height), (48, 48));
            let seen = window.of(&sample.image);
            assert_eq!(seen.dimensions(), (48, 48), "inside the picture");
            let mask = sample.mask();
            let mask = image::imageops::crop_imm(&mask, window.x, window.y, 48, 48);
            let shows = mask.to_image().iter().any(|value| *value > 127);
            assert_eq!(shows, !sample.defects.is_empty(), "scene {index}");
        }
    }
}
