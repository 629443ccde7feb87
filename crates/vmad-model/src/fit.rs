//! How a photograph lies in CLIP's square and in SAM's.

use crate::config::{ClipFit, VmadConfig};

/// Both axes of a photograph.
pub(crate) struct Fit {
    pub across: Axis,
    pub down: Axis,
}

impl Fit {
    /// For a photograph of this width and height in pixels.
    pub fn new(config: &VmadConfig, (width, height): (u32, u32)) -> Self {
        let longest = width.max(height).max(1) as f32;
        let square = match config.clip_mode {
            ClipFit::Pad => longest,
            ClipFit::Crop => width.min(height).max(1) as f32,
        };
        let axis = |length: u32| Axis::new(length as f32, square, longest, config.clip.grid());
        Self {
            across: axis(width),
            down: axis(height),
        }
    }
}

/// One axis of a photograph.
pub(crate) struct Axis {
    /// Pixels of the photograph.
    length: f32,
    /// Pixels of the side of CLIP's square.
    square: f32,
    /// Pixels of the side of SAM's square.
    longest: f32,
    /// Patches along CLIP's square.
    grid: usize,
}

impl Axis {
    fn new(length: f32, square: f32, longest: f32, grid: usize) -> Self {
        let length = length.max(1.0);
        Self {
            length,
            square,
            longest,
            grid,
        }
    }

    /// Pixels of the photograph before the square begins; negative where padding comes first.
    fn start(&self) -> f32 {
        (self.length - self.square) / 2.0
    }

    /// Whether any of a patch is photograph.
    pub fn holds(&self, patch: usize) -> bool {
        let at = |edge: usize| edge as f32 / self.grid as f32 * self.square + self.start();
        at(patch) < self.length && at(patch + 1) > 0.0
    }

    /// Where each of `side` samples over SAM's square lies on the photograph, 0 to 1; none outside.
    pub fn places(&self, side: usize) -> impl Iterator<Item = Option<f32>> {
        (0..side).map(move |i| {
            let pixel = (i as f32 + 0.5) / side as f32 * self.longest;
            (pixel < self.length).then_some(pixel / self.length)
        })
    }

    /// Bilinear weights of the patches for `side` samples over SAM's square, `[side, grid]`; none
    /// outside of what CLIP has seen, and none of patches that are padding.
    pub fn weights(&self, side: usize) -> Vec<f32> {
        let mut weights = vec![0.0; side * self.grid];
        let first = (0..self.grid).find(|patch| self.holds(*patch));
        let last = (0..self.grid).rfind(|patch| self.holds(*patch));
        let (Some(first), Some(last)) = (first, last) else {
            return weights;
        };
        for (i, weights) in weights.chunks_mut(self.grid).enumerate() {
            let pixel = (i as f32 + 0.5) / side as f32 * self.longest;
            let share = (pixel - self.start()) / self.square;
            if pixel >= self.length || !(0.0..1.0).contains(&share) {
                continue;
            }
            let at = (share * self.grid as f32 - 0.5).clamp(first as f32, last as f32);
            let low = at as usize;
            weights[low] += 1.0 - at.fract();
            weights[(low + 1).min(last)] += at.fract();
        }
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_lie_where_the_photograph_does() {
        // 64×32 pixels padded to CLIP's square of 8 patches: rows 2 to 5 are photograph.
        let down = Axis::new(32.0, 64.0, 64.0, 8);
        let holds: Vec<usize> = (0..8).filter(|i| down.holds(*i)).collect();
        assert_eq!(holds, [2, 3, 4, 5]);
        let weights = down.weights(16);
        for (i, row) in weights.chunks(8).enumerate() {
            // SAM's square has the photograph in its upper half.
            let sum: f32 = row.iter().sum();
            assert!((sum - f32::from(u8::from(i < 8))).abs() < 1e-6, "{i}");
            assert!(row[..2].iter().chain(&row[6..]).all(|w| *w == 0.0), "{i}");
        }
        assert_eq!(
            weights[3 * 8..4 * 8],
            [0.0, 0.0, 0.0, 0.75, 0.25, 0.0, 0.0, 0.0]
        );
        // Cropped to the middle 32 of 64 columns: CLIP saw none of the others.
        let across = Axis::new(64.0, 32.0, 64.0, 8);
        assert!((0..8).all(|i| across.holds(i)));
        let seen: Vec<usize> = (0..16)
            .filter(|i| {
                across.weights(16)[i * 8..(i + 1) * 8]
                    .iter()
                    .any(|w| *w != 0.0)
            })
            .collect();
        assert_eq!(seen, (4..12).collect::<Vec<_>>());
    }
}
