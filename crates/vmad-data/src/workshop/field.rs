//! Random fields in single precision; a frame needs some millions of these values.

use crate::math::{floor, mix};

/// A number in 0..1 that belongs to a lattice point.
#[inline]
pub(super) fn random(seed: u32, x: i32, y: i32) -> f32 {
    (scramble(seed, x, y) >> 8) as f32 / 16_777_216.0
}

#[inline]
fn scramble(seed: u32, x: i32, y: i32) -> u32 {
    let mut h = seed ^ (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77);
    h = (h ^ h >> 15).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ h >> 12).wrapping_mul(0x297A_2D39);
    h ^ h >> 15
}

/// Value noise in 0..1 with lattice spacing 1.
#[inline]
pub(super) fn noise(seed: u32, x: f32, y: f32) -> f32 {
    let (fx, fy) = (floor(x), floor(y));
    let (ix, iy) = (fx as i32, fy as i32);
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (tx, ty) = (ease(x - fx), ease(y - fy));
    let row = |y| mix(random(seed, ix, y), random(seed, ix.wrapping_add(1), y), tx);
    mix(row(iy), row(iy.wrapping_add(1)), ty)
}

/// Fractal noise with mean 0.5, mostly in 0.2..0.8.
#[inline]
pub(super) fn fbm(seed: u32, x: f32, y: f32, octaves: u32) -> f32 {
    let (mut sum, mut share, mut total, mut f) = (0.0, 1.0, 0.0, 1.0);
    for octave in 0..octaves {
        sum += share * noise(seed.wrapping_add(octave.wrapping_mul(7919)), x * f, y * f);
        total += share;
        share *= 0.5;
        f *= 2.03;
    }
    sum / total
}

/// A point among jittered cell centres.
pub(super) struct Cell {
    /// Distance to the nearest centre.
    pub near: f32,
    /// Distance to the second nearest centre.
    pub next: f32,
    /// A number in 0..1 that belongs to the nearest centre.
    pub id: f32,
}

/// The cell around a point; cells have about unit size.
pub(super) fn cells(seed: u32, x: f32, y: f32) -> Cell {
    let (fx, fy) = (floor(x), floor(y));
    let (mut near, mut next, mut id) = (9.0f32, 9.0f32, 0);
    for oy in -1..=1 {
        for ox in -1..=1 {
            let h = scramble(seed, fx as i32 + ox, fy as i32 + oy);
            let px = ox as f32 + (h & 0xFFFF) as f32 / 65536.0 - (x - fx);
            let py = oy as f32 + (h >> 16) as f32 / 65536.0 - (y - fy);
            let d = px * px + py * py;
            if d < near {
                next = near;
                near = d;
                id = h;
            } else if d < next {
                next = d;
            }
        }
    }
    Cell {
        near: near.sqrt(),
        next: next.sqrt(),
        id: (id.wrapping_mul(0x9E37_79B1) >> 8) as f32 / 16_777_216.0,
    }
}
