//! Products as an illustrator would draw them and a photo booth would show them: vector shapes,
//! noise over the picture, and light that is painted on.

use image::RgbImage;

use super::add_defects;
use super::board::Board;
use super::families::{FAMILIES, Family};
use super::gabor::Gabor;
use super::picture::{Layer, Picture, linear};
use crate::defect::DefectKind;
use crate::error::DataError;
use crate::math::{Rgb, Rng, cos, hash01, mix3, sin, smooth};
use crate::sample::{Sample, Scenes, Wanted};
use crate::words;

/// Streams of random numbers.
const CHOICE: u64 = 0x200;
const VIEW: u64 = 0x201;
const DEFECT: u64 = 0x202;

/// Papers to lie on.
const PAPERS: [Rgb; 6] = [
    [0.80, 0.80, 0.78],
    [0.36, 0.42, 0.48],
    [0.62, 0.66, 0.60],
    [0.24, 0.24, 0.27],
    [0.74, 0.66, 0.56],
    [0.46, 0.36, 0.38],
];

/// Eight drawn products that no training world has.
#[derive(Clone, Debug)]
pub struct Studio {
    seed: u64,
    size: u32,
}

impl Studio {
    /// Square pictures of `size` pixels (clamped to 32..=2048).
    pub fn new(seed: u64, size: u32) -> Self {
        Self {
            seed,
            size: size.clamp(32, 2048),
        }
    }

    /// Names of the products, as in [`Sample::category`].
    pub fn families() -> impl Iterator<Item = &'static str> {
        FAMILIES.iter().map(|family| family.name)
    }

    /// A picture of one product. The same index gives the same view whatever is wanted, so the
    /// normal one is exactly what the others were painted on.
    ///
    /// # Errors
    /// [`DataError::UnknownCategory`].
    pub fn sample_of(&self, name: &str, wanted: Wanted, index: u64) -> Result<Sample, DataError> {
        let family = FAMILIES.iter().find(|family| family.name == name);
        let family = family.ok_or_else(|| DataError::UnknownCategory { name: name.into() })?;
        Ok(self.build(family, wanted, index))
    }

    fn build(&self, family: &Family, wanted: Wanted, index: u64) -> Sample {
        let (seed, size) = (self.seed, u64::from(self.size));
        let (mut image, product) =
            photograph(family, self.size, &mut Rng::new(seed, VIEW, size, index));
        let mut rng = Rng::new(seed, DEFECT, size, index);
        let defects = match wanted {
            Wanted::Normal => Vec::new(),
            Wanted::Defect(kind) => add_defects(&mut image, Some(&product), kind, &mut rng),
        };
        Sample {
            qa: words::answers(family.object, &defects, &mut rng),
            image,
            category: family.name.to_owned(),
            object: family.object.to_owned(),
            normal_description: family.normal_description.to_owned(),
            defects,
        }
    }
}

impl Scenes for Studio {
    /// Half of the pictures are normal.
    fn sample(&self, index: u64) -> Sample {
        let mut rng = Rng::new(self.seed, CHOICE, self.size.into(), index);
        let family = &FAMILIES[rng.below(FAMILIES.len())];
        let kind = DefectKind::ALL[rng.below(DefectKind::ALL.len())];
        let wanted = if rng.chance(0.5) {
            Wanted::Normal
        } else {
            Wanted::Defect(kind)
        };
        self.build(family, wanted, index)
    }
}

/// The finished picture of a normal product, and where the product is.
fn photograph(family: &Family, side: u32, rng: &mut Rng) -> (RgbImage, Layer) {
    let turn = rng.sym(family.turn);
    let scale = rng.range(0.86, 1.06);
    let away = (rng.sym(6.0), rng.sym(6.0));
    let Some(mut board) = Board::new(side, turn, scale, away) else {
        // Only a side of zero has no board, and sides are clamped.
        return (RgbImage::new(side, side), Layer::empty(0, 0));
    };
    (family.draw)(&mut board, rng);
    let (mut picture, cover) = board.develop();
    let unit = side as f32 / 200.0;
    texture(&mut picture, family, turn, unit, rng);
    let lamp = rng.range(-2.6, -0.5);
    relief(&mut picture, &cover, family.bevel * unit, lamp);
    reflection(&mut picture, family.gloss, lamp, rng);
    let scene = backdrop(&picture, &cover, lamp, unit, rng);
    (scene.expose(), cover)
}

/// Multiplies the material's grain in, turned as the product is.
fn texture(picture: &mut Picture, family: &Family, turn: f32, unit: f32, rng: &mut Rng) {
    let grain = &family.grain;
    let noise = Gabor {
        seed: rng.bits(),
        cell: (grain.cell * unit).max(1.0),
        waves: grain.waves,
        angle: turn + std::f32::consts::FRAC_PI_2,
        freedom: grain.freedom,
    };
    let clouds = Gabor::clouds(rng.bits(), 40.0 * unit);
    let width = picture.width;
    for (i, pixel) in picture.pixels.iter_mut().enumerate() {
        let (x, y) = ((i % width) as f32, (i / width) as f32);
        let gain = 1.0 + grain.strength * noise.at(x, y) + 0.03 * clouds.at(x, y);
        *pixel = pixel.map(|c| c * gain.max(0.0));
    }
}

/// Rounds the border: lit towards the lamp, shaded away from it.
fn relief(picture: &mut Picture, cover: &Layer, bevel: f32, lamp: f32) {
    if bevel <= 0.0 {
        return;
    }
    let soft = cover.blurred(bevel);
    let (lx, ly) = (cos(lamp) * bevel.max(1.0), sin(lamp) * bevel.max(1.0));
    let width = picture.width;
    for (i, pixel) in picture.pixels.iter_mut().enumerate() {
        let (x, y) = ((i % width) as f32, (i / width) as f32);
        // Coverage falls off towards the lamp on the side that faces it.
        let lit = (soft.at(x - lx, y - ly) - soft.at(x + lx, y + ly)) * 0.45;
        *pixel = pixel.map(|c| (c * (1.0 + lit) + 0.06 * lit.max(0.0)).clamp(0.0, 1.0));
    }
}

/// A soft band of light across glossy products.
fn reflection(picture: &mut Picture, gloss: f32, lamp: f32, rng: &mut Rng) {
    let side = picture.width as f32;
    let (c, s) = (cos(lamp), sin(lamp));
    let (at, wide) = (rng.range(0.05, 0.3), rng.range(0.06, 0.16));
    let width = picture.width;
    for (i, pixel) in picture.pixels.iter_mut().enumerate() {
        let (x, y) = (
            (i % width) as f32 / side - 0.5,
            (i / width) as f32 / side - 0.5,
        );
        let across = (x * c + y * s - at).abs() / wide;
        let light = gloss * (1.0 - smooth(0.0, 1.0, across)) * 0.6;
        *pixel = pixel.map(|v| 1.0 - (1.0 - v) * (1.0 - light));
    }
}

/// The product on a sheet of paper under a softbox.
fn backdrop(product: &Picture, cover: &Layer, lamp: f32, unit: f32, rng: &mut Rng) -> Picture {
    let paper = linear(PAPERS[rng.below(PAPERS.len())]);
    let (lx, ly) = (cos(lamp), sin(lamp));
    let near = cover
        .blurred(3.0 * unit)
        .moved(-2.0 * unit * lx, -2.0 * unit * ly);
    let far = cover
        .blurred(14.0 * unit)
        .moved(-6.0 * unit * lx, -6.0 * unit * ly);
    let fall = rng.range(0.10, 0.45);
    let vignette = rng.range(0.0, 0.35);
    let exposure = rng.range(0.9, 1.08);
    let warmth = rng.sym(0.03);
    let seed = rng.bits();
    let side = product.width as f32;
    let width = product.width;
    let light = |i: usize| {
        let (x, y) = ((i % width) as f32, (i / width) as f32);
        let (u, v) = (x / side - 0.5, y / side - 0.5);
        let shadow = (1.0 - 0.45 * near.values[i]) * (1.0 - 0.35 * far.values[i]);
        let ground = paper.map(|c| c * shadow);
        let seen = mix3(ground, product.pixels[i], cover.values[i]);
        let grain = 1.0 + 0.03 * (hash01(seed, x as i32, y as i32) - 0.5);
        let softbox = 1.0 + fall * (u * lx + v * ly) - vignette * (u * u + v * v);
        let gain = exposure * softbox * grain;
        [seen[0] * (1.0 + warmth), seen[1], seen[2] * (1.0 - warmth)]
            .map(|c| (c * gain).clamp(0.0, 1.0))
    };
    Picture {
        width,
        height: product.height,
        pixels: (0..product.pixels.len()).map(light).collect(),
    }
}
