//! What the families share.

use crate::math::Rng;
use crate::workshop::material::{Layer, Material};
use crate::workshop::palette::Colour;
use std::f32::consts::FRAC_PI_2;

/// A material of these properties.
pub(super) fn material(
    base: Colour,
    gloss: f32,
    stuff: &'static str,
    look: &'static str,
    sheets: &'static [&'static str],
    layers: Vec<Layer>,
) -> Material {
    Material {
        base,
        layers,
        gloss,
        stuff,
        look,
        sheets,
    }
}

/// One of a list, each as likely as the others.
pub(super) fn choose<T: Copy>(rng: &mut Rng, list: &[T]) -> T {
    list[rng.below(list.len())]
}

/// A direction: mostly along an axis.
pub(super) fn grain_direction(rng: &mut Rng) -> f32 {
    match rng.below(5) {
        0 | 1 => 0.0,
        2 | 3 => FRAC_PI_2,
        _ => rng.angle(),
    }
}
