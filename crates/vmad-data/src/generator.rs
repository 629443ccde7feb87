//! From (seed, split, size, index) to a labelled image.

use crate::category::{Category, Split};
use crate::defect::{Defect, DefectKind};
use crate::finish_defect::{Contrast, DrawnDefect};
use crate::math::{Rgb, Rng, mix};
use crate::paint::Painter;
use crate::render;
use crate::sample::{Sample, Scenes, Wanted};
use crate::scene::{Light, Scene};
use crate::window::Window;
use crate::words;
use image::RgbImage;

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
            let (p, d) = self.add_defects(category, kind, count, &clean, &clean_lit, &light, rng);
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
    fn add_defects(
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
        let mut defective = clean_lit.to_vec();
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
            light.shade(&scene, window, &mut defective);
            let drawn_defect = DrawnDefect {
                kind,
                side: n,
                clean: clean_lit,
                defective: &defective,
                alpha: &alpha,
                window,
                spread: Light::SPREAD,
            };
            if let Some(done) = drawn_defect.finish_defect(contrast) {
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
