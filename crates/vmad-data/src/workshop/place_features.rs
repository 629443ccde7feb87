//! Chooses features for a part and finds places where they fit.

use super::feature::{Cut, Feature, Kind, Place};
use super::outline::Outline;
use super::palette;
use crate::glyphs;
use crate::math::{Rgb, Rng, cos, length, lum, scale3, sin};
use std::f32::consts::{FRAC_PI_2, TAU};

/// What was put on a part.
#[derive(Default)]
pub(super) struct PlacedFeatures {
    pub cuts: Vec<Cut>,
    pub features: Vec<Feature>,
    /// Words for it, such as "one screw".
    pub words: Vec<&'static str>,
}

/// Draws features that fit into an outline. `field` is the half side of the area in use.
pub(super) fn place_features(
    rng: &mut Rng,
    outline: &Outline,
    base: Rgb,
    field: f32,
) -> PlacedFeatures {
    let mut out = PlacedFeatures::default();
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
    out: &mut PlacedFeatures,
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
