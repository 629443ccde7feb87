//! From (seed, split, size, index) to a labelled image.

use crate::category::{Category, Split};
use crate::defect::{Defect, DefectKind, Location, Severity, SizeWord};
use crate::math::{Rgb, Rng};
use crate::paint::Painter;
use crate::render;
use crate::scene::{Light, Scene};
use crate::words::{self, Qa};
use image::{GrayImage, Luma, RgbImage};

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
    /// None for a normal image, otherwise one or two of the same kind.
    pub defects: Vec<Defect>,
    /// Description, impact and suggestion, in this order.
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
        let clean_lit = light.shade(&clean);
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
            let mut scene = clean.clone();
            let mut alpha = vec![0.0; n * n];
            let drawn = Painter {
                scene: &mut scene,
                alpha: &mut alpha,
                rng,
                cover: &clean.cover,
                texture: category.is_texture(),
                unit: n as f32 / 256.0,
            }
            .draw(kind);
            let target = {
                let d = self.difficulty;
                let lo = crate::math::mix(0.34, 0.11, d);
                let hi = crate::math::mix(0.85, 0.45, d);
                (rng.range(lo, hi), lo)
            };
            if !drawn {
                continue;
            }
            if let Some((region, picture, defect)) =
                finish(kind, n, clean_lit, &light.shade(&scene), &alpha, target)
            {
                if region.iter().any(|i| taken[*i]) {
                    continue;
                }
                for (i, c) in region.iter().zip(picture) {
                    lit[*i] = c;
                    taken[*i] = true;
                }
                defects.push(defect);
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

/// Largest channel difference.
fn difference(a: Rgb, b: Rgb) -> f32 {
    (a[0] - b[0])
        .abs()
        .max((a[1] - b[1]).abs())
        .max((a[2] - b[2]).abs())
}

fn median(values: &mut [f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let k = values.len() / 2;
    *values.select_nth_unstable_by(k, f32::total_cmp).1
}

/// Brings a defect to its contrast and cuts its mask to the pixels that changed.
///
/// Gives the touched pixels, their colours and the defect; nothing when it is too faint, too small
/// or too large.
fn finish(
    kind: DefectKind,
    n: usize,
    clean: &[Rgb],
    spoiled: &[Rgb],
    alpha: &[f32],
    (target, least): (f32, f32),
) -> Option<(Vec<usize>, Vec<Rgb>, Defect)> {
    let touched = dilate(alpha, n, 2);
    let region: Vec<usize> = (0..n * n).filter(|i| touched[*i]).collect();
    let mut core: Vec<f32> = region
        .iter()
        .filter(|i| alpha[**i] > 0.5)
        .map(|i| difference(clean[*i], spoiled[*i]))
        .collect();
    let natural = median(&mut core);
    if natural < 0.03 {
        return None;
    }
    // Too strong for the drawn target: fade. Too weak for the difficulty: exaggerate.
    let gain = if natural > target {
        // A faded opening would look like a film on the surface.
        let opaque = matches!(
            kind,
            DefectKind::Hole | DefectKind::Cut | DefectKind::Chip | DefectKind::Burn
        );
        (target / natural).max(if opaque { 0.65 } else { 0.0 })
    } else if natural < least * 1.25 {
        (least * 1.25 / natural).min(3.0)
    } else {
        1.0
    };
    let picture: Vec<Rgb> = region
        .iter()
        .map(|i| {
            let (c, s) = (clean[*i], spoiled[*i]);
            [0, 1, 2].map(|k| (c[k] + gain * (s[k] - c[k])).clamp(0.0, 1.0))
        })
        .collect();
    let threshold = (0.30 * natural * gain).clamp(0.05, 0.12);
    let mut hit = vec![false; n * n];
    for (i, c) in region.iter().zip(&picture) {
        hit[*i] = difference(clean[*i], *c) > threshold;
    }
    let hit = close(&hit, alpha, n);
    let mut inside: Vec<f32> = region
        .iter()
        .zip(&picture)
        .filter(|(i, _)| hit[**i])
        .map(|(i, c)| difference(clean[*i], *c))
        .collect();
    let area = inside.len() as f32 / (n * n) as f32;
    let contrast = median(&mut inside);
    if !(MIN_AREA..=MAX_AREA).contains(&area) || contrast < least.max(0.09) {
        return None;
    }
    let mut mask = GrayImage::new(n as u32, n as u32);
    let (mut sx, mut sy, mut count) = (0.0f64, 0.0f64, 0.0f64);
    let (mut lo, mut hi) = ((n, n), (0, 0));
    for (i, _) in hit.iter().enumerate().filter(|(_, h)| **h) {
        let (x, y) = (i % n, i / n);
        mask.put_pixel(x as u32, y as u32, Luma([255]));
        sx += x as f64;
        sy += y as f64;
        count += 1.0;
        lo = (lo.0.min(x), lo.1.min(y));
        hi = (hi.0.max(x), hi.1.max(y));
    }
    let extent = (hi.0 + 1 - lo.0).max(hi.1 + 1 - lo.1) as f32 / n as f32;
    let size = SizeWord::of(extent);
    let centre = |sum: f64| ((sum / count + 0.5) / n as f64) as f32;
    let defect = Defect {
        kind,
        mask,
        location: Location::of(centre(sx), centre(sy)),
        size,
        severity: Severity::of(kind, size),
        contrast,
    };
    Some((region, picture, defect))
}

/// Pixels within `r` (square) of any that belongs to the defect.
fn dilate(alpha: &[f32], n: usize, r: usize) -> Vec<bool> {
    let mut out = vec![false; n * n];
    for (i, _) in alpha.iter().enumerate().filter(|(_, a)| **a > 0.0) {
        let (x, y) = (i % n, i / n);
        for yy in y.saturating_sub(r)..=(y + r).min(n - 1) {
            for o in &mut out[yy * n + x.saturating_sub(r)..=yy * n + (x + r).min(n - 1)] {
                *o = true;
            }
        }
    }
    out
}

/// Fills pixels of the defect that lie between changed ones (a dent's flat centre line), and drops
/// changed pixels that have no changed neighbour.
fn close(hit: &[bool], alpha: &[f32], n: usize) -> Vec<bool> {
    let mut out = hit.to_vec();
    let r = 2;
    for y in r..n.saturating_sub(r) {
        for x in r..n - r {
            let i = y * n + x;
            if !hit[i] && alpha[i] <= 0.35 {
                continue;
            }
            let around = |r: usize| {
                (y - r..=y + r)
                    .map(|yy| {
                        hit[yy * n + x - r..=yy * n + x + r]
                            .iter()
                            .filter(|h| **h)
                            .count()
                    })
                    .sum::<usize>()
            };
            out[i] = if hit[i] {
                around(1) >= 3
            } else {
                around(2) >= 9
            };
        }
    }
    out
}
