//! Photographs of good parts to compare a picture with: what few-shot methods call a memory bank
//! (Roth et al. 2022, PatchCore), over the hand-made features of this module.
//!
//! Two distances meet in each cell. That within the picture says how rare the cell is there; that
//! to the references says how unlike anything normal it is. The second is counted in the distance
//! that the references' cells usually have among each other, and where the cell's nearest lies
//! further from the others, in that: where good parts differ, this one may. Where it is usual, the
//! smaller of the two holds: what is common among good parts is excused, however rare in the
//! picture. Where it is twice the usual or more, the larger holds: what has no like among good parts
//! is suspicious, however often the picture repeats it. In between one passes into the other.

use super::{
    Channel, Features, Logarithms, Nearest, Picture, QUERIES, SimilarityConfig, Whitening,
    cells_over, describe, exclude_radius, logarithms, measure, median, smallest, squared_distances,
};

/// ln of the ratio to the usual distance from which on a cell certainly has no like.
const UNLIKE: f32 = std::f32::consts::LN_2;

/// Under this distance references are equal pixel by pixel: a bank of copies must not make every
/// other picture infinitely unlike it.
const LEAST: f32 = 0.05;

/// How many times the usual distance a rare cell of the references may at most lend to what is near
/// it.
const TOLERANCE: f32 = 8.0;

/// The cells of one photograph of a good part.
///
/// It is cut into cells four times, shifted by half a cell each way: what is small lies otherwise in
/// its cells in each photograph.
#[derive(Debug, Clone)]
pub struct Reference {
    config: SimilarityConfig,
    /// Not standardised.
    features: Features,
    /// Where each cell lies, in cells.
    places: Vec<(f32, f32)>,
    /// Columns and rows, for the reach of a cell's neighbourhood.
    grid: (usize, usize),
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

    /// Adds the cells of a part that begins at `from`; says how rare each is in it.
    fn add(&mut self, rgb: &[u8], size: (usize, usize), from: (usize, usize)) -> Vec<f32> {
        let picture = Picture {
            rgb,
            width: size.0,
            height: size.1,
            valid: size,
        };
        let grid = cells_over(size, &self.config);
        let cells = describe(rgb, size.0, size, grid, &self.config).absolute();
        self.features.resize(cells.len(), Vec::new());
        for (all, feature) in self.features.iter_mut().zip(cells) {
            all.extend(feature);
        }
        let shift = |pixels: usize| pixels as f32 / self.config.cell.max(1) as f32;
        let (dx, dy) = (shift(from.0), shift(from.1));
        for y in 0..grid.1 {
            let row = (0..grid.0).map(|x| (x as f32 + dx, y as f32 + dy));
            self.places.extend(row);
        }
        let map = measure(&picture, &self.config, None);
        map.channel(Channel::Absolute).to_vec()
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
    /// Median distance within a reference, to which `usual` corresponds.
    typical: f32,
}

impl ReferenceBank {
    /// Most cells that are kept, each reference having its even share. To compare a picture of
    /// 32×32 cells with them costs at most some six times what it costs to compare it with itself,
    /// and to make the bank at most some 24 times that.
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
        let typical = self.typical;
        let most = TOLERANCE * self.usual;
        let tolerance = |j: usize| self.own[j].clamp(self.usual, most);
        // A copy of a reference is no more normal than another good part.
        let shares = found.iter().map(|&(d, j)| (d / tolerance(j)).max(0.5));
        let nearest = Nearest {
            distance: shares.map(|share| typical * share).collect(),
            theirs: found
                .iter()
                .map(|&(_, j)| typical * (self.own[j] / tolerance(j)).min(1.0))
                .collect(),
        };
        let theirs = logarithms(&nearest, typical, &self.config);
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

/// The area of a picture from a pixel on to `to`.
fn cropped(rgb: &[u8], width: usize, from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let lines = rgb.chunks_exact(3 * width).take(to.1).skip(from.1);
    lines
        .flat_map(|line| &line[3 * from.0..3 * to.0])
        .copied()
        .collect()
}

/// Where a cell of the bank comes from.
struct Place {
    photo: usize,
    at: (f32, f32),
}

impl Place {
    /// Whether another cell says nothing of how far good parts are from each other: it shows the
    /// same photograph or, where that is the only one, nearly the same place of it.
    fn rules_out(&self, other: &Self, lone: Option<f32>) -> bool {
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
                if place.rules_out(other, lone) {
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
