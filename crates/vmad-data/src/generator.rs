//! From (seed, split, size, index) to a labelled image.

use crate::category::{Category, Split};
use crate::defect::{Defect, DefectKind};
use crate::math::{Rgb, Rng, mix};
use crate::paint::Painter;
use crate::render;
use crate::scene::{Light, Scene};
use crate::spoil::{Contrast, Draft, Window};
use crate::words::{self, Qa};
use image::{GrayImage, RgbImage};

/// Smallest median contrast of a defect, at any difficulty up to the default.
pub const MIN_CONTRAST: f32 = 0.12;
/// Smallest defect area as a fraction of the image.
pub const MIN_AREA: f32 = 0.0015;
/// Largest defect area as a fraction of the image.
pub const MAX_AREA: f32 = 0.12;

/// One image with everything that is known of it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The photograph, `size`².
    pub image: RgbImage,
    /// The product, as data sets name it, such as `metal_plate`.
    pub category: String,
    /// The product's name in sentences.
    pub object: String,
    /// What a normal product looks like.
    pub normal_description: String,
    /// None for a normal image, otherwise one or two: of the same kind in the catalogue, now and then
    /// of two kinds in the workshop.
    pub defects: Vec<Defect>,
    /// Description, impact and suggestion, in this order. Empty where the kinds of the defects are
    /// not known, as in some data sets; [`Defect::kind`] then means nothing.
    pub qa: Vec<Qa>,
}

impl Sample {
    /// The union of the defect masks, 0 or 255.
    pub fn mask(&self) -> GrayImage {
        let mut out = GrayImage::new(self.image.width(), self.image.height());
        for d in &self.defects {
            for (o, m) in out.iter_mut().zip(d.mask.iter()) {
                *o = (*o).max(*m);
            }
        }
        out
    }
}

/// What [`Generator::sample_of`] should show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// No defect.
    Normal,
    /// One or two defects of this kind.
    Defect(DefectKind),
}

/// A source of scenes: a pure function of its settings and an index.
pub trait Scenes: Sync {
    /// The scene with this index; the same bytes every time.
    fn sample(&self, index: u64) -> Sample;
}

/// The catalogue: 24 products, each in front of a camera of its own.
#[derive(Clone, Debug)]
pub struct Generator {
    seed: u64,
    split: Split,
    size: u32,
    difficulty: f32,
}

impl Generator {
    /// A generator of square images of `size` pixels (clamped to 32..=2048), difficulty 0.5.
    pub fn new(seed: u64, split: Split, size: u32) -> Self {
        Self {
            seed,
            split,
            size: size.clamp(32, 2048),
            difficulty: 0.5,
        }
    }

    /// Sets the difficulty, 0 (strong defects, clean images) to 1.
    #[must_use]
    pub fn with_difficulty(mut self, difficulty: f32) -> Self {
        self.difficulty = if difficulty.is_finite() {
            difficulty.clamp(0.0, 1.0)
        } else {
            0.5
        };
        self
    }

    /// The side of the images in pixels.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The split it draws from.
    pub fn split(&self) -> Split {
        self.split
    }

    /// An image of a given category and kind, for few-shot references and balanced batches.
    pub fn sample_of(&self, category: Category, wanted: Wanted, index: u64) -> Sample {
        let stream = 1
            + category as u64 * 16
            + match wanted {
                Wanted::Normal => 15,
                Wanted::Defect(kind) => kind as u64,
            };
        self.build(category, wanted, &mut self.rng(index, stream))
    }

    fn rng(&self, index: u64, stream: u64) -> Rng {
        let split = match self.split {
            Split::Train => 0,
            Split::Unseen => 1,
        };
        Rng::new(self.seed, split | stream << 8, self.size.into(), index)
    }

    fn build(&self, category: Category, wanted: Wanted, rng: &mut Rng) -> Sample {
        let n = self.size as usize;
        let clean = render::render(category, n, rng);
        let light = Light::draw(rng, self.difficulty);
        let mut clean_lit = vec![[0.0; 3]; n * n];
        light.shade(&clean, Window::whole(n), &mut clean_lit);
        let mut picture = None;
        let mut defects = Vec::new();
        if let Wanted::Defect(kind) = wanted {
            let count = if rng.chance(0.25) { 2 } else { 1 };
            let (p, d) = self.spoil(category, kind, count, &clean, &clean_lit, &light, rng);
            picture = p;
            defects = d;
        }
        let bytes = light.expose(picture.as_deref().unwrap_or(&clean_lit), n);
        let image = RgbImage::from_raw(self.size, self.size, bytes).unwrap_or_default();
        let qa = words::answers(category.object(), &defects, rng);
        Sample {
            image,
            category: category.name().to_owned(),
            object: category.object().to_owned(),
            normal_description: category.normal_description().to_owned(),
            defects,
            qa,
        }
    }

    /// Adds `count` defects of one kind; falls back to other places, then to other kinds.
    #[expect(
        clippy::too_many_arguments,
        reason = "internal; all of it is one image's state"
    )]
    fn spoil(
        &self,
        category: Category,
        kind: DefectKind,
        count: usize,
        clean: &Scene,
        clean_lit: &[Rgb],
        light: &Light,
        rng: &mut Rng,
    ) -> (Option<Vec<Rgb>>, Vec<Defect>) {
        let n = clean.side;
        let mut lit = clean_lit.to_vec();
        let mut scene = clean.clone();
        let mut alpha = vec![0.0; n * n];
        let mut spoiled = clean_lit.to_vec();
        let mut taken = vec![false; n * n];
        let mut defects: Vec<Defect> = Vec::new();
        let mut kind = kind;
        for attempt in 0..36 {
            if defects.len() == count || (attempt >= 12 && !defects.is_empty()) {
                break;
            }
            if attempt >= 16 && attempt % 5 == 0 {
                kind = DefectKind::ALL[rng.below(15)];
            }
            scene.clone_from(clean);
            alpha.fill(0.0);
            let drawn = Painter {
                scene: &mut scene,
                alpha: &mut alpha,
                rng,
                cover: &clean.cover,
                texture: category.is_texture(),
                unit: n as f32 / 256.0,
            }
            .draw(kind);
            let least = mix(0.34, 0.11, self.difficulty);
            let contrast = Contrast {
                target: rng.range(least, mix(0.85, 0.45, self.difficulty)),
                least,
                busy: 0.0,
                most_gain: 3.0,
            };
            let Some(window) = Window::around(&alpha, n).filter(|_| drawn) else {
                continue;
            };
            let window = window.grown(Light::SPREAD, n);
            light.shade(&scene, window, &mut spoiled);
            let draft = Draft {
                kind,
                side: n,
                clean: clean_lit,
                spoiled: &spoiled,
                alpha: &alpha,
                window,
                spread: Light::SPREAD,
            };
            if let Some(done) = draft.finish(contrast) {
                if done.region.iter().any(|i| taken[*i]) {
                    continue;
                }
                for (i, c) in done.region.iter().zip(done.picture) {
                    lit[*i] = c;
                    taken[*i] = true;
                }
                defects.push(done.defect);
            }
        }
        if defects.is_empty() {
            (None, defects)
        } else {
            (Some(lit), defects)
        }
    }
}

impl Scenes for Generator {
    /// Half of the images are normal.
    fn sample(&self, index: u64) -> Sample {
        let mut rng = self.rng(index, 0);
        let list = Category::of(self.split);
        let category = list[rng.below(list.len())];
        let wanted = if rng.chance(0.5) {
            Wanted::Normal
        } else {
            Wanted::Defect(DefectKind::ALL[rng.below(15)])
        };
        self.build(category, wanted, &mut rng)
    }
}
