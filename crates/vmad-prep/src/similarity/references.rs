//! Photographs of good parts to compare a picture with: what few-shot methods call a memory bank
//! (Roth et al. 2022, PatchCore), over the hand-made features of this module.
//!
//! Two distances meet in each cell. That within the picture says how rare the cell is there; that
//! to the references says how unlike anything normal it is, counted in the distances that the
//! references have among each other. Where the second is usual, the smaller of the two holds: what
//! is common among good parts is excused, however rare in the picture. Where it is twice the usual
//! or more, the larger holds: what has no like among good parts is suspicious, however often the
//! picture repeats it. In between one passes into the other.

use super::{
    Channel, Features, Logarithms, Nearest, Picture, QUERIES, SimilarityConfig, Whitening,
    cells_over, describe, exclude_disc, exclude_radius, logarithms, measure, median, smallest,
    squared_distances,
};

/// ln of the ratio to the usual distance from which on a cell certainly has no like.
const UNLIKE: f32 = std::f32::consts::LN_2;

/// Under this distance references are equal pixel by pixel: a bank of copies must not make every
/// other picture infinitely unlike it.
const LEAST: f32 = 0.05;

/// The cells of one photograph of a good part.
#[derive(Debug, Clone)]
pub struct Reference {
    config: SimilarityConfig,
    /// Columns and rows.
    grid: (usize, usize),
    /// Not standardised.
    features: Features,
    /// Indices of all cells, those with the least like in their own photograph first.
    rarest: Vec<usize>,
    /// Median distance of the cells within the photograph.
    typical: f32,
}

impl Reference {
    /// Describes a photograph; arguments and failures as for [`super::self_similarity`]. Where that
    /// map would be zero, there are no cells.
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
            grid: (0, 0),
            features: Features::new(),
            rarest: Vec::new(),
            typical: 0.0,
        };
        let Some(size) = picture.size() else {
            return reference;
        };
        let (columns, rows) = cells_over(size, config);
        let map = measure(&picture, config, None);
        let lines = map.channel(Channel::Absolute).chunks(map.width).take(rows);
        let absolute: Vec<f32> = lines.flat_map(|line| &line[..columns]).copied().collect();
        reference.grid = (columns, rows);
        reference.features = describe(rgb, width, size, reference.grid, config).absolute();
        reference.rarest = (0..absolute.len()).collect();
        reference
            .rarest
            .sort_by(|&i, &j| absolute[j].total_cmp(&absolute[i]));
        reference.typical = median(&absolute).exp();
        reference
    }

    /// At most `n` cells: the rarest half, which an even choice would miss, and of the others every
    /// so many.
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

/// Cells of photographs of good parts, ready to be compared with.
#[derive(Debug, Clone)]
pub struct ReferenceBank {
    config: SimilarityConfig,
    whitening: Whitening,
    /// On the whitening's axes.
    cells: Features,
    /// Distance of each cell to its nearest among the other references; to that in its own
    /// photograph, its neighbours left out, where there is but one.
    own: Vec<f32>,
    /// Median of `own`, [`LEAST`] at least.
    usual: f32,
    /// From distances in the bank to those within a picture.
    unit: f32,
}

impl ReferenceBank {
    /// Most cells that are kept, each reference having its even share. A picture of 32×32 cells
    /// then costs at most four times what it costs to compare it with itself, and making the bank
    /// at most sixteen times that.
    pub const MAX_CELLS: usize = 4096;

    /// `None` without any cell. References that were described by another configuration than the
    /// first are left out.
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
            places.extend(chosen.into_iter().map(|cell| Place { photo, cell }));
        }
        // All axes: a defect shows in those along which good parts hardly vary.
        let whitening = Whitening::fit(&features, &config, usize::MAX);
        let cells = whitening.apply(&features);
        let lone = (used.len() == 1).then_some(first.grid);
        let own = distances_within(&cells, &places, lone, &config);
        let usual = median(&own).max(LEAST);
        let typical: Vec<f32> = used.iter().map(|reference| reference.typical).collect();
        Some(Self {
            unit: median(&typical) / usual,
            config,
            whitening,
            cells,
            own,
            usual,
        })
    }

    /// How many cells are kept.
    pub fn n_cells(&self) -> usize {
        self.own.len()
    }

    pub(super) fn config(&self) -> &SimilarityConfig {
        &self.config
    }

    /// Joins what a picture says of its own cells with what the references say of them.
    pub(super) fn judge(&self, own: Logarithms, cells: Features) -> Logarithms {
        let found = nearest_in(&self.whitening.apply(&cells), &self.cells);
        // A copy of a reference is no more normal than another good part.
        let floor = 0.5 * self.usual;
        let distance = found.iter().map(|(d, _)| self.unit * d.max(floor));
        let nearest = Nearest {
            distance: distance.collect(),
            theirs: found
                .iter()
                .map(|&(_, j)| self.unit * self.own[j])
                .collect(),
        };
        let theirs = logarithms(&nearest, self.unit * self.usual, &self.config);
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
        Logarithms {
            relative: join(&own.relative, &theirs.relative),
            absolute: join(&own.absolute, &theirs.absolute),
            factor: join(&own.factor, &theirs.factor),
        }
    }
}

/// Where a cell of the bank comes from.
struct Place {
    photo: usize,
    cell: usize,
}

/// Distance per √axis of each cell of the bank to its nearest in another photograph, or in its own,
/// of the grid `lone`, but outside its neighbourhood.
fn distances_within(
    cells: &Features,
    places: &[Place],
    lone: Option<(usize, usize)>,
    config: &SimilarityConfig,
) -> Vec<f32> {
    let n = places.len();
    let mut squares = [(); QUERIES].map(|()| vec![0.0f32; n]);
    let mut best = Vec::with_capacity(2);
    let mut out = Vec::with_capacity(n);
    let lone = lone.map(|grid| (grid, exclude_radius(grid, config)));
    for start in (0..n).step_by(QUERIES) {
        squared_distances(cells, start, cells, &mut squares);
        for (place, row) in places[start..].iter().zip(&mut squares) {
            match lone {
                Some((grid, radius)) => {
                    let mut near = vec![0.0; grid.0 * grid.1];
                    exclude_disc(&mut near, place.cell, grid, radius);
                    for (value, other) in row.iter_mut().zip(places) {
                        *value += near[other.cell];
                    }
                }
                None => {
                    let pairs = row.iter_mut().zip(places);
                    for (value, _) in pairs.filter(|(_, other)| other.photo == place.photo) {
                        *value = f32::INFINITY;
                    }
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
