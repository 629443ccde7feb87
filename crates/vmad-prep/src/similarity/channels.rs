//! Distances as the channels of a map.

use super::config::SimilarityConfig;
use super::map::SimilarityMap;
use super::nearest::Nearest;

/// Added to distances, so that 0 / 0 on a constant image is 1; far below the distances of noise.
const TINY: f32 = 1e-3;

/// All channels but the fused one, each `[rows, columns]` of the valid grid.
pub struct LogChannels {
    pub relative: Vec<f32>,
    pub absolute: Vec<f32>,
    pub factor: Vec<f32>,
}

/// The channels of distances; `typical` is the median distance.
pub fn log_channels(nearest: &Nearest, typical: f32, config: &SimilarityConfig) -> LogChannels {
    let typical = typical + TINY;
    let floor = config.factor_floor.max(TINY);
    let relative = nearest.distance.iter();
    let relative = relative.map(|d| ((d + TINY) / typical).ln().clamp(-2.0, 4.0));
    let absolute = nearest.distance.iter();
    let absolute = absolute.map(|d| (d + TINY).ln().clamp(-3.0, 3.0));
    let pairs = nearest.distance.iter().zip(&nearest.neighbour_distance);
    let factor = pairs.map(|(d, theirs)| ((d + floor) / (theirs + floor)).ln().clamp(-2.0, 3.0));
    LogChannels {
        relative: relative.collect(),
        absolute: absolute.collect(),
        factor: factor.collect(),
    }
}

impl LogChannels {
    /// The maps in the order of [`super::map::Channel::ALL`], each `[rows, columns]` of the valid grid.
    pub fn channels(
        self,
        grid: (usize, usize),
        config: &SimilarityConfig,
    ) -> [Vec<f32>; SimilarityMap::CHANNELS] {
        let sum = self.absolute.iter().zip(&self.factor);
        let sum: Vec<f32> = sum.map(|(a, f)| a + config.factor_weight * f).collect();
        let fused = smooth(&sum, grid);
        [self.relative, self.absolute, self.factor, fused]
    }
}

/// Binomial 3×3 smoothing; the border repeats.
fn smooth(values: &[f32], grid: (usize, usize)) -> Vec<f32> {
    let pass = |from: &[f32], step: usize, len: usize| -> Vec<f32> {
        let at = |i: usize| i / step % len;
        let (back, on) = (
            |i| if at(i) > 0 { i - step } else { i },
            |i| if at(i) + 1 < len { i + step } else { i },
        );
        (0..from.len())
            .map(|i| 0.25 * (from[back(i)] + 2.0 * from[i] + from[on(i)]))
            .collect()
    };
    pass(&pass(values, 1, grid.0), grid.0, grid.1)
}
