//! Turned, mirrored and differently exposed copies of a labelled image, whose answers stay true.

use crate::defect::{Defect, DefectKind};
use crate::math::{Rgb, Rng, lum, mix, mix3};
use crate::sample::Sample;
use crate::words;
use image::{ImageBuffer, Pixel, RgbImage};
use rand_chacha::rand_core::RngCore;

/// One of the eight ways to lay a square onto itself: a transposition, then mirrorings.
#[derive(Clone, Copy)]
struct Turn {
    transposed: bool,
    mirrored: bool,
    upended: bool,
}

impl Turn {
    fn of<P: Pixel>(
        self,
        image: &ImageBuffer<P, Vec<P::Subpixel>>,
    ) -> ImageBuffer<P, Vec<P::Subpixel>> {
        let (w, h) = image.dimensions();
        let (w, h) = if self.transposed { (h, w) } else { (w, h) };
        ImageBuffer::from_fn(w, h, |x, y| {
            let x = if self.mirrored { w - 1 - x } else { x };
            let y = if self.upended { h - 1 - y } else { y };
            let (x, y) = if self.transposed { (y, x) } else { (x, y) };
            *image.get_pixel(x, y)
        })
    }
}

impl Sample {
    /// A copy as another camera would have taken it: turned by quarter turns or mirrored, then
    /// with other brightness, contrast, gamma, hue and saturation, softness and noise.
    ///
    /// Masks turn along; places and sizes are measured anew and the answers composed anew, where
    /// there are any. Each
    /// [`Defect::contrast`] stays that of the original photograph. Deterministic in `rng`.
    #[must_use]
    pub fn augmented(&self, rng: &mut impl RngCore) -> Sample {
        let mut rng = Rng::new(rng.next_u64(), 0, 0, 0);
        let bits = rng.bits();
        let turn = Turn {
            transposed: bits & 1 == 1,
            mirrored: bits >> 1 & 1 == 1,
            upended: bits >> 2 & 1 == 1,
        };
        let defects: Vec<Defect> = self
            .defects
            .iter()
            .filter_map(|d| Defect::measured(d.kind, turn.of(&d.mask), d.contrast))
            .collect();
        let mut image = turn.of(&self.image);
        let coloured = defects
            .iter()
            .any(|d| matches!(d.kind, DefectKind::Discolouration | DefectKind::Stain));
        Jitter::draw(&mut rng, coloured).apply(&mut image, &mut rng);
        Sample {
            image,
            category: self.category.clone(),
            object: self.object.clone(),
            normal_description: self.normal_description.clone(),
            qa: match self.qa.is_empty() {
                true => Vec::new(),
                false => words::answers(&self.object, &defects, &mut rng),
            },
            defects,
        }
    }
}

/// Changes of colour and sharpness.
struct Jitter {
    gain: Rgb,
    /// Bend of the tone curve, above zero brightens.
    bend: f32,
    contrast: f32,
    saturation: f32,
    /// Rows of the hue rotation around grey.
    hue: f32,
    blur: f32,
    noise: f32,
}

impl Jitter {
    /// `coloured` keeps enough colour for defects that are nothing but colour.
    fn draw(rng: &mut Rng, coloured: bool) -> Self {
        let gain = 1.0 + rng.sym(0.2);
        let grey = rng.chance(0.1);
        let saturation = rng.range(0.5, 1.4);
        let blurred = rng.chance(0.25);
        let noisy = rng.chance(0.3);
        Self {
            gain: [gain + rng.sym(0.05), gain, gain + rng.sym(0.05)],
            bend: rng.range(-0.25, 0.4),
            contrast: 1.0 + rng.sym(0.18),
            saturation: match (grey, coloured) {
                (true, false) => 0.0,
                (_, true) => saturation.max(0.8),
                (false, false) => saturation,
            },
            hue: rng.sym(0.22),
            blur: if blurred { rng.range(0.05, 0.2) } else { 0.0 },
            noise: if noisy { rng.range(0.0, 0.02) } else { 0.0 },
        }
    }

    fn apply(&self, image: &mut RgbImage, rng: &mut Rng) {
        if self.blur > 0.0 {
            soften(image, self.blur);
        }
        // Contrast, gain and tone curve act on each channel alone: one table for each.
        let table: [Vec<f32>; 3] = self.gain.map(|gain| {
            let curve = |byte: u32| {
                let v = byte as f32 / 255.0 * gain;
                let v = v * (1.0 + self.bend) / (1.0 + self.bend * v);
                (v - 0.5) * self.contrast + 0.5
            };
            (0..256).map(curve).collect()
        });
        let rotation = hue_rotation(self.hue);
        let seed = rng.bits();
        let a = self.noise / 104.5;
        for (i, p) in image.pixels_mut().enumerate() {
            let c = [0, 1, 2].map(|k| table[k][usize::from(p.0[k])]);
            let c = rotation.map(|row| row[0] * c[0] + row[1] * c[1] + row[2] * c[2]);
            let c = mix3([lum(c); 3], c, self.saturation);
            let noise = if a > 0.0 {
                let h = crate::math::hash(seed, i as i32, 0);
                a * (((h & 255) + (h >> 8 & 255)) as f32 - 255.0)
            } else {
                0.0
            };
            p.0 = c.map(|v| ((v + noise).clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
        }
    }
}

/// The rotation of colours around the grey axis by `angle` radians.
fn hue_rotation(angle: f32) -> [Rgb; 3] {
    let (c, s) = (crate::math::cos(angle), crate::math::sin(angle));
    let (same, third) = (mix(1.0 / 3.0, 1.0, c), (1.0 - c) / 3.0);
    let lean = s * 0.577_350_3;
    [
        [same, third - lean, third + lean],
        [third + lean, same, third - lean],
        [third - lean, third + lean, same],
    ]
}

/// Mixes each pixel with its four neighbours, the outermost ones excepted.
fn soften(image: &mut RgbImage, share: f32) {
    let (w, h) = image.dimensions();
    let row = w as usize * 3;
    let source = image.as_raw().clone();
    let share = (share * 256.0) as u32;
    for y in 1..h.saturating_sub(1) as usize {
        for i in y * row + 3..(y + 1) * row - 3 {
            let around = [i - 3, i + 3, i - row, i + row];
            let sum: u32 = around.iter().map(|k| u32::from(source[*k])).sum();
            let own = u32::from(source[i]) * 4;
            image.as_mut()[i] = ((own * (256 - share) + sum * share + 512) / 1024) as u8;
        }
    }
}
