//! The patterns of which surfaces are composed. Each has a period of about one unit.

use super::field::{cells, fbm, noise, random};
use crate::math::{cos, floor, length, mix, sin, smooth};
use std::f32::consts::FRAC_1_SQRT_2;
use std::f32::consts::{PI, TAU};

/// What a pattern says of one point.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    /// 0..1: how much of the pattern's own colour or shade.
    pub tone: f32,
    /// Height in units of the layer's relief.
    pub rise: f32,
    /// A number in 0..1 that belongs to the thread, stone or brick.
    pub id: f32,
}

/// A pattern with its shape parameters.
#[derive(Clone, Copy)]
pub(super) enum Pattern {
    /// Fractal noise of so many octaves.
    Cloud(u32),
    /// Thin veins in a calm ground.
    Vein,
    /// Short fibres in several directions.
    Fibre,
    /// Cells parted by creases of this width.
    Crease(f32),
    /// Rounded stones.
    Pebble,
    /// Flat crystals, or chips in a matrix of this width.
    Facet(f32),
    /// Round pits of this radius at this share of the cells.
    Pits { share: f32, r: f32 },
    /// Bands of this width.
    Stripe(f32),
    /// Sine waves.
    Wave,
    /// Bricks: length per height, shift per row, half the joint.
    Bricks { ratio: f32, shift: f32, joint: f32 },
    /// Six-sided tiles with half the joint.
    Hex(f32),
    /// Crossing threads: how many are passed over and under, and the step per row.
    Weave { over: i32, under: i32, step: i32 },
    /// Loops of yarn.
    Knit,
    /// A grid of dots of this radius; shifted rows, domes instead of flat dots.
    Dots { r: f32, staggered: bool, dome: bool },
    /// Crossing grooves.
    Knurl,
    /// Raised bars in turning directions.
    Tread,
    /// Growth rings of a board.
    Rings,
    /// Circles around the origin, as a lathe leaves them.
    Turned,
    /// Rows of arcs, as a milling head leaves them.
    Arcs,
    /// Overlapping round shingles.
    Scales,
    /// A chequered cloth.
    Check,
}

fn even(tone: f32) -> Mark {
    Mark {
        tone,
        rise: tone,
        id: 0.5,
    }
}

fn fraction(x: f32) -> f32 {
    x - floor(x)
}

impl Pattern {
    /// The pattern at a point; `px` is the width of a pixel in its units.
    pub(super) fn at(&self, seed: u32, x: f32, y: f32, px: f32) -> Mark {
        match *self {
            Self::Cloud(octaves) => even(fbm(seed, x, y, octaves)),
            Self::Vein => {
                let t = 1.0 - (2.0 * fbm(seed, x, y, 4) - 1.0).abs();
                even(smooth(0.84, 1.0, t))
            }
            Self::Fibre => fibre(seed, x, y),
            Self::Crease(width) => {
                let c = cells(seed, x, y);
                let tone = smooth(0.0, width, c.next - c.near);
                Mark {
                    tone,
                    rise: tone,
                    id: c.id,
                }
            }
            Self::Pebble => {
                let c = cells(seed, x, y);
                let edge = c.next - c.near;
                let tone = smooth(0.0, 0.16, edge);
                Mark {
                    tone,
                    rise: (edge.min(0.7) / 0.7).sqrt(),
                    id: c.id,
                }
            }
            Self::Facet(joint) => {
                let c = cells(seed, x, y);
                let tone = smooth(joint, joint + px.max(0.02), c.next - c.near);
                Mark {
                    tone,
                    rise: tone,
                    id: c.id,
                }
            }
            Self::Pits { share, r } => {
                let c = cells(seed, x, y);
                let tone = if c.id < share {
                    let r = r * (0.5 + c.id / share);
                    1.0 - smooth(0.6 * r, r, c.near)
                } else {
                    0.0
                };
                Mark {
                    tone,
                    rise: -tone,
                    id: c.id,
                }
            }
            Self::Stripe(width) => {
                let soft = (0.7 * px).max(0.01);
                let d = (fraction(x) - 0.5).abs() - 0.5 * width;
                let tone = 1.0 - smooth(-soft, soft, d);
                Mark {
                    tone,
                    rise: tone,
                    id: random(seed, floor(x) as i32, 0),
                }
            }
            Self::Wave => even(0.5 + 0.5 * sin(TAU * x)),
            Self::Bricks {
                ratio,
                shift,
                joint,
            } => {
                let row = floor(y);
                let along = x / ratio + shift * row;
                let dx = (0.5 - (fraction(along) - 0.5).abs()) * ratio;
                let dy = 0.5 - (y - row - 0.5).abs();
                let tone = smooth(joint, joint + px.max(0.03), dx.min(dy));
                let id = random(seed, floor(along) as i32, row as i32);
                Mark {
                    tone,
                    rise: tone,
                    id,
                }
            }
            Self::Hex(joint) => hex(seed, x, y, joint, px),
            Self::Weave { over, under, step } => weave(seed, x, y, over, under, step),
            Self::Knit => {
                let side = (fraction(x) - 0.5).abs();
                let f = fraction(y + 1.3 * side);
                let across = 1.0 - (2.0 * side - 0.5).abs() * 2.0;
                let along = 1.0 - (2.0 * f - 1.0) * (2.0 * f - 1.0);
                let t = (0.35 + 0.65 * across.max(0.0)) * along;
                Mark {
                    tone: t,
                    rise: t,
                    id: noise(seed, x * 6.0, y * 6.0),
                }
            }
            Self::Dots { r, staggered, dome } => {
                let row = floor(y);
                let shift = if staggered && (row as i32) & 1 == 1 {
                    0.5
                } else {
                    0.0
                };
                let (fx, fy) = (fraction(x + shift) - 0.5, y - row - 0.5);
                let d = length(fx, fy);
                let soft = px.max(0.05);
                let tone = 1.0 - smooth(r - soft, r + soft, d);
                let q = (d / r).min(1.0);
                let rise = if dome { (1.0 - q * q).sqrt() } else { tone };
                Mark {
                    tone,
                    rise,
                    id: random(seed, floor(x + shift) as i32, row as i32),
                }
            }
            Self::Knurl => {
                let tri = |t: f32| 1.0 - (2.0 * fraction(t) - 1.0).abs();
                even(tri(x + y).min(tri(x - y)))
            }
            Self::Tread => {
                let (ix, iy) = (floor(x), floor(y));
                let (fx, fy) = (x - ix - 0.5, y - iy - 0.5);
                let lean = if (ix as i32 + iy as i32) & 1 == 0 {
                    FRAC_1_SQRT_2
                } else {
                    -FRAC_1_SQRT_2
                };
                let (a, b) = (
                    FRAC_1_SQRT_2 * fx + lean * fy,
                    FRAC_1_SQRT_2 * fy - lean * fx,
                );
                let d = length(a / 0.46, b / 0.13);
                let t = 1.0 - smooth(0.75, 1.05, d);
                even(t)
            }
            Self::Rings => {
                let f = fraction(y);
                even(f * f * (1.0 - smooth(0.86, 1.0, f)))
            }
            Self::Turned => {
                let r = length(x, y);
                even(0.6 * noise(seed, r, 0.5) + 0.4 * noise(seed ^ 9, 2.3 * r, 3.5))
            }
            Self::Arcs => {
                let band = floor(y / 5.0);
                let f = y / 5.0 - band - 0.5;
                let s = x + 3.4 * f * f + 7.3 * random(seed, band as i32, 1);
                let strength = 0.4 + 0.6 * noise(seed, s, band);
                even(0.5 + 0.5 * strength * sin(TAU * s))
            }
            Self::Scales => scales(seed, x, y, px),
            Self::Check => {
                let band = |t: f32| {
                    let soft = (0.7 * px).max(0.01);
                    1.0 - smooth(-soft, soft, (fraction(t) - 0.5).abs() - 0.25)
                };
                let t = 0.5 * (band(x) + band(y));
                Mark {
                    tone: t,
                    rise: 0.0,
                    id: t,
                }
            }
        }
    }
}

fn fibre(seed: u32, x: f32, y: f32) -> Mark {
    let mut best = 0.0f32;
    for (k, (c, s)) in [(1.0, 0.0), (0.5, 0.866), (-0.5, 0.866)]
        .into_iter()
        .enumerate()
    {
        let (a, b) = (c * x + s * y, c * y - s * x);
        best = best.max(noise(seed.wrapping_add(k as u32 * 31), a * 0.22, b * 1.6));
    }
    even(smooth(0.35, 1.0, best))
}

fn hex(seed: u32, x: f32, y: f32, joint: f32, px: f32) -> Mark {
    // Two rectangular lattices of centres; the nearer one owns the point.
    const TALL: f32 = 1.732;
    let own = |ox: f32, oy: f32| {
        let (cx, cy) = (
            floor(x - ox + 0.5) + ox,
            floor((y - oy) / TALL + 0.5) * TALL + oy,
        );
        (x - cx, y - cy, cx, cy)
    };
    let (a, b) = (own(0.0, 0.0), own(0.5, 0.5 * TALL));
    let (dx, dy, cx, cy) = if a.0 * a.0 + a.1 * a.1 < b.0 * b.0 + b.1 * b.1 {
        a
    } else {
        b
    };
    let (dx, dy) = (dx.abs(), dy.abs());
    let d = 0.5 - dx.max(0.5 * dx + 0.866 * dy);
    let tone = smooth(joint, joint + px.max(0.03), d);
    let id = random(
        seed,
        floor(2.0 * cx + 0.5) as i32,
        floor(2.0 * cy + 0.5) as i32,
    );
    Mark {
        tone,
        rise: tone,
        id,
    }
}

fn weave(seed: u32, x: f32, y: f32, over: i32, under: i32, step: i32) -> Mark {
    let (ix, iy) = (floor(x), floor(y));
    let (fx, fy) = (x - ix - 0.5, y - iy - 0.5);
    let turn = (ix as i32 + step * iy as i32).rem_euclid(over + under);
    let warp_on_top = turn < over;
    let (across, along) = if warp_on_top { (fx, fy) } else { (fy, fx) };
    let dip = if over + under == 2 { 0.4 } else { 0.12 };
    let profile =
        (1.0 - 3.2 * across * across).max(0.0) * (1.0 - dip + dip * (1.0 - 4.0 * along * along));
    let thread = noise(seed, x * 4.0, y * 4.0);
    Mark {
        tone: profile * (0.82 + 0.3 * thread),
        rise: profile,
        id: if warp_on_top { 1.0 } else { 0.0 },
    }
}

fn scales(seed: u32, x: f32, y: f32, px: f32) -> Mark {
    let mut row = floor(y);
    let mut f = fraction(x + 0.5 * row) - 0.5;
    let mut depth = y - row;
    let arc = (0.25 - f * f).max(0.0).sqrt();
    let edge = depth - arc;
    if edge > 0.0 {
        // Beyond the round lower end the next row's shingle is seen.
        row += 1.0;
        f = fraction(x + 0.5 * row) - 0.5;
        depth -= 1.0;
    }
    let rim = smooth(0.0, px.max(0.10), edge.abs());
    let id = random(seed, floor(x + 0.5 * row) as i32, row as i32);
    Mark {
        tone: mix(0.0, 1.0, rim) * (0.9 + 0.1 * cos(PI * f)),
        rise: 0.5 + 0.5 * depth,
        id,
    }
}
