//! Outlines of parts as signed distances, in half image widths of a part about one unit in radius.

use super::field::noise;
use crate::math::{atan2, cos, floor, length, mix, rounded_box, sin, smooth};
use std::f32::consts::{PI, TAU};

/// The outline of a part; negative inside.
#[derive(Clone, Copy)]
pub(super) enum Outline {
    /// No outline: the part fills the frame.
    Endless,
    Disc {
        r: f32,
    },
    Ellipse {
        a: f32,
        b: f32,
    },
    Polygon {
        sides: f32,
        r: f32,
        round: f32,
    },
    Ring {
        r: f32,
        bore: f32,
    },
    Gear {
        teeth: f32,
        r: f32,
        depth: f32,
        bore: f32,
        sharp: f32,
    },
    Plate {
        hx: f32,
        hy: f32,
        round: f32,
    },
    /// Two arms at a right angle: half lengths and half width.
    Corner {
        a: f32,
        b: f32,
        half: f32,
    },
    Tee {
        a: f32,
        b: f32,
        half: f32,
    },
    Cross {
        a: f32,
        half: f32,
    },
    Channel {
        hx: f32,
        hy: f32,
        half: f32,
    },
    Capsule {
        half: f32,
        r: f32,
    },
    /// Body and neck half widths, shoulder height.
    Bottle {
        body: f32,
        neck: f32,
        shoulder: f32,
    },
    Star {
        points: f32,
        r: f32,
        inner: f32,
    },
    /// Head half width and height, shaft half width.
    Screw {
        head: f32,
        tall: f32,
        shaft: f32,
        pitch: f32,
    },
    /// Two eyes joined by a bar.
    Link {
        half: f32,
        a: f32,
        b: f32,
        bar: f32,
    },
    /// An uneven round body.
    Pebble {
        seed: u32,
        a: f32,
        b: f32,
        rough: f32,
    },
    /// A bent rod: radius of the bend, half thickness, half opening angle.
    Hook {
        r: f32,
        half: f32,
        open: f32,
    },
    /// A plate with one pointed end.
    Tag {
        hx: f32,
        hy: f32,
    },
    /// A spanner's open jaw on a handle.
    Spanner {
        half: f32,
        jaw: f32,
        bar: f32,
    },
    /// A flower-shaped knob.
    Knob {
        lobes: f32,
        r: f32,
        depth: f32,
    },
    /// A key-shaped blade on a round head.
    Key {
        r: f32,
        half: f32,
        seed: u32,
    },
}

impl Outline {
    /// Signed distance to the outline, negative inside; near the outline it is about exact.
    pub(super) fn distance(&self, x: f32, y: f32) -> f32 {
        match *self {
            Self::Endless => -4.0,
            Self::Disc { r } => length(x, y) - r,
            Self::Ellipse { a, b } => {
                let (px, py) = (x / a, y / b);
                let k = length(px, py);
                let slope = length(px / a, py / b).max(1e-4);
                (k - 1.0) * k / slope
            }
            Self::Polygon { sides, r, round } => {
                let (d, a) = (length(x, y), atan2(y, x));
                let step = TAU / sides;
                let folded = a - floor(a / step + 0.5) * step;
                let apothem = r * cos(PI / sides) - round;
                let (px, py) = (d * cos(folded) - apothem, d * sin(folded).abs());
                let corner = apothem * sin(PI / sides) / cos(PI / sides);
                if px > 0.0 && py > corner {
                    length(px, py - corner) - round
                } else {
                    px - round
                }
            }
            Self::Ring { r, bore } => {
                let d = length(x, y);
                (d - r).max(bore - d)
            }
            Self::Gear {
                teeth,
                r,
                depth,
                bore,
                sharp,
            } => {
                let (d, a) = (length(x, y), atan2(y, x));
                let tooth = smooth(-sharp, sharp, cos(a * teeth));
                ((d - r - depth * tooth) * 0.8).max(bore - d)
            }
            Self::Plate { hx, hy, round } => rounded_box(x, y, hx, hy, round),
            Self::Corner { a, b, half } => {
                let long = rounded_box(x + a - half, y, half, b, 0.04);
                long.min(rounded_box(x, y - b + half, a, half, 0.04))
            }
            Self::Tee { a, b, half } => {
                let bar = rounded_box(x, y + b - half, a, half, 0.04);
                bar.min(rounded_box(x, y, half, b, 0.04))
            }
            Self::Cross { a, half } => {
                rounded_box(x, y, a, half, 0.05).min(rounded_box(x, y, half, a, 0.05))
            }
            Self::Channel { hx, hy, half } => {
                let inner = rounded_box(x, y + 2.0 * half, hx - 2.0 * half, hy, 0.08);
                rounded_box(x, y, hx, hy, 0.12).max(-inner)
            }
            Self::Capsule { half, r } => length((x.abs() - half).max(0.0), y) - r,
            Self::Bottle {
                body,
                neck,
                shoulder,
            } => {
                let t = smooth(shoulder - 0.08, shoulder + 0.22, y);
                let lip = 0.03 * (1.0 - smooth(0.04, 0.06, (y + 0.82).abs()));
                let half = mix(neck, body, t) + lip;
                (rounded_box(x, y, half, 0.9, 0.06)) * 0.9
            }
            Self::Star { points, r, inner } => {
                let (d, a) = (length(x, y), atan2(y, x));
                let step = TAU / points;
                let f = (a - floor(a / step + 0.5) * step).abs();
                let (px, py) = (d * cos(f), d * sin(f));
                // The side from the tip (r, 0) to the inner corner.
                let (ix, iy) = (inner * cos(0.5 * step), inner * sin(0.5 * step));
                let (ex, ey) = (ix - r, iy);
                ((px - r) * ey - py * ex) / length(ex, ey)
            }
            Self::Screw {
                head,
                tall,
                shaft,
                pitch,
            } => {
                let tip = smooth(0.9, 0.7, y);
                let thread = if y > -0.5 + tall {
                    0.03 * sin(y * pitch * TAU * 0.5).abs()
                } else {
                    0.0
                };
                let body = rounded_box(
                    x,
                    y,
                    (shaft - 0.02 + thread) * (0.35 + 0.65 * tip),
                    0.88,
                    0.03,
                );
                body.min(rounded_box(x, y + 0.88 - tall, head, tall, 0.06)) * 0.9
            }
            Self::Link { half, a, b, bar } => {
                let eyes = (length(x + half, y) - a).min(length(x - half, y) - b);
                let rod = rounded_box(x, y, half, bar, 0.02);
                let bores = (0.5 * a - length(x + half, y)).max(0.45 * b - length(x - half, y));
                eyes.min(rod).max(bores)
            }
            Self::Pebble { seed, a, b, rough } => {
                let (px, py) = (x / a, y / b);
                let k = length(px, py).max(1e-4);
                let lobe = noise(seed, 1.3 * px / k + 5.0, 1.3 * py / k + 5.0) - 0.5;
                (k - 1.0 - rough * lobe) * a.min(b)
            }
            Self::Hook { r, half, open } => {
                let a = atan2(x, -y).abs();
                let ring = (length(x, y) - r).abs() - half;
                if a > open {
                    ring
                } else {
                    let (ex, ey) = (r * sin(open), -r * cos(open));
                    length(x.abs() - ex, y - ey) - half
                }
            }
            Self::Tag { hx, hy } => {
                let tip = (x - hx + (y.abs() - hy) * 0.8 + 0.4 * hy) * 0.78;
                rounded_box(x, y, hx, hy, 0.04)
                    .max(tip)
                    .max(0.07 - length(x - 0.72 * hx, y))
            }
            Self::Spanner { half, jaw, bar } => {
                let head = length(x + half, y) - jaw;
                let mouth = rounded_box(x + half + 0.6 * jaw, y, jaw, 0.42 * jaw, 0.03);
                let rod = rounded_box(x - 0.15, y, 0.72, bar, 0.9 * bar);
                head.max(-mouth).min(rod)
            }
            Self::Knob { lobes, r, depth } => {
                let (d, a) = (length(x, y), atan2(y, x));
                (d - r - depth * cos(a * lobes)) * 0.85
            }
            Self::Key { r, half, seed } => {
                let head = (length(x + 0.55, y) - r).max(0.35 * r - length(x + 0.68, y));
                let bite = 0.5 * half * noise(seed, floor(x * 12.0), 0.5);
                let cut = if x > -0.1 { bite + 0.2 * half } else { 0.0 };
                head.min(rounded_box(
                    x - 0.2,
                    y + 0.5 * cut,
                    0.68,
                    half - 0.5 * cut,
                    0.02,
                ))
            }
        }
    }

    /// Radius of a circle around the origin that holds the outline.
    pub(super) fn reach(&self) -> f32 {
        match *self {
            Self::Endless => 4.0,
            Self::Plate { hx, hy, .. } | Self::Tag { hx, hy } => length(hx, hy),
            Self::Channel { hx, hy, .. } => length(hx, hy),
            Self::Corner { a, b, .. } | Self::Tee { a, b, .. } => length(a, b),
            Self::Hook { r, half, .. } => r + half,
            Self::Capsule { half, r } => half + r,
            Self::Ellipse { a, .. } => a,
            _ => 1.0,
        }
    }
}
