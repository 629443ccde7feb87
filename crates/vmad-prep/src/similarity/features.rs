//! The features that describe a cell.

use super::config::SimilarityConfig;
use super::plane::{GreyPlane, oriented_energies};
use super::stats::{N_STATS, cell_stats};

/// A description of every cell, feature-major: `[n_features][n_cells]`.
pub type Features = Vec<Vec<f32>>;

/// The features of a picture's cells. Levels of brightness and colour are relative to its first pixel's.
pub struct CellFeatures {
    /// `[n_features][n_cells]`.
    pub features: Features,
    /// Luminance, red-green and yellow-blue of the first pixel.
    origin: [f32; 3],
}

impl CellFeatures {
    /// Features that are comparable across pictures: levels are relative to black.
    pub fn absolute(self) -> Features {
        let mut features = self.features;
        for (kinds, origin) in features.chunks_mut(N_STATS).zip(self.origin) {
            // All but the deviation, which has no origin.
            for i in [0, 2, 3] {
                kinds[i].iter_mut().for_each(|v| *v += origin);
            }
        }
        features
    }
}

/// Computes the features of each cell of `grid` over the `size` pixels at the upper left of `rgb`, whose
/// rows have `stride` pixels.
pub fn cell_features(
    rgb: &[u8],
    stride: usize,
    size: (usize, usize),
    grid: (usize, usize),
    config: &SimilarityConfig,
) -> CellFeatures {
    let cell = config.cell.max(1);
    let mut luminance = GreyPlane::new(size.0, size.1);
    let mut red_green = GreyPlane::new(size.0, size.1);
    let mut yellow_blue = GreyPlane::new(size.0, size.1);
    for (y, line) in rgb.chunks_exact(stride * 3).take(size.1).enumerate() {
        for (x, pixel) in line.chunks_exact(3).take(size.0).enumerate() {
            let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(|v| f32::from(v) / 255.0);
            let i = y * size.0 + x;
            luminance.data[i] = 0.299 * r + 0.587 * g + 0.114 * b;
            red_green.data[i] = r - g;
            yellow_blue.data[i] = 0.5 * (r + g) - b;
        }
    }

    let mut features = Features::new();
    let origin = [&luminance, &red_green, &yellow_blue].map(|plane| plane.data[0]);
    for plane in [&mut luminance, &mut red_green, &mut yellow_blue] {
        // Only differences matter later; about zero, deviations do not drown in rounding, and
        // those of a constant image are exactly zero.
        let first = plane.data[0];
        plane.data.iter_mut().for_each(|v| *v -= first);
        features.extend(cell_stats(plane, 0, grid, cell, config.margin));
    }
    let floor = config.energy_floor.max(1e-4);
    let mut plane = luminance;
    for octave in 0..config.scales.clamp(1, 6) {
        if octave > 0 {
            plane = plane.halved();
        }
        let stats = oriented_energies(&plane)
            .map(|energy| cell_stats(&energy, octave, grid, cell, config.margin));
        let [e0, e45, e90, e135] = stats;
        // Mean, deviation and maximum; the minimum says little of an energy.
        let kinds = e0.iter().zip(&e45).zip(e90.iter().zip(&e135)).take(3);
        for ((e0, e45), (e90, e135)) in kinds {
            let cells = e0.iter().zip(e45).zip(e90.iter().zip(e135));
            let (level, anisotropy) = cells
                .map(|((&e0, &e45), (&e90, &e135))| {
                    let [a, b, c, d] = [e0, e45, e90, e135].map(|e| (e / floor).ln_1p());
                    let (axial, diagonal) = (a - c, b - d);
                    let anisotropy = (axial * axial + diagonal * diagonal).sqrt();
                    (0.25 * (a + b + c + d), anisotropy)
                })
                .unzip();
            features.push(level);
            features.push(anisotropy);
        }
    }
    CellFeatures { features, origin }
}
