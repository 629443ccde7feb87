//! The workshop: scenes composed at random from surfaces, forms, features, lamps and cameras.
//!
//! The catalogue shows 24 products again and again; here hardly anything occurs twice, so that a
//! model learns what a defect is rather than what a product is.

mod camera;
mod families;
mod feature;
mod field;
mod form;
mod material;
mod outline;
mod palette;
mod part;
mod pattern;
mod place_features;
mod stage;

use crate::defect::{Defect, DefectKind};
use crate::sample::{Sample, Scenes};

use crate::finish_defect::{Contrast, DrawnDefect};
use crate::math::{Rgb, Rng, mix};
use crate::paint::Painter;
use crate::window::Window;
use crate::words;
use camera::Camera;
use stage::Stage;

/// Category of every scene of the workshop.
const CATEGORY: &str = "workshop";

/// Random products in front of random cameras; nothing of the catalogue.
#[derive(Clone, Debug)]
pub struct Workshop {
    seed: u64,
    size: u32,
    difficulty: f32,
}

impl Workshop {
    /// A workshop of square images of `size` pixels (clamped to 32..=2048), difficulty 0.5.
    pub fn new(seed: u64, size: u32) -> Self {
        Self {
            seed,
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

    /// A scene without a defect, or with defects of one kind; falls back to another kind where
    /// that one finds no place.
    pub fn sample_of(&self, kind: Option<DefectKind>, index: u64) -> Sample {
        let stream = 1 + kind.map_or(15, |k| k as u64);
        let kinds: Vec<DefectKind> = kind.into_iter().collect();
        self.build(&kinds, &mut self.rng(index, stream))
    }

    fn rng(&self, index: u64, stream: u64) -> Rng {
        Rng::new(self.seed, 2 | stream << 8, self.size.into(), index)
    }

    /// A scene with one defect of each of `kinds`.
    fn build(&self, kinds: &[DefectKind], rng: &mut Rng) -> Sample {
        let n = self.size as usize;
        let mut camera = Camera::draw(rng, self.difficulty, n);
        let stage = stage::draw(rng, n, &camera);
        camera.meter(&stage.scene, rng);
        let mut picture = vec![[0.0; 3]; n * n];
        camera.shade(&stage.scene, Window::whole(n), &mut picture);
        let defects = if kinds.is_empty() {
            Vec::new()
        } else {
            self.add_defects(kinds, &stage, &camera, &mut picture, rng)
        };
        let qa = words::answers(&stage.object, &defects, rng);
        Sample {
            image: camera.expose(&picture, n),
            category: CATEGORY.to_owned(),
            object: stage.object,
            normal_description: stage.normal,
            defects,
            qa,
        }
    }

    /// How strong a defect of this kind shall be.
    fn contrast(&self, kind: DefectKind, rng: &mut Rng) -> Contrast {
        // Soft kinds, drawn with the contrast of a hard one, would look like another kind.
        let (low, high) = match kind {
            DefectKind::Dent | DefectKind::Bubble => (0.6, 0.8),
            DefectKind::Discolouration => (0.6, 0.6),
            DefectKind::Stain | DefectKind::Abrasion => (0.8, 0.8),
            _ => (1.0, 1.0),
        };
        let least = low * mix(0.30, 0.12, self.difficulty);
        let most = high * mix(0.85, 0.45, self.difficulty);
        Contrast {
            target: rng.range(least, most),
            least,
            busy: low * mix(0.9, 0.6, self.difficulty),
            most_gain: 1.8,
        }
    }

    /// Draws one defect of each kind into the lit picture; other places, then other kinds, where
    /// one does not fit.
    fn add_defects(
        &self,
        kinds: &[DefectKind],
        stage: &Stage,
        camera: &Camera,
        picture: &mut [Rgb],
        rng: &mut Rng,
    ) -> Vec<Defect> {
        let n = self.size as usize;
        let clean = picture.to_vec();
        let mut defective = picture.to_vec();
        let mut scene = stage.scene.clone();
        let mut alpha = vec![0.0; n * n];
        let mut taken = vec![false; n * n];
        let mut cover = stage.scene.cover.clone();
        let mut defects = Vec::new();
        let spread = camera.spread();
        for wanted in kinds {
            let mut kind = *wanted;
            for attempt in 0..30 {
                if attempt >= 12 && !defects.is_empty() {
                    break;
                }
                if attempt >= 15 && attempt % 3 == 0 {
                    kind = DefectKind::ALL[rng.below(15)];
                }
                if stage.parts > 1 {
                    let part = 1 + rng.below(stage.parts.into()) as u8;
                    for (i, c) in cover.iter_mut().enumerate() {
                        let own = stage.owner[i] == part;
                        *c = if own { stage.scene.cover[i] } else { 0.0 };
                    }
                }
                scene.clone_from(&stage.scene);
                alpha.fill(0.0);
                let size = rng.range(0.6, 1.35) * mix(0.45, 1.0, stage.scale.min(1.0));
                let drawn = Painter {
                    scene: &mut scene,
                    alpha: &mut alpha,
                    rng,
                    cover: &cover,
                    texture: stage.fills,
                    unit: n as f32 / 256.0 * size,
                }
                .draw_varied(kind);
                let contrast = self.contrast(kind, rng);
                let Some(window) = Window::around(&alpha, n).filter(|_| drawn) else {
                    continue;
                };
                let window = window.grown(spread, n);
                camera.shade(&scene, window, &mut defective);
                let drawn_defect = DrawnDefect {
                    kind,
                    side: n,
                    clean: &clean,
                    defective: &defective,
                    alpha: &alpha,
                    window,
                    spread,
                };
                let Some(done) = drawn_defect.finish_defect(contrast) else {
                    continue;
                };
                if done.region.iter().any(|i| taken[*i]) {
                    continue;
                }
                for (i, c) in done.region.iter().zip(done.picture) {
                    picture[*i] = c;
                    taken[*i] = true;
                }
                defects.push(done.defect);
                break;
            }
        }
        // The answers begin with what matters most.
        defects.sort_by_key(|d| std::cmp::Reverse(d.severity));
        defects
    }
}

impl Scenes for Workshop {
    /// Half of the images are normal; of the others, about one in ten shows two kinds of defect.
    fn sample(&self, index: u64) -> Sample {
        let mut rng = self.rng(index, 0);
        let mut kinds = Vec::new();
        if rng.chance(0.5) {
            kinds.push(DefectKind::ALL[rng.below(15)]);
            match rng.below(10) {
                0 => kinds.push(DefectKind::ALL[rng.below(15)]),
                1 | 2 => kinds.push(kinds[0]),
                _ => {}
            }
        }
        self.build(&kinds, &mut rng)
    }
}
