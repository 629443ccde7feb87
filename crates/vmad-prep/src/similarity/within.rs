//! A picture compared with itself.

use super::channels::{LogChannels, log_channels};
use super::config::SimilarityConfig;
use super::features::{CellFeatures, cell_features};
use super::median::median;
use super::nearest::nearest_cells;
use super::picture::{Picture, cells_over};
use super::whitening::Whitening;

/// The cells of a picture, and their distances to each other.
pub struct SelfComparison {
    /// Columns and rows of the valid cells.
    pub grid: (usize, usize),
    pub cells: CellFeatures,
    pub channels: LogChannels,
}

/// Compares the cells of a picture with each other; `None` where it has no valid pixel or too few
/// bytes.
pub fn compare_within(picture: &Picture<'_>, config: &SimilarityConfig) -> Option<SelfComparison> {
    let size = picture.size()?;
    let grid = cells_over(size, config);
    let cells = cell_features(picture.rgb, picture.width, size, grid, config);
    let whitening = Whitening::fit(&cells.features, config, config.axes.max(1));
    let nearest = nearest_cells(&whitening.apply(&cells.features), grid, config);
    let channels = log_channels(&nearest, median(&nearest.distance), config);
    Some(SelfComparison {
        grid,
        cells,
        channels,
    })
}
