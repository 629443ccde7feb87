//! Sparse Gabor convolution noise (Lagae et al., "Procedural noise using sparse Gabor convolution",
//! 2009): wavelets at random places of a grid, added up. With many directions it looks like clouds,
//! with few like brushed or woven material.

use std::f32::consts::{PI, TAU};

use crate::math::{cos, floor, hash, sin};

/// Wavelets that begin in one cell of the grid.
const PER_CELL: u32 = 2;

/// One noise; a pure function of place.
#[derive(Clone, Copy)]
pub(crate) struct Gabor {
    pub seed: u32,
    /// Radius of a wavelet in pixels.
    pub cell: f32,
    /// Waves in one radius.
    pub waves: f32,
    /// Direction across the waves in radians.
    pub angle: f32,
    /// Largest deviation from that direction; π for none preferred.
    pub freedom: f32,
}

impl Gabor {
    /// Clouds with spots about `cell` pixels wide.
    pub(crate) fn clouds(seed: u32, cell: f32) -> Self {
        Self {
            seed,
            cell,
            waves: 0.45,
            angle: 0.0,
            freedom: PI,
        }
    }

    /// About −1..1.
    pub(crate) fn at(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x / self.cell, y / self.cell);
        let (left, top) = (floor(x), floor(y));
        let mut sum = 0.0;
        for row in -1i8..=1 {
            for column in -1i8..=1 {
                let (cx, cy) = (left + f32::from(column), top + f32::from(row));
                for k in 0..PER_CELL {
                    let bits = hash(self.seed.wrapping_add(k * 0x51ED), cx as i32, cy as i32);
                    let part = |shift: u32| (bits >> shift & 0xFF) as f32 / 256.0;
                    let (dx, dy) = (x - cx - part(0), y - cy - part(8));
                    let window = 1.0 - dx * dx - dy * dy;
                    if window > 0.0 {
                        let turn = self.angle + (part(16) * 2.0 - 1.0) * self.freedom;
                        let along = dx * cos(turn) + dy * sin(turn);
                        let wave = cos(TAU * (self.waves * along + part(24)));
                        sum += window * window * wave;
                    }
                }
            }
        }
        sum * 0.8
    }
}
