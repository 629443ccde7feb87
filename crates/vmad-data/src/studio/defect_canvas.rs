//! What painters paint with: places, coverage and blending.

use tiny_skia::PathBuilder;

use super::picture::{Layer, Picture, Spot, brightness};
use super::shapes::polar;
use crate::math::{Rgb, Rng, length, mix3};

/// A picture being spoiled.
pub(crate) struct DefectCanvas<'a> {
    pub picture: Picture,
    /// The same picture without any defect.
    pub before: &'a Picture,
    /// Where the product is; everywhere if not given.
    product: Option<&'a Layer>,
    /// Whether the product's outline lies in the picture.
    outlined: bool,
    pub rng: &'a mut Rng,
    /// Pixels of this picture per pixel of one that is 256 high or wide.
    pub unit: f32,
}

impl<'a> DefectCanvas<'a> {
    pub(crate) fn new(before: &'a Picture, product: Option<&'a Layer>, rng: &'a mut Rng) -> Self {
        Self {
            picture: before.clone(),
            before,
            product,
            outlined: product.is_some_and(|p| p.values.iter().any(|v| *v < 0.5)),
            rng,
            unit: before.width.min(before.height) as f32 / 256.0,
        }
    }

    /// A length in pixels, between two given for a picture of 256 pixels.
    pub(crate) fn span(&mut self, lo: f32, hi: f32) -> f32 {
        self.rng.range(lo, hi) * self.unit
    }

    /// Brightness 0..1 around a spot.
    pub(crate) fn brightness(&self, spot: Spot) -> f32 {
        brightness(self.base(spot))
    }

    /// Mean light around a spot.
    pub(crate) fn base(&self, spot: Spot) -> Rgb {
        self.before.mean(spot, 7.0 * self.unit)
    }

    fn is_product(&self, (x, y): Spot) -> bool {
        self.product.is_none_or(|p| p.at(x, y) > 0.99)
    }

    /// A place with product `reach` pixels around it. Of a few, the one that `taste` likes best.
    pub(crate) fn place(&mut self, reach: f32, taste: impl Fn(&Self, Spot) -> f32) -> Option<Spot> {
        let (w, h) = (self.before.width as f32, self.before.height as f32);
        let margin = 0.08 * w.min(h);
        let mut best: Option<(Spot, f32)> = None;
        let mut found = 0;
        for _ in 0..80 {
            let x = self.rng.range(margin, w - margin);
            let y = self.rng.range(margin, h - margin);
            let around = (0..8).map(|k| k as f32 * std::f32::consts::FRAC_PI_4);
            let mut rim = around.map(|angle| polar((x, y), angle, reach));
            if !self.is_product((x, y)) || !rim.all(|p| self.is_product(p)) {
                continue;
            }
            let score = taste(self, (x, y));
            if best.is_none_or(|(_, high)| score > high) {
                best = Some(((x, y), score));
            }
            found += 1;
            if found == 4 {
                break;
            }
        }
        best.map(|(spot, _)| spot)
    }

    /// A place on an outline with the direction out of it: the product's own outline where that is
    /// known and seen, otherwise the sharpest border of light and dark among many places.
    pub(crate) fn edge(&mut self) -> Option<(Spot, Spot)> {
        let (w, h) = (self.before.width as f32, self.before.height as f32);
        let margin = 0.10 * w.min(h);
        let mut best: Option<(Spot, Spot, f32)> = None;
        for _ in 0..60 {
            let spot = (
                self.rng.range(margin, w - margin),
                self.rng.range(margin, h - margin),
            );
            let slope = self.slope(spot, 6.0 * self.unit);
            let steep = length(slope.0, slope.1) * self.rng.range(0.5, 1.0);
            if best.is_none_or(|(.., high)| steep > high) {
                best = Some((spot, slope, steep));
            }
        }
        let (spot, slope, steep) = best?;
        if steep < 1e-4 {
            return None;
        }
        let scale = length(slope.0, slope.1);
        let mut out = (slope.0 / scale, slope.1 / scale);
        // Coverage rises inwards; with light alone, the brighter side is mostly the piece.
        if self.outlined || self.rng.chance(0.8) {
            out = (-out.0, -out.1);
        }
        Some((self.snap(spot, out, 7.0 * self.unit), out))
    }

    /// The steepest point within `reach` along a direction.
    pub(crate) fn snap(&self, spot: Spot, along: Spot, reach: f32) -> Spot {
        let fine = 1.5 * self.unit.max(0.7);
        let mut best = (spot, f32::MIN);
        for k in -8i8..=8 {
            let t = f32::from(k) / 8.0;
            let point = (spot.0 + along.0 * t * reach, spot.1 + along.1 * t * reach);
            let slope = self.slope(point, fine);
            let steep = (slope.0 * along.0 + slope.1 * along.1).abs() * (1.0 - 0.4 * t.abs());
            if steep > best.1 {
                best = (point, steep);
            }
        }
        best.0
    }

    /// Gradient of the product's coverage, or of the brightness where there is none or it is even.
    fn slope(&self, spot: Spot, reach: f32) -> Spot {
        let sum = |value: &dyn Fn(Spot) -> f32| {
            let (mut gx, mut gy) = (0.0, 0.0);
            for k in 0..12 {
                let angle = k as f32 * std::f32::consts::TAU / 12.0;
                let (dx, dy) = polar((0.0, 0.0), angle, 1.0);
                let v = value((spot.0 + dx * reach, spot.1 + dy * reach));
                gx += v * dx / 6.0;
                gy += v * dy / 6.0;
            }
            (gx, gy)
        };
        let light = |(x, y): Spot| brightness(self.before.sample(x, y));
        match self.product {
            Some(product) if self.outlined => sum(&|(x, y)| product.at(x, y)),
            _ => sum(&light),
        }
    }

    pub(crate) fn fill(&self, outlines: PathBuilder) -> Layer {
        Layer::fill(self.before.width, self.before.height, outlines)
    }

    pub(crate) fn stroke(&self, lines: PathBuilder, pen: f32) -> Layer {
        Layer::stroke(self.before.width, self.before.height, lines, pen)
    }

    /// Replaces pixels of the product by `change(x, y, old)` as far as they are covered.
    pub(crate) fn paint(&mut self, layer: &Layer, change: impl Fn(f32, f32, Rgb) -> Rgb) {
        let product = self.product;
        self.apply(layer, product, change);
    }

    /// [`DefectCanvas::paint`], beside the product too.
    pub(crate) fn paint_over(&mut self, layer: &Layer, change: impl Fn(f32, f32, Rgb) -> Rgb) {
        self.apply(layer, None, change);
    }

    fn apply(
        &mut self,
        layer: &Layer,
        within: Option<&Layer>,
        change: impl Fn(f32, f32, Rgb) -> Rgb,
    ) {
        let width = self.picture.width;
        for (i, pixel) in self.picture.pixels.iter_mut().enumerate() {
            let share = layer.values[i] * within.map_or(1.0, |w| w.values[i]);
            if share > 0.0 {
                let (x, y) = ((i % width) as f32 + 0.5, (i / width) as f32 + 0.5);
                *pixel = mix3(*pixel, change(x, y, *pixel), share);
            }
        }
    }

    /// Darkens through a filter of colour `tint`.
    pub(crate) fn multiply(&mut self, layer: &Layer, tint: Rgb) {
        self.paint(layer, |_, _, c| [0, 1, 2].map(|k| c[k] * tint[k]));
    }

    /// Adds light of a colour, as a bright film does.
    pub(crate) fn screen(&mut self, layer: &Layer, light: Rgb) {
        self.paint(layer, |_, _, c| {
            [0, 1, 2].map(|k| 1.0 - (1.0 - c[k]) * (1.0 - light[k]))
        });
    }

    /// Covers with an opaque colour that keeps a share of the photograph's own grain.
    pub(crate) fn cover(&mut self, layer: &Layer, colour: Rgb, grain: f32) {
        let before = self.before;
        let reach = 3.0 * self.unit;
        self.paint(layer, |x, y, _| {
            let own = crate::math::lum(before.pixels[before.index(x, y)]);
            let mean = crate::math::lum(before.mean((x, y), reach)).max(1e-3);
            let grain = 1.0 + grain * (own / mean - 1.0).clamp(-0.5, 0.6);
            colour.map(|c| (c * grain).clamp(0.0, 1.0))
        });
    }

    /// Takes each covered pixel from where `source(x, y)` points, in the picture as it is now.
    pub(crate) fn warp(&mut self, layer: &Layer, source: impl Fn(f32, f32) -> Spot) {
        let now = self.picture.clone();
        self.paint(layer, |x, y, _| {
            let (sx, sy) = source(x, y);
            now.sample(sx, sy)
        });
    }
}
