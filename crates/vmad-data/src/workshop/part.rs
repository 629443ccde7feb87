//! A part: outline, section, material and features, and its way into a scene.

use super::form::{self, Form};
use super::material::{Material, Skin};
use super::outline::Outline;
use super::place_features::{PlacedFeatures, place_features};
use super::{families, palette};
use crate::math::{Rgb, Rng, cos, mix, mix3, scale3, sin, smooth};
use crate::scene::Scene;

/// How the height runs from the outline inwards.
#[derive(Clone, Copy)]
enum Section {
    /// Level behind a bevel of this width.
    Level(f32),
    /// Round, as a pin: width until level and height.
    Round(f32, f32),
    /// A raised or lowered rim: bevel, width and height.
    Rim(f32, f32, f32),
}

/// A part.
pub(super) struct Part {
    pub form: Form,
    pub material: Material,
    pub features: PlacedFeatures,
    section: Section,
    /// Colour of a border, and its width.
    trim: Option<(Rgb, f32)>,
}

/// From image to part coordinates, both in half widths.
#[derive(Clone, Copy)]
pub(super) struct Pose {
    pub centre: (f32, f32),
    pub scale: f32,
    pub angle: f32,
    /// Perspective and shear.
    pub tilt: (f32, f32),
    pub shear: f32,
}

impl Part {
    /// A part of any form; `like` keeps its material different from that colour.
    pub(super) fn draw(rng: &mut Rng, like: Rgb) -> Self {
        let form = form::draw(rng);
        let mut material = families::solid(rng);
        for _ in 0..4 {
            if palette::distance(material.base.rgb, like) > 0.16 {
                break;
            }
            material = families::solid(rng);
        }
        let section = if form.domed {
            let wide = rng.range(0.2, 0.5);
            Section::Round(wide, wide * rng.range(0.5, 0.9))
        } else {
            let bevel = rng.range(0.01, 0.08);
            match rng.below(4) {
                0 => Section::Rim(bevel, rng.range(0.06, 0.14), rng.sym(0.05)),
                _ => Section::Level(bevel),
            }
        };
        let features = place_features(rng, &form.outline, material.base.rgb, 0.8);
        let trim = rng.chance(0.12).then(|| {
            (
                palette::against(rng, material.base.rgb).rgb,
                rng.range(0.03, 0.12),
            )
        });
        Self {
            form,
            material,
            features,
            section,
            trim,
        }
    }

    /// A surface that fills the frame.
    pub(super) fn surface(rng: &mut Rng) -> Self {
        let material = families::product(rng);
        let features = place_features(rng, &Outline::Endless, material.base.rgb, 0.9);
        Self {
            form: Form {
                outline: Outline::Endless,
                noun: "",
                look: "",
                loose: true,
                domed: false,
            },
            material,
            features,
            section: Section::Level(0.03),
            trim: None,
        }
    }

    /// The part at a point, with coverage; `zoom` keeps the material's pattern at its own size.
    fn at(&self, u: f32, v: f32, px: f32, zoom: f32) -> Option<(Skin, f32)> {
        let mut d = self.form.outline.distance(u, v);
        if d > px {
            return None;
        }
        for cut in &self.features.cuts {
            d = d.max(cut.depth(u, v));
        }
        let cover = (0.5 - d / px).clamp(0.0, 1.0);
        if cover <= 0.0 {
            return None;
        }
        let mut skin = self.material.at(u * zoom, v * zoom, px * zoom);
        if let Some((rgb, wide)) = self.trim {
            skin.rgb = mix3(skin.rgb, rgb, smooth(-wide - px, -wide, d));
        }
        let own = match self.section {
            Section::Level(bevel) => slope(d, bevel),
            Section::Round(wide, tall) => {
                let q = (1.0 + d / wide).clamp(0.0, 1.0);
                tall * (1.0 - q * q).sqrt()
            }
            Section::Rim(bevel, wide, rise) => {
                slope(d, bevel) + rise * smooth(-wide - 0.02, -wide, d)
            }
        };
        for feature in &self.features.features {
            feature.apply(&mut skin, u, v, px);
        }
        skin.height += own * zoom;
        Some((skin, cover))
    }

    /// Draws the part into a scene. `product`: the part belongs to the product.
    pub(super) fn stamp(
        &self,
        scene: &mut Scene,
        pose: &Pose,
        product: bool,
        tone: f32,
        owner: &mut Owner,
    ) {
        let n = scene.side;
        let reach = self.form.outline.reach() * pose.scale * 1.3;
        let span = |c: f32| {
            let pixel = |t: f32| ((t + 1.0) * 0.5 * n as f32).clamp(0.0, n as f32) as usize;
            (pixel(c - reach), pixel(c + reach + 2.0 / n as f32))
        };
        let ((x0, x1), (y0, y1)) = (span(pose.centre.0), span(pose.centre.1));
        let inv = 2.0 / n as f32;
        let (c, s) = (cos(pose.angle), sin(pose.angle));
        let px = inv / pose.scale;
        for y in y0..y1 {
            let v = (y as f32 + 0.5) * inv - 1.0 - pose.centre.1;
            for x in x0..x1 {
                let u = (x as f32 + 0.5) * inv - 1.0 - pose.centre.0;
                let w = 1.0 / (pose.scale * (1.0 + pose.tilt.0 * u + pose.tilt.1 * v).max(0.2));
                let (a, b) = ((u + pose.shear * v) * w, v * w);
                let Some((skin, cover)) = self.at(c * a + s * b, c * b - s * a, px, pose.scale)
                else {
                    continue;
                };
                let i = y * n + x;
                scene.rgb[i] = mix3(scene.rgb[i], scale3(skin.rgb, tone), cover);
                scene.height[i] = mix(scene.height[i], skin.height, cover);
                scene.gloss[i] = mix(scene.gloss[i], skin.gloss, cover);
                scene.cover[i] = mix(scene.cover[i], if product { 1.0 } else { 0.0 }, cover);
                owner.solid[i] = owner.solid[i].max(cover);
                if cover > 0.5 {
                    owner.id[i] = if product { owner.next } else { 0 };
                }
            }
        }
        owner.next = owner.next.saturating_add(u8::from(product));
    }
}

fn slope(d: f32, bevel: f32) -> f32 {
    let t = (-d / bevel).clamp(0.0, 1.0);
    0.8 * bevel * t * (2.0 - t)
}

/// Which part each pixel shows.
pub(super) struct Owner {
    /// 0 for what is no product, otherwise the number of the part.
    pub id: Vec<u8>,
    /// Coverage by anything that throws a shadow.
    pub solid: Vec<f32>,
    /// Number of the next product.
    pub next: u8,
}
