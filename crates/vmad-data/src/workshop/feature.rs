//! Things that belong on a part: bores, screws, labels, characters, seams, ribs.
//!
//! Most occur once, so that what is rare in a picture is not the same as what is wrong with it.

use super::material::Skin;
use super::outline::Outline;
use super::palette;
use crate::glyphs;
use crate::math::{Rgb, Rng, cos, floor, length, lum, mix, mix3, rounded_box, scale3, sin, smooth};
use std::f32::consts::{FRAC_PI_2, TAU};

/// An opening through the part: a rounded box, or a round bore where all three are equal.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    at: Place,
    hx: f32,
    hy: f32,
    round: f32,
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
struct Place {
    x: f32,
    y: f32,
    cos: f32,
    sin: f32,
}

impl Place {
    fn new(x: f32, y: f32, angle: f32) -> Self {
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
enum Kind {
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
    at: Place,
    kind: Kind,
    text: Vec<u8>,
    reach: f32,
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

/// What was put on a part.
#[derive(Default)]
pub(super) struct Dress {
    pub cuts: Vec<Cut>,
    pub features: Vec<Feature>,
    /// Words for it, such as "one screw".
    pub words: Vec<&'static str>,
}

/// Draws features that fit into an outline. `field` is the half side of the area in use.
pub(super) fn dress(rng: &mut Rng, outline: &Outline, base: Rgb, field: f32) -> Dress {
    let mut out = Dress::default();
    let count = match rng.below(10) {
        0..=2 => 0,
        3..=6 => 1,
        7 | 8 => 2,
        _ => 3,
    };
    let mut taken: Vec<(f32, f32, f32)> = Vec::new();
    for _ in 0..count {
        let size = rng.range(0.05, 0.26) * field;
        let kind = rng.below(10);
        let spots = layout(rng, outline, &taken, size, field, kind);
        if spots.is_empty() {
            continue;
        }
        for (x, y) in &spots {
            taken.push((*x, *y, size));
        }
        let words = put(rng, &mut out, base, kind, size, &spots);
        out.words.push(words);
    }
    out
}

/// Places for one, two, four or a circle of equal features; none when they do not fit.
fn layout(
    rng: &mut Rng,
    outline: &Outline,
    taken: &[(f32, f32, f32)],
    size: f32,
    field: f32,
    kind: usize,
) -> Vec<(f32, f32)> {
    // A lone bore is easily taken for a hole that does not belong there.
    let many = match kind {
        0 => rng.chance(0.8),
        1 | 6 => rng.chance(0.5),
        _ => false,
    };
    for _ in 0..8 {
        let (x, y) = (rng.sym(0.85) * field, rng.sym(0.85) * field);
        let spots: Vec<(f32, f32)> = if !many {
            vec![if rng.chance(0.3) { (0.0, 0.0) } else { (x, y) }]
        } else {
            match rng.below(3) {
                0 => vec![(x, y), (-x, y)],
                1 => vec![(x, y), (-x, y), (x, -y), (-x, -y)],
                _ => {
                    let n = 3 + rng.below(4);
                    let (r, start) = (length(x, y), rng.angle());
                    (0..n)
                        .map(|k| {
                            let a = start + k as f32 * TAU / n as f32;
                            (r * cos(a), r * sin(a))
                        })
                        .collect()
                }
            }
        };
        let apart = |i: usize, (x, y): (f32, f32)| {
            spots[..i]
                .iter()
                .all(|s| length(s.0 - x, s.1 - y) > 2.3 * size)
                && taken.iter().all(|t| length(t.0 - x, t.1 - y) > size + t.2)
        };
        let fits = spots
            .iter()
            .enumerate()
            .all(|(i, s)| outline.distance(s.0, s.1) < -1.15 * size && apart(i, *s));
        if fits {
            return spots;
        }
    }
    Vec::new()
}

/// Adds equal features at all spots; gives the words for them.
fn put(
    rng: &mut Rng,
    out: &mut Dress,
    base: Rgb,
    kind: usize,
    size: f32,
    spots: &[(f32, f32)],
) -> &'static str {
    let number = |one, few| if spots.len() == 1 { one } else { few };
    let dark = scale3(base, 0.3);
    let sign = if rng.chance(0.5) { 1.0 } else { -1.0 };
    let other = palette::against(rng, base).rgb;
    let angle = match rng.below(4) {
        0 => 0.0,
        1 => FRAC_PI_2,
        2 => rng.sym(0.1),
        _ => rng.angle(),
    };
    let text: Vec<u8> = (0..2 + rng.below(6)).map(|_| rng.below(36) as u8).collect();
    let (kind, reach, words) = match kind {
        0 => {
            let slot = spots.len() == 1 && rng.chance(0.25);
            let (hx, hy) = (0.8 * size, if slot { 0.3 * size } else { 0.8 * size });
            for (x, y) in spots {
                out.cuts.push(Cut {
                    at: Place::new(*x, *y, angle),
                    hx,
                    hy,
                    round: hy,
                });
            }
            return if slot {
                "one slot"
            } else {
                number("one bore", "several bores")
            };
        }
        1 => {
            let metal = palette::near(rng, [0.55, 0.55, 0.56], "grey").rgb;
            let (r, drive) = (0.7 * size, rng.below(3));
            (
                Kind::Screw {
                    r,
                    drive,
                    rgb: metal,
                },
                1.3 * size,
                number("one screw", "several screws"),
            )
        }
        2 => {
            let rgb = if rng.chance(0.5) {
                [0.88, 0.88, 0.86]
            } else {
                other
            };
            let ink = if lum(rgb) > 0.45 { [0.08; 3] } else { [0.9; 3] };
            let bars = if rng.chance(0.3) { rng.bits() | 1 } else { 0 };
            let hy = size * rng.range(0.35, 0.7);
            (
                Kind::Label {
                    hx: size,
                    hy,
                    rgb,
                    ink,
                    bars,
                },
                1.2 * size,
                "a label",
            )
        }
        3 => {
            let dot = 2.0 * size / (glyphs::PITCH * text.len() as f32);
            if rng.chance(0.5) {
                let ink = if lum(base) > 0.45 {
                    [0.10; 3]
                } else {
                    [0.88; 3]
                };
                (
                    Kind::Text {
                        dot,
                        ink: Some(ink),
                    },
                    1.2 * size,
                    "a printed number",
                )
            } else {
                (
                    Kind::Text { dot, ink: None },
                    1.2 * size,
                    "an engraved number",
                )
            }
        }
        4 => {
            let half = size * rng.range(1.0, 3.0);
            let wide = rng.range(0.012, 0.03);
            let rise = sign * 0.6 * wide;
            (
                Kind::Line {
                    half,
                    wide,
                    rise,
                    rgb: None,
                },
                half,
                "a seam",
            )
        }
        5 => {
            let wide = rng.range(0.012, 0.05);
            (
                Kind::Circle {
                    r: size,
                    wide,
                    rise: sign * 0.5 * wide,
                },
                1.5 * size,
                "a round groove",
            )
        }
        6 => {
            let rgb = rng.chance(0.4).then_some(other);
            let rise = sign * rng.range(0.15, 0.4) * size;
            (
                Kind::Boss { r: size, rise, rgb },
                1.1 * size,
                number("one stud", "several studs"),
            )
        }
        7 => {
            let half = size * rng.range(0.3, 0.8);
            (Kind::Band { half, rgb: other }, 9.0, "a coloured band")
        }
        8 => {
            let (hy, count) = (size * rng.range(0.5, 1.0), 3.0 + rng.below(5) as f32);
            let rise = 0.35 * size / count;
            (
                Kind::Ribs {
                    hx: size,
                    hy,
                    count,
                    rise,
                },
                1.1 * size,
                "a field of ribs",
            )
        }
        _ => {
            let rgb = if rng.chance(0.4) { dark } else { other };
            let (hy, rise) = (size * rng.range(0.3, 1.0), sign * rng.range(0.0, 0.03));
            let gloss = rng.range(0.0, 0.5);
            (
                Kind::Pad {
                    hx: size,
                    hy,
                    rgb,
                    rise,
                    gloss,
                },
                1.1 * size,
                "a square window",
            )
        }
    };
    for (x, y) in spots {
        out.features.push(Feature {
            at: Place::new(*x, *y, angle),
            kind: kind.clone(),
            text: text.clone(),
            reach,
        });
    }
    words
}
