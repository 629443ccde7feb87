//! A memory bank of photographs of good parts (as in PatchCore, Roth et al. 2022) over the features of
//! this module.
//!
//! A cell has two distances: within the picture, and to the references. The second is divided by the
//! median distance among the references' cells, or by the distance that the matched cell has to other
//! references where that is larger, since good parts may differ there. Where this ratio is 1 or less,
//! the smaller of both maps is taken: what good parts show is normal although it is rare in the
//! picture. Where it is 2 or more, the larger is taken: what no good part shows is anomalous although
//! the picture repeats it. In between the result is interpolated.

use super::channels::{LogChannels, log_channels};
use super::config::SimilarityConfig;
use super::features::Features;
use super::median::median;
use super::nearest::{Nearest, QUERIES, exclude_radius, smallest, squared_distances};
use super::picture::{Picture, cells_over};
use super::whitening::Whitening;
use super::within::compare_within;

/// ln of the ratio from which on the larger of both maps is taken.
const UNLIKE: f32 = std::f32::consts::LN_2;

/// Least median distance, so that a bank of identical photographs does not divide by zero.
const LEAST: f32 = 0.05;

/// Largest divisor, in median distances.
const TOLERANCE: f32 = 8.0;

/// The cells of one photograph of a good part.
///
/// The photograph is cut into cells four times, shifted by half a cell along each axis, since small
/// structures lie differently in the cells of each photograph.
#[derive(Debug, Clone)]
pub struct Reference {
    config: SimilarityConfig,
    /// `[n_features][n_cells]`, not standardised.
    features: Features,
    /// Position of each cell, in cells.
    places: Vec<(f32, f32)>,
    /// Columns and rows, for the radius of a cell's neighbourhood.
    grid: (usize, usize),
    /// Indices of all cells, by falling distance within their photograph.
    rarest: Vec<usize>,
    /// Median distance of the cells within the photograph.
    typical: f32,
}

impl Reference {
    /// Computes the cells of a photograph; arguments as for [`super::self_similarity`]. Where that map
    /// would be zero, there are none.
    pub fn new(
        rgb: &[u8],
        width: usize,
        height: usize,
        valid: (usize, usize),
        config: &SimilarityConfig,
    ) -> Self {
        let picture = Picture {
            rgb,
            width,
            height,
            valid,
        };
        let mut reference = Self {
            config: config.clone(),
            features: Features::new(),
            places: Vec::new(),
            grid: (0, 0),
            rarest: Vec::new(),
            typical: 0.0,
        };
        let Some(size) = picture.size() else {
            return reference;
        };
        reference.grid = cells_over(size, config);
        let half = config.cell / 2;
        let mut absolute = Vec::new();
        for (x, y) in [(0, 0), (half, 0), (0, half), (half, half)] {
            let is_again = half == 0 && !absolute.is_empty();
            if x < size.0 && y < size.1 && !is_again {
                let part = cropped(rgb, width, (x, y), size);
                absolute.extend(reference.add(&part, (size.0 - x, size.1 - y), (x, y)));
            }
        }
        reference.rarest = (0..absolute.len()).collect();
        reference
            .rarest
            .sort_by(|&i, &j| absolute[j].total_cmp(&absolute[i]));
        reference.typical = median(&absolute).exp();
        reference
    }

    /// Adds the cells of a part that begins at `from`; returns [`Channel::Absolute`] of each in it.
    ///
    /// [`Channel::Absolute`]: super::Channel::Absolute
    fn add(&mut self, rgb: &[u8], size: (usize, usize), from: (usize, usize)) -> Vec<f32> {
        let picture = Picture {
            rgb,
            width: size.0,
            height: size.1,
            valid: size,
        };
        let Some(own) = compare_within(&picture, &self.config) else {
            return Vec::new();
        };
        let cells = own.cells.absolute();
        self.features.resize(cells.len(), Vec::new());
        for (all, feature) in self.features.iter_mut().zip(cells) {
            all.extend(feature);
        }
        let shift = |pixels: usize| pixels as f32 / self.config.cell.max(1) as f32;
        let (dx, dy) = (shift(from.0), shift(from.1));
        for y in 0..own.grid.1 {
            let row = (0..own.grid.0).map(|x| (x as f32 + dx, y as f32 + dy));
            self.places.extend(row);
        }
        own.channels.absolute
    }

    /// At most `n` cells: half of them the rarest, which even sampling would miss, the others sampled
    /// evenly from the rest.
    fn chosen(&self, n: usize) -> Vec<usize> {
        let total = self.rarest.len();
        if total <= n {
            return self.rarest.clone();
        }
        let (rare, usual) = self.rarest.split_at(n / 2);
        let n_usual = n - rare.len();
        let evenly = (0..n_usual).map(|i| usual[i * usual.len() / n_usual]);
        rare.iter().copied().chain(evenly).collect()
    }
}

/// Whitened cells of photographs of good parts.
#[derive(Debug, Clone)]
pub struct ReferenceBank {
    config: SimilarityConfig,
    whitening: Whitening,
    /// `[n_axes][n_cells]`, whitened.
    cells: Features,
    /// Distance of each cell to its nearest in another reference; with one reference, to its nearest in
    /// that one outside of the neighbourhood.
    own: Vec<f32>,
    /// Median of `own`, [`LEAST`] at least.
    usual: f32,
    /// Median distance within a reference, to which `usual` corresponds.
    typical: f32,
}

impl ReferenceBank {
    /// Most cells of a bank, divided evenly among the references. Comparing a picture of 32×32 cells
    /// with them costs about 6 times, making the bank about 24 times as much as the picture's own map.
    pub const MAX_CELLS: usize = 4096;

    /// `None` without any cell. References with another configuration than the first's are left out.
    pub fn new(references: &[Reference]) -> Option<Self> {
        let mut used: Vec<&Reference> = Vec::new();
        for reference in references.iter().filter(|r| !r.rarest.is_empty()) {
            if used
                .first()
                .is_none_or(|first| first.config == reference.config)
            {
                used.push(reference);
            }
        }
        let first = used.first()?;
        let share = (Self::MAX_CELLS / used.len()).max(1);
        let config = first.config.clone();
        let mut features = vec![Vec::new(); first.features.len()];
        let mut places = Vec::new();
        for (photo, reference) in used.iter().enumerate().take(Self::MAX_CELLS) {
            let chosen = reference.chosen(share);
            for (all, feature) in features.iter_mut().zip(&reference.features) {
                all.extend(chosen.iter().map(|&i| feature[i]));
            }
            let at = |i: usize| reference.places[i];
            places.extend(chosen.into_iter().map(|i| Place { photo, at: at(i) }));
        }
        // All axes: a defect shows in those along which good parts hardly vary.
        let whitening = Whitening::fit(&features, &config, usize::MAX);
        let cells = whitening.apply(&features);
        let lone = (used.len() == 1).then(|| exclude_radius(first.grid, &config));
        let own = distances_within(&cells, &places, lone);
        let typical: Vec<f32> = used.iter().map(|reference| reference.typical).collect();
        Some(Self {
            typical: median(&typical),
            usual: median(&own).max(LEAST),
            config,
            whitening,
            cells,
            own,
        })
    }

    /// Number of cells.
    pub fn n_cells(&self) -> usize {
        self.own.len()
    }

    pub(super) fn config(&self) -> &SimilarityConfig {
        &self.config
    }

    /// Combines a picture's own channels with those of its distances to the references.
    pub(super) fn combine(&self, own: LogChannels, cells: Features) -> LogChannels {
        let found = nearest_in(&self.whitening.apply(&cells), &self.cells);
        let typical = self.typical;
        let most = TOLERANCE * self.usual;
        let tolerance = |j: usize| self.own[j].clamp(self.usual, most);
        // A copy of a reference counts as much as another good part.
        let shares = found.iter().map(|&(d, j)| (d / tolerance(j)).max(0.5));
        let nearest = Nearest {
            distance: shares.map(|share| typical * share).collect(),
            neighbour_distance: found
                .iter()
                .map(|&(_, j)| typical * (self.own[j] / tolerance(j)).min(1.0))
                .collect(),
        };
        let theirs = log_channels(&nearest, typical, &self.config);
        let doubt = theirs.relative.iter();
        let doubt: Vec<f32> = doubt.map(|r| (r / UNLIKE).clamp(0.0, 1.0)).collect();
        let join = |own: &[f32], theirs: &[f32]| {
            let pairs = own.iter().zip(theirs).zip(&doubt);
            pairs
                .map(|((own, theirs), doubt)| {
                    let (low, high) = (own.min(*theirs), own.max(*theirs));
                    low + doubt * (high - low)
                })
                .collect()
        };
        LogChannels {
            relative: join(&own.relative, &theirs.relative),
            absolute: join(&own.absolute, &theirs.absolute),
            factor: join(&own.factor, &theirs.factor),
        }
    }
}

/// The pixels of a picture between the corners `from` and `to`.
fn cropped(rgb: &[u8], width: usize, from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let lines = rgb.chunks_exact(3 * width).take(to.1).skip(from.1);
    lines
        .flat_map(|line| &line[3 * from.0..3 * to.0])
        .copied()
        .collect()
}

/// Origin of a cell of the bank.
struct Place {
    photo: usize,
    at: (f32, f32),
}

impl Place {
    /// Whether `other` is excluded from this cell's candidates: it is of the same photograph or, with
    /// one photograph, within the radius `lone`.
    fn excludes(&self, other: &Self, lone: Option<f32>) -> bool {
        match lone {
            Some(radius) => {
                let (dx, dy) = (self.at.0 - other.at.0, self.at.1 - other.at.1);
                dx * dx + dy * dy <= radius * radius
            }
            None => self.photo == other.photo,
        }
    }
}

/// Distance per √axis of each cell of the bank to its nearest in another photograph, or in its own
/// but outside its neighbourhood, whose radius `lone` is.
fn distances_within(cells: &Features, places: &[Place], lone: Option<f32>) -> Vec<f32> {
    let n = places.len();
    let mut squares = [(); QUERIES].map(|()| vec![0.0f32; n]);
    let mut best = Vec::with_capacity(2);
    let mut out = Vec::with_capacity(n);
    for start in (0..n).step_by(QUERIES) {
        squared_distances(cells, start, cells, &mut squares);
        for (place, row) in places[start..].iter().zip(&mut squares) {
            for (value, other) in row.iter_mut().zip(places) {
                if place.excludes(other, lone) {
                    *value = f32::INFINITY;
                }
            }
            smallest(row, 1, &mut best);
            out.push(per_axis(cells, best.first().map_or(0.0, |b| b.0)));
        }
    }
    out
}

/// For each query its distance per √axis to the nearest cell of the bank, and which that is.
fn nearest_in(queries: &Features, cells: &Features) -> Vec<(f32, usize)> {
    let n = queries.first().map_or(0, Vec::len);
    let n_cells = cells.first().map_or(0, Vec::len);
    let mut squares = [(); QUERIES].map(|()| vec![0.0f32; n_cells]);
    let mut best = Vec::with_capacity(2);
    let mut out = Vec::with_capacity(n);
    for start in (0..n).step_by(QUERIES) {
        squared_distances(queries, start, cells, &mut squares);
        for (_, row) in (start..n).zip(&squares) {
            smallest(row, 1, &mut best);
            let (square, j) = best.first().copied().unwrap_or_default();
            out.push((per_axis(cells, square), j));
        }
    }
    out
}

fn per_axis(cells: &Features, square: f32) -> f32 {
    (square / cells.len().max(1) as f32).sqrt()
}
