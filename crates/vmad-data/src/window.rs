//! A rectangle of pixels.

use std::ops::Range;

/// A rectangle of pixels, the upper ends excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub x0: usize,
    pub y0: usize,
    pub x1: usize,
    pub y1: usize,
}

impl Window {
    /// The whole of a square.
    pub(crate) fn whole(side: usize) -> Self {
        Self {
            x0: 0,
            y0: 0,
            x1: side,
            y1: side,
        }
    }

    /// The smallest one that holds every value above zero; none when there is no such value.
    pub(crate) fn around(alpha: &[f32], side: usize) -> Option<Self> {
        let mut w = Self {
            x0: side,
            y0: side,
            x1: 0,
            y1: 0,
        };
        for (y, row) in alpha.chunks_exact(side).enumerate() {
            let Some(first) = row.iter().position(|a| *a > 0.0) else {
                continue;
            };
            let last = row.iter().rposition(|a| *a > 0.0).unwrap_or(first);
            (w.x0, w.x1) = (w.x0.min(first), w.x1.max(last + 1));
            (w.y0, w.y1) = (w.y0.min(y), y + 1);
        }
        (w.x0 < w.x1).then_some(w)
    }

    /// Wider by `by` on all sides, within a square.
    pub(crate) fn grown(self, by: usize, side: usize) -> Self {
        Self {
            x0: self.x0.saturating_sub(by),
            y0: self.y0.saturating_sub(by),
            x1: (self.x1 + by).min(side),
            y1: (self.y1 + by).min(side),
        }
    }

    pub(crate) fn columns(self) -> Range<usize> {
        self.x0..self.x1
    }

    pub(crate) fn rows(self) -> Range<usize> {
        self.y0..self.y1
    }

    pub(crate) fn width(self) -> usize {
        self.x1 - self.x0
    }

    pub(crate) fn height(self) -> usize {
        self.y1 - self.y0
    }
}
