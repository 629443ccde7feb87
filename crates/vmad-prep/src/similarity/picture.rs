//! A picture and its grid of cells.

use super::config::SimilarityConfig;

/// RGB bytes and their size, as [`super::self_similarity`] takes them.
pub struct Picture<'a> {
    /// `[height, width, 3]`, row-major.
    pub rgb: &'a [u8],
    /// Pixels of a row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// Width and height of the area at the upper left that is no padding.
    pub valid: (usize, usize),
}

impl Picture<'_> {
    /// Width and height in pixels of the area that counts; `None` where there is none.
    pub fn size(&self) -> Option<(usize, usize)> {
        let size = (self.valid.0.min(self.width), self.valid.1.min(self.height));
        let n_bytes = self.width.checked_mul(self.height);
        let n_bytes = n_bytes.and_then(|n| n.checked_mul(3))?;
        (size.0 > 0 && size.1 > 0 && n_bytes <= self.rgb.len()).then_some(size)
    }
}

/// Columns and rows of cells over an area, the last of them perhaps cut off.
pub fn cells_over(size: (usize, usize), config: &SimilarityConfig) -> (usize, usize) {
    let cell = config.cell.max(1);
    (size.0.div_ceil(cell), size.1.div_ceil(cell))
}
