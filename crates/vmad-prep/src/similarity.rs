//! The patch-similarity prior: an anomaly map without learned weights. Normal patches have similar
//! patches elsewhere in the same picture, anomalous ones do not.
//!
//! An extension of ours: the VMAD paper uses patch similarity in training only (DSSL). The features of
//! a grid cell are statistics of band-pass energies and opponent colours, whitened within the image.
//! Each cell is compared with all cells that are not its spatial neighbours. Three choices make this
//! work for objects on backgrounds, whose outlines are rare in the image:
//!
//! - The energies of four orientations enter only by their mean and their anisotropy, so that pieces of
//!   outline match each other whatever their orientation.
//! - The absolute distance, in whitened units, is a channel beside the one relative to the image's
//!   median: a plain background lowers the median, so relative distances do not compare across images.
//! - The outlier factor divides a cell's distance by that of its nearest cells. Cells of an outline are
//!   far from their nearest cells, and these from theirs; the nearest cells of a defect are ordinary.
//!
//! The same input gives the same map: one thread, loops over rows that vectorise, no hashing.
//!
//! With photographs of good parts ([`ReferenceBank`]) each cell is also compared with their cells.

mod channels;
mod config;
mod features;
mod map;
mod median;
mod nearest;
mod picture;
mod plane;
mod references;
mod stats;
mod whitening;
mod within;

pub use config::SimilarityConfig;
pub use map::{Channel, SimilarityMap};
pub use references::{Reference, ReferenceBank};

use median::median;
use picture::{Picture, cells_over};
use within::compare_within;

/// The map of a picture by the distances between its own cells.
///
/// - `rgb`: `[height, width, 3]` row-major bytes
/// - `valid`: width and height in pixels of the unpadded area at the top left; the rest is ignored
///
/// Where `rgb` is too short for its size, or no pixel is valid, the map is all zero.
pub fn self_similarity(
    rgb: &[u8],
    width: usize,
    height: usize,
    valid: (usize, usize),
    config: &SimilarityConfig,
) -> SimilarityMap {
    let picture = Picture {
        rgb,
        width,
        height,
        valid,
    };
    measure(&picture, config, None)
}

/// The map of a picture by its distances to the references' cells and between its own; [`ReferenceBank`]
/// describes how the two are combined. Sizes and failures as for [`self_similarity`].
pub fn similarity_against(
    rgb: &[u8],
    width: usize,
    height: usize,
    valid: (usize, usize),
    bank: &ReferenceBank,
) -> SimilarityMap {
    let picture = Picture {
        rgb,
        width,
        height,
        valid,
    };
    measure(&picture, bank.config(), Some(bank))
}

fn measure(
    picture: &Picture<'_>,
    config: &SimilarityConfig,
    bank: Option<&ReferenceBank>,
) -> SimilarityMap {
    let (width, height) = cells_over((picture.width, picture.height), config);
    let n = width * height;
    let mut map = SimilarityMap {
        width,
        height,
        data: vec![0.0; SimilarityMap::CHANNELS * n],
        valid: (0, 0),
    };
    let Some(own) = compare_within(picture, config) else {
        return map;
    };
    map.valid = own.grid;
    let channels = match bank {
        Some(bank) => bank.combine(own.channels, own.cells.absolute()),
        None => own.channels,
    };
    for (channel, values) in Channel::ALL.iter().zip(channels.channels(own.grid, config)) {
        let plane = &mut map.data[*channel as usize * n..(*channel as usize + 1) * n];
        plane.fill(median(&values));
        for (to, from) in plane.chunks_mut(width).zip(values.chunks(own.grid.0)) {
            to[..own.grid.0].copy_from_slice(from);
        }
    }
    map
}

#[cfg(test)]
mod tests;
