//! What a surface is made of: a base colour under layers of patterns.

use super::palette::Colour;
use super::pattern::Pattern;
use crate::math::{Rgb, Rng, cos, mix, mix3, scale3, sin};

/// Colour, height and gloss of one point of a surface.
#[derive(Clone, Copy)]
pub(super) struct Skin {
    pub rgb: Rgb,
    /// In half image widths.
    pub height: f32,
    pub gloss: f32,
}

/// How a layer's pattern changes the colour.
#[derive(Clone, Copy)]
pub(super) enum Paint {
    /// Brightens and darkens by up to this share.
    Shade(f32),
    /// Lays a colour over the pattern's tone, this opaque.
    Tint(Rgb, f32),
    /// Mixes a colour in by the cell's number, and darkens the joints between cells.
    Cells { rgb: Rgb, amount: f32, joint: f32 },
}

/// One pattern with its place, size and effect.
#[derive(Clone, Copy)]
pub(super) struct Layer {
    pub pattern: Pattern,
    pub seed: u32,
    /// Periods per half image width along x and y.
    pub density: (f32, f32),
    pub turn: (f32, f32),
    pub origin: (f32, f32),
    /// How far clouds bend the pattern, in half image widths.
    pub warp: f32,
    pub paint: Paint,
    /// Height of the pattern in half image widths.
    pub relief: f32,
}

impl Layer {
    /// A layer of `pattern` at random place, as it lies.
    pub(super) fn new(rng: &mut Rng, pattern: Pattern, density: f32, paint: Paint) -> Self {
        Self {
            pattern,
            seed: rng.bits(),
            density: (density, density),
            turn: (1.0, 0.0),
            origin: (rng.sym(3.0), rng.sym(3.0)),
            warp: 0.0,
            paint,
            relief: 0.0,
        }
    }

    pub(super) fn stretched(mut self, along: f32) -> Self {
        self.density.0 /= along;
        self
    }

    pub(super) fn turned(mut self, angle: f32) -> Self {
        self.turn = (cos(angle), sin(angle));
        self
    }

    pub(super) fn warped(mut self, by: f32) -> Self {
        self.warp = by;
        self
    }

    pub(super) fn raised(mut self, by: f32) -> Self {
        self.relief = by;
        self
    }

    pub(super) fn centred(mut self) -> Self {
        self.origin = (0.0, 0.0);
        self
    }
}

/// A material and the words for it.
#[derive(Clone)]
pub(super) struct Material {
    pub base: Colour,
    pub layers: Vec<Layer>,
    pub gloss: f32,
    /// Word before the form, such as "steel".
    pub stuff: &'static str,
    /// What its surface shows, such as "fine straight lines".
    pub look: &'static str,
    /// Names of products of it that fill the frame.
    pub sheets: &'static [&'static str],
}

impl Material {
    /// The surface at a point in half image widths; `pixel` is a pixel's width there.
    pub(super) fn at(&self, u: f32, v: f32, pixel: f32) -> Skin {
        let mut skin = Skin {
            rgb: self.base.rgb,
            height: 0.0,
            gloss: self.gloss,
        };
        for layer in &self.layers {
            let (mut x, mut y) = (u - layer.origin.0, v - layer.origin.1);
            if layer.warp > 0.0 {
                x += layer.warp * (super::field::fbm(layer.seed ^ 77, u * 1.7, v * 1.7, 2) - 0.5);
                y += layer.warp * (super::field::fbm(layer.seed ^ 78, u * 1.7, v * 1.7, 2) - 0.5);
            }
            let (c, s) = layer.turn;
            let (x, y) = (c * x + s * y, c * y - s * x);
            let (fx, fy) = layer.density;
            let mark = layer
                .pattern
                .at(layer.seed, x * fx, y * fy, pixel * fx.max(fy));
            skin.height += layer.relief * mark.rise;
            skin.rgb = match layer.paint {
                Paint::Shade(a) => scale3(skin.rgb, 1.0 + 2.0 * a * (mark.tone - 0.5)),
                Paint::Tint(rgb, a) => mix3(skin.rgb, rgb, a * mark.tone),
                Paint::Cells { rgb, amount, joint } => scale3(
                    mix3(skin.rgb, rgb, amount * mark.id),
                    mix(1.0 - joint, 1.0, mark.tone),
                ),
            };
        }
        skin
    }
}
