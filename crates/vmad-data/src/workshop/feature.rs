//! Things that belong on a part: bores, screws, labels, characters, seams, ribs.
//!
//! Most occur once, so that what is rare in a picture is not the same as what is wrong with it.

use super::material::Skin;
use crate::glyphs;
use crate::math::{Rgb, cos, floor, length, mix, mix3, rounded_box, scale3, sin, smooth};

/// An opening through the part: a rounded box, or a round bore where all three are equal.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub at: Place,
    pub hx: f32,
    pub hy: f32,
    pub round: f32,
}

impl Cut {
    /// Distance to the opening's border, positive inside the opening.
    pub(super) fn depth(&self, x: f32, y: f32) -> f32 {
        let (x, y) = self.at.local(x, y);
        -rounded_box(x, y, self.hx, self.hy, self.round)
    }
}

/// Where a feature lies on its part.
#[derive(Clone, Copy)]
pub(super) struct Place {
    x: f32,
    y: f32,
    cos: f32,
    sin: f32,
}

impl Place {
    pub(super) fn new(x: f32, y: f32, angle: f32) -> Self {
        Self {
            x,
            y,
            cos: cos(angle),
            sin: sin(angle),
        }
    }

    fn local(&self, x: f32, y: f32) -> (f32, f32) {
        let (x, y) = (x - self.x, y - self.y);
        (self.cos * x + self.sin * y, self.cos * y - self.sin * x)
    }
}

#[derive(Clone)]
pub(super) enum Kind {
    /// A straight groove or weld: half its length and width, height.
    Line {
        half: f32,
        wide: f32,
        rise: f32,
        rgb: Option<Rgb>,
    },
    /// A circle: radius, half width, height.
    Circle { r: f32, wide: f32, rise: f32 },
    /// A screw's head; sides of its drive.
    Screw { r: f32, drive: usize, rgb: Rgb },
    /// A label with lines of characters.
    Label {
        hx: f32,
        hy: f32,
        rgb: Rgb,
        ink: Rgb,
        bars: u32,
    },
    /// Characters: size of a dot, printed in a colour or pressed in.
    Text { dot: f32, ink: Option<Rgb> },
    /// A round boss or dimple.
    Boss { r: f32, rise: f32, rgb: Option<Rgb> },
    /// A band of another colour across the part.
    Band { half: f32, rgb: Rgb },
    /// Parallel ribs in a field.
    Ribs {
        hx: f32,
        hy: f32,
        count: f32,
        rise: f32,
    },
    /// A rectangular pad or window.
    Pad {
        hx: f32,
        hy: f32,
        rgb: Rgb,
        rise: f32,
        gloss: f32,
    },
}

/// One feature.
#[derive(Clone)]
pub(super) struct Feature {
    pub at: Place,
    pub kind: Kind,
    /// Characters, numbers below 36.
    pub text: Vec<u8>,
    /// Half side of a square that holds it.
    pub reach: f32,
}

impl Feature {
    /// Changes what the surface shows at a point of the part.
    pub(super) fn apply(&self, skin: &mut Skin, x: f32, y: f32, px: f32) {
        let (x, y) = self.at.local(x, y);
        if x.abs() > self.reach || y.abs() > self.reach {
            return;
        }
        let inside = |d: f32| (0.5 - d / px).clamp(0.0, 1.0);
        match &self.kind {
            Kind::Line {
                half,
                wide,
                rise,
                rgb,
            } => {
                if x.abs() > *half {
                    return;
                }
                let t = 1.0 - smooth(0.5 * wide, wide + px, y.abs());
                skin.height += rise * t;
                let own = rgb.unwrap_or(scale3(skin.rgb, if *rise < 0.0 { 0.6 } else { 1.05 }));
                skin.rgb = mix3(skin.rgb, own, 0.8 * t);
            }
            Kind::Circle { r, wide, rise } => {
                let t = 1.0 - smooth(0.5 * wide, wide + px, (length(x, y) - r).abs());
                skin.height += rise * t;
                skin.rgb = scale3(
                    skin.rgb,
                    1.0 - 0.2 * t * if *rise < 0.0 { 1.0 } else { 0.0 },
                );
            }
            Kind::Screw { r, drive, rgb } => {
                let d = length(x, y);
                let a = inside(d - r);
                let gap = inside((d - 1.14 * r).abs() - 0.05 * r);
                skin.rgb = scale3(skin.rgb, 1.0 - 0.5 * gap);
                if a > 0.0 {
                    let slot = match drive {
                        0 => y.abs() - 0.14 * r,
                        1 => x.abs().min(y.abs()) - 0.12 * r,
                        _ => x.abs().max(0.5 * x.abs() + 0.866 * y.abs()) - 0.45 * r,
                    }
                    .max(d - if *drive == 0 { *r } else { 0.72 * r });
                    let s = inside(slot);
                    skin.rgb = mix3(skin.rgb, scale3(*rgb, 1.0 - 0.75 * s), a);
                    let q = (d / r).min(1.0);
                    let own = 0.25 * r * (1.0 - q * q).sqrt() - 0.2 * r * s;
                    skin.height = mix(skin.height, skin.height + own, a);
                    skin.gloss = mix(skin.gloss, 0.4 * (1.0 - s), a);
                }
            }
            Kind::Label {
                hx,
                hy,
                rgb,
                ink,
                bars,
            } => {
                let a = inside(rounded_box(x, y, *hx, *hy, 0.15 * hy));
                if a > 0.0 {
                    let mark = if *bars == 0 {
                        let dot = (2.0 * hx * 0.86) / (glyphs::PITCH * self.text.len() as f32);
                        let dot = dot.min(2.0 * hy * 0.7 / 7.0);
                        let wide = dot * glyphs::PITCH * self.text.len() as f32;
                        glyphs::ink(&self.text, (x + 0.5 * wide) / dot, y / dot + 3.5)
                    } else {
                        let k = floor((x / hx + 1.0) * 16.0) as u32;
                        let on =
                            bars >> (k & 31) & 1 == 1 && x.abs() < 0.85 * hx && y.abs() < 0.65 * hy;
                        f32::from(u8::from(on))
                    };
                    skin.rgb = mix3(skin.rgb, mix3(*rgb, *ink, mark), a);
                    skin.gloss = mix(skin.gloss, 0.12, a);
                    skin.height = mix(skin.height, 0.4 * skin.height + 0.004, a);
                }
            }
            Kind::Text { dot, ink } => {
                let wide = dot * glyphs::PITCH * self.text.len() as f32;
                let t = glyphs::ink(&self.text, (x + 0.5 * wide) / dot, y / dot + 3.5);
                match ink {
                    Some(rgb) => skin.rgb = mix3(skin.rgb, *rgb, 0.9 * t),
                    None => {
                        skin.height -= 0.7 * dot * t;
                        skin.rgb = scale3(skin.rgb, 1.0 - 0.25 * t);
                    }
                }
            }
            Kind::Boss { r, rise, rgb } => {
                let q = length(x, y) / r;
                if q < 1.0 {
                    let k = 1.0 - q * q;
                    skin.height += rise * k.sqrt();
                }
                if let Some(rgb) = rgb {
                    skin.rgb = mix3(skin.rgb, *rgb, inside((q - 1.0) * r));
                }
            }
            Kind::Band { half, rgb } => {
                skin.rgb = mix3(skin.rgb, *rgb, 0.92 * inside(x.abs() - half));
            }
            Kind::Ribs {
                hx,
                hy,
                count,
                rise,
            } => {
                let a = inside(rounded_box(x, y, *hx, *hy, 0.02));
                if a > 0.0 {
                    let f = x / hx * 0.5 * count;
                    let f = f - floor(f);
                    let t = 1.0 - smooth(0.18, 0.36, (f - 0.5).abs());
                    skin.height += rise * t * a;
                    skin.rgb = scale3(skin.rgb, 1.0 - 0.12 * a * (1.0 - t));
                }
            }
            Kind::Pad {
                hx,
                hy,
                rgb,
                rise,
                gloss,
            } => {
                let a = inside(rounded_box(x, y, *hx, *hy, 0.1 * hx.min(*hy)));
                skin.rgb = mix3(skin.rgb, *rgb, a);
                skin.height += rise * a;
                skin.gloss = mix(skin.gloss, *gloss, a);
            }
        }
    }
}
