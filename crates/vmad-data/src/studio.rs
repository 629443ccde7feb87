//! Worlds for tests only: they share no drawing with the worlds of training.

mod board;
mod clean_up;
mod defect_canvas;
mod defects;
mod families;
mod gabor;
mod picture;
mod shapes;
mod world;

pub use defects::{MAX_PAINTED_AREA, MIN_PAINTED_AREA, NOTICEABLE};
pub use world::Studio;

use image::RgbImage;

use crate::defect::{Defect, DefectKind};
use crate::math::Rng;
use picture::Layer;

/// Paints one defect of a kind, sometimes two, onto a clean picture. The result is in place; it has
/// no defects where none could be placed.
pub(crate) fn add_defects(
    image: &mut RgbImage,
    product: Option<&Layer>,
    kind: DefectKind,
    rng: &mut Rng,
) -> Vec<Defect> {
    let mut defects: Vec<Defect> = Vec::new();
    let count = if rng.chance(0.15) { 2 } else { 1 };
    for _ in 0..count {
        let Some(defective) = defects::add_defect(image, product, kind, rng) else {
            break;
        };
        let overlaps = |other: &Defect| {
            let pairs = other.mask.iter().zip(defective.defect.mask.iter());
            pairs.into_iter().any(|(a, b)| *a != 0 && *b != 0)
        };
        if !defects.iter().any(overlaps) {
            *image = defective.image;
            defects.push(defective.defect);
        }
    }
    defects
}
