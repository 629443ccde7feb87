//! A prior that needs no learning: normal patches find their like elsewhere in the same picture,
//! anomalous ones do not.
//!
//! Not from the VMAD paper, which uses patch similarity in training only (DSSL). Each cell of a grid
//! is described by statistics of band-pass energies and opponent colours, whitened within the
//! image, and compared with all cells that are not its spatial neighbours. Three ideas carry it
//! from textures to objects on backgrounds, whose outlines are rare in the image:
//!
//! - the energies of the four orientations enter only by their mean and their anisotropy, so
//!   a piece of outline matches every other piece, whichever way it runs;
//! - next to the distance relative to the image's median stands the absolute one, in whitened
//!   units: a plain background shrinks the median, and with it the relative distance loses its
//!   meaning across images;
//! - the outlier factor divides a cell's distance by that of the cells it resembles: an outline is
//!   far from its matches but so are they from theirs, whereas a defect's matches are ordinary.
//!
//! Plain loops over rows that vectorise, one thread, no hashing: the same input gives the same map.
//!
//! With photographs of good parts ([`ReferenceBank`]) each cell is compared with theirs as well.

mod references;
mod whitening;

pub use references::{Reference, ReferenceBank};
use whitening::Whitening;

/// What [`self_similarity`] measures; [`Default`] is what was tuned on the synthetic train split.
#[derive(Debug, Clone, PartialEq)]
pub struct SimilarityConfig {
    /// Side of a cell in pixels; zero counts as one.
    pub cell: usize,
    /// Pixels by which a cell's statistics reach beyond it on every side.
    pub margin: usize,
    /// Number of band-pass scales, one octave apart; limited to 1..=6.
    pub scales: usize,
    /// How many nearest cells the distance is averaged over.
    pub neighbours: usize,
    /// Cells within this distance (in cells, Euclidean) are no candidates; on grids under 16 cells
    /// a quarter of the longer side is used where that is less.
    pub exclude_radius: f32,
    /// Energy (luminance 0..1) under which differences count little: energies `e` enter as
    /// `ln(1 + e / energy_floor)`.
    pub energy_floor: f32,
    /// Added to every eigenvalue (mean 1 or less) when whitening; 0 whitens fully.
    pub whitening_floor: f32,
    /// How many principal axes are kept, strongest first.
    pub axes: usize,
    /// Added, in whitened units per axis, to both sides of the outlier factor.
    pub factor_floor: f32,
    /// Weight of the outlier factor in [`Channel::Fused`].
    pub factor_weight: f32,
}

impl Default for SimilarityConfig {
    fn default() -> Self {
        Self {
            cell: 8,
            margin: 0,
            scales: 3,
            neighbours: 20,
            exclude_radius: 4.0,
            energy_floor: 0.02,
            whitening_floor: 0.1,
            axes: 20,
            factor_floor: 0.8,
            factor_weight: 4.0,
        }
    }
}

/// One map of a [`SimilarityMap`]; the discriminant is its index in `data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// ln(distance / the image's median distance), in [-2, 4]; 0 is typical of this image.
    Relative = 0,
    /// ln(distance per √axis) in whitened units, in [-3, 3]; comparable across images.
    Absolute = 1,
    /// ln of the outlier factor, in [-2, 3]; 0 is as rare as the cells it resembles.
    Factor = 2,
    /// Absolute + weight · Factor, smoothed over 3×3 cells: the map to use on its own.
    Fused = 3,
}

impl Channel {
    /// All channels in the order of [`SimilarityMap::data`].
    pub const ALL: [Self; 4] = [Self::Relative, Self::Absolute, Self::Factor, Self::Fused];
}

/// The prior of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct SimilarityMap {
    /// Columns of cells: image width / cell, rounded up, padding included.
    pub width: usize,
    /// Rows of cells: image height / cell, rounded up, padding included.
    pub height: usize,
    /// `[Channel::ALL.len(), height, width]`, row-major and always finite. Cells of padding hold
    /// the median of their channel's other cells.
    pub data: Vec<f32>,
    /// Columns and rows of cells that hold image, not padding.
    pub valid: (usize, usize),
}

impl SimilarityMap {
    /// Number of channels in `data`.
    pub const CHANNELS: usize = Channel::ALL.len();

    /// One channel, `[height, width]` row-major.
    pub fn channel(&self, channel: Channel) -> &[f32] {
        let n = self.width * self.height;
        self.data
            .get(channel as usize * n..(channel as usize + 1) * n)
            .unwrap_or(&[])
    }

    /// Image score: mean of [`Channel::Fused`] over its top 1 % of cells (at least one), less half
    /// the 90th percentile of [`Channel::Absolute`], which is how busy the picture is as a whole.
    /// Higher is more anomalous; 0 for an empty map.
    pub fn score(&self) -> f32 {
        let mut top = self.descending(Channel::Fused);
        let absolute = self.descending(Channel::Absolute);
        top.truncate((top.len() / 100).max(1));
        let busy = absolute.get(absolute.len() / 10).unwrap_or(&0.0);
        top.iter().sum::<f32>() / top.len().max(1) as f32 - 0.5 * busy
    }

    /// The cells of a channel that are not padding, highest first.
    fn descending(&self, channel: Channel) -> Vec<f32> {
        let (columns, rows) = self.valid;
        let lines = self.channel(channel).chunks(self.width.max(1)).take(rows);
        let mut cells: Vec<f32> = lines
            .flat_map(|line| line.iter().take(columns).copied())
            .collect();
        cells.sort_unstable_by(|a, b| b.total_cmp(a));
        cells
    }
}

/// Measures how unlike the rest of its own image each cell is.
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

/// Measures how unlike normal photographs each cell is, and how unlike the rest of its own image:
/// see [`ReferenceBank`] for how the two are joined. Sizes and failures as for [`self_similarity`].
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

/// What is measured: the arguments of [`self_similarity`].
struct Picture<'a> {
    rgb: &'a [u8],
    width: usize,
    height: usize,
    valid: (usize, usize),
}

impl Picture<'_> {
    /// Width and height in pixels of the area that counts; `None` where there is none.
    fn size(&self) -> Option<(usize, usize)> {
        let size = (self.valid.0.min(self.width), self.valid.1.min(self.height));
        let n_bytes = self.width.checked_mul(self.height);
        let n_bytes = n_bytes.and_then(|n| n.checked_mul(3))?;
        (size.0 > 0 && size.1 > 0 && n_bytes <= self.rgb.len()).then_some(size)
    }
}

/// Columns and rows of cells over an area, the last of them perhaps cut off.
fn cells_over(size: (usize, usize), config: &SimilarityConfig) -> (usize, usize) {
    let cell = config.cell.max(1);
    (size.0.div_ceil(cell), size.1.div_ceil(cell))
}

fn measure(
    picture: &Picture<'_>,
    config: &SimilarityConfig,
    bank: Option<&ReferenceBank>,
) -> SimilarityMap {
    let grid = cells_over((picture.width, picture.height), config);
    let n = grid.0 * grid.1;
    let mut map = SimilarityMap {
        width: grid.0,
        height: grid.1,
        data: vec![0.0; SimilarityMap::CHANNELS * n],
        valid: (0, 0),
    };
    let Some(size) = picture.size() else {
        return map;
    };
    let inner = cells_over(size, config);
    map.valid = inner;

    let cells = describe(picture.rgb, picture.width, size, inner, config);
    let features =
        Whitening::fit(&cells.features, config, config.axes.max(1)).apply(&cells.features);
    let nearest = nearest_cells(&features, inner, config);
    let mut found = logarithms(&nearest, median(&nearest.distance), config);
    if let Some(bank) = bank {
        found = bank.judge(found, cells.absolute());
    }
    for (channel, values) in Channel::ALL.iter().zip(found.channels(inner, config)) {
        let plane = &mut map.data[*channel as usize * n..(*channel as usize + 1) * n];
        plane.fill(median(&values));
        for (to, from) in plane.chunks_mut(grid.0).zip(values.chunks(inner.0)) {
            to[..inner.0].copy_from_slice(from);
        }
    }
    map
}

/// A greyscale picture, `[height, width]` row-major; never empty.
struct Plane {
    width: usize,
    height: usize,
    data: Vec<f32>,
}

impl Plane {
    fn new(width: usize, height: usize) -> Self {
        let data = vec![0.0; width * height];
        Self {
            width,
            height,
            data,
        }
    }

    /// The row nearest to `y`: the border repeats.
    fn row(&self, y: isize) -> &[f32] {
        let y = y.clamp(0, self.height as isize - 1) as usize;
        &self.data[y * self.width..(y + 1) * self.width]
    }

    /// Means of 2×2 pixels; an odd last row or column stands for two.
    fn halved(&self) -> Self {
        let mut out = Self::new(self.width.div_ceil(2), self.height.div_ceil(2));
        for (y, row) in out.data.chunks_mut(out.width).enumerate() {
            let (a, b) = (self.row(2 * y as isize), self.row(2 * y as isize + 1));
            for ((o, a), b) in row.iter_mut().zip(a.chunks(2)).zip(b.chunks(2)) {
                *o = 0.25 * (a[0] + a[a.len() - 1] + b[0] + b[b.len() - 1]);
            }
        }
        out
    }
}

/// Energies at 0°, 45°, 90° and 135°: first and second derivatives in quadrature, so that neither
/// an edge nor a line in either polarity is favoured.
fn oriented_energies(plane: &Plane) -> [Plane; 4] {
    let (w, h) = (plane.width, plane.height);
    let mut out = [(); 4].map(|()| Plane::new(w, h));
    // Vertical smoothing, first and second difference of three rows, with one column of border.
    let mut smooth = vec![0.0f32; w + 2];
    let mut first = vec![0.0f32; w + 2];
    let mut second = vec![0.0f32; w + 2];
    for y in 0..h {
        let above = plane.row(y as isize - 1);
        let here = plane.row(y as isize);
        let below = plane.row(y as isize + 1);
        for (x, ((&a, &b), &c)) in above.iter().zip(here).zip(below).enumerate() {
            smooth[x + 1] = 0.25 * (a + 2.0 * b + c);
            first[x + 1] = 0.5 * (c - a);
            second[x + 1] = a - 2.0 * b + c;
        }
        for line in [&mut smooth, &mut first, &mut second] {
            line[0] = line[1];
            line[w + 1] = line[w];
        }
        let [e0, e45, e90, e135] = &mut out;
        let row = y * w..(y + 1) * w;
        let (e0, e45) = (&mut e0.data[row.clone()], &mut e45.data[row.clone()]);
        let (e90, e135) = (&mut e90.data[row.clone()], &mut e135.data[row]);
        let (s0, s1, s2) = (&smooth[..w], &smooth[1..=w], &smooth[2..w + 2]);
        let (f0, f1, f2) = (&first[..w], &first[1..=w], &first[2..w + 2]);
        let (d0, d1, d2) = (&second[..w], &second[1..=w], &second[2..w + 2]);
        for x in 0..w {
            let gx = 0.5 * (s2[x] - s0[x]);
            let gy = 0.25 * (f0[x] + 2.0 * f1[x] + f2[x]);
            let gxx = s2[x] - 2.0 * s1[x] + s0[x];
            let gyy = 0.25 * (d0[x] + 2.0 * d1[x] + d2[x]);
            let gxy = 0.5 * (f2[x] - f0[x]);
            let (up, down) = (gx + gy, gx - gy);
            let mean = 0.5 * (gxx + gyy);
            let (line_up, line_down) = (mean + gxy, mean - gxy);
            e0[x] = (gx * gx + gxx * gxx).sqrt();
            e45[x] = (0.5 * up * up + line_up * line_up).sqrt();
            e90[x] = (gy * gy + gyy * gyy).sqrt();
            e135[x] = (0.5 * down * down + line_down * line_down).sqrt();
        }
    }
    out
}

/// Mean, deviation, maximum and minimum per cell.
type Stats = [Vec<f32>; N_STATS];
const N_STATS: usize = 4;

/// The pixels `[start, end)` of a plane `2^octave` times smaller that belong to cell `index`, never
/// empty. A last cell cut off by the border reaches back to a full cell's width.
fn span(index: usize, cell: usize, margin: usize, octave: usize, len: usize) -> (usize, usize) {
    let end = (((index + 1) * cell + margin) >> octave).clamp(1, len);
    let start = ((index * cell).saturating_sub(margin) >> octave).min(end - 1);
    let full = (cell >> octave).max(1);
    (start.min(end.saturating_sub(full)), end)
}

fn cell_stats(
    plane: &Plane,
    octave: usize,
    grid: (usize, usize),
    cell: usize,
    margin: usize,
) -> Stats {
    let (w, n) = (plane.width, grid.0 * grid.1);
    let mut out: Stats = [(); N_STATS].map(|()| vec![0.0; n]);
    let (mut sum, mut squares) = (vec![0.0f32; w], vec![0.0f32; w]);
    let (mut high, mut low) = (vec![0.0f32; w], vec![0.0f32; w]);
    for row in 0..grid.1 {
        let (y0, y1) = span(row, cell, margin, octave, plane.height);
        sum.fill(0.0);
        squares.fill(0.0);
        high.fill(f32::MIN);
        low.fill(f32::MAX);
        for y in y0..y1 {
            let line = plane.row(y as isize);
            let sums = sum.iter_mut().zip(&mut squares);
            let bounds = high.iter_mut().zip(&mut low);
            for ((&v, (s, q)), (h, l)) in line.iter().zip(sums).zip(bounds) {
                *s += v;
                *q += v * v;
                // Not f32::max: its NaN rules cost instructions that not every target has.
                *h = if v > *h { v } else { *h };
                *l = if v < *l { v } else { *l };
            }
        }
        for column in 0..grid.0 {
            let (x0, x1) = span(column, cell, margin, octave, w);
            let n = ((x1 - x0) * (y1 - y0)) as f32;
            let mean = sum[x0..x1].iter().sum::<f32>() / n;
            let square = squares[x0..x1].iter().sum::<f32>() / n;
            let i = row * grid.0 + column;
            out[0][i] = mean;
            out[1][i] = (square - mean * mean).max(0.0).sqrt();
            out[2][i] = high[x0..x1].iter().copied().fold(f32::MIN, f32::max);
            out[3][i] = low[x0..x1].iter().copied().fold(f32::MAX, f32::min);
        }
    }
    out
}

/// A description of every cell, feature-major: `[n_features][n_cells]`.
type Features = Vec<Vec<f32>>;

/// A picture's cells. Levels of brightness and colour count from those of its first pixel.
struct Cells {
    features: Features,
    /// Luminance, red-green and yellow-blue of the first pixel.
    origin: [f32; 3],
}

impl Cells {
    /// Features that cells of different pictures share: levels count from black.
    fn absolute(self) -> Features {
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

fn describe(
    rgb: &[u8],
    stride: usize,
    size: (usize, usize),
    grid: (usize, usize),
    config: &SimilarityConfig,
) -> Cells {
    let cell = config.cell.max(1);
    let mut luminance = Plane::new(size.0, size.1);
    let mut red_green = Plane::new(size.0, size.1);
    let mut yellow_blue = Plane::new(size.0, size.1);
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
    Cells { features, origin }
}

/// Per cell: mean distance per √axis to its nearest cells, and the same averaged over them.
struct Nearest {
    distance: Vec<f32>,
    theirs: Vec<f32>,
}

/// How many cells are compared with all others in one pass, so that each candidate is read once
/// for all of them.
const QUERIES: usize = 4;

fn nearest_cells(features: &Features, grid: (usize, usize), config: &SimilarityConfig) -> Nearest {
    let n = grid.0 * grid.1;
    let k = config.neighbours.max(1);
    let radius = exclude_radius(grid, config);
    let per_feature = 1.0 / (features.len().max(1) as f32).sqrt();
    let mut distance = vec![0.0; n];
    let mut found: Vec<Vec<usize>> = Vec::with_capacity(n);
    let mut squares = [(); QUERIES].map(|()| vec![0.0f32; n]);
    let mut best: Vec<(f32, usize)> = Vec::with_capacity(k + 1);
    for start in (0..n).step_by(QUERIES) {
        squared_distances(features, start, features, &mut squares);
        for (i, row) in (start..n).zip(&mut squares) {
            exclude_disc(row, i, grid, radius);
            smallest(row, k, &mut best);
            let sum: f32 = best.iter().map(|b| b.0.sqrt()).sum();
            distance[i] = per_feature * sum / best.len().max(1) as f32;
            found.push(best.iter().map(|b| b.1).collect());
        }
    }
    let theirs = found.iter().enumerate().map(|(i, cells)| {
        if cells.is_empty() {
            return distance[i];
        }
        cells.iter().map(|&j| distance[j]).sum::<f32>() / cells.len() as f32
    });
    let theirs = theirs.collect();
    Nearest { distance, theirs }
}

/// The `k` smallest finite values of a row with their places, ascending.
fn smallest(row: &[f32], k: usize, best: &mut Vec<(f32, usize)>) {
    best.clear();
    let mut worst = f32::INFINITY;
    for (j, &d) in row.iter().enumerate() {
        if d < worst {
            let at = best.partition_point(|b| b.0 <= d);
            best.insert(at, (d, j));
            best.truncate(k);
            if best.len() == k {
                worst = best[k - 1].0;
            }
        }
    }
}

/// Squared distances of the cells `start..` of `queries` to all of `features`; queries past the last
/// cell repeat it.
fn squared_distances(
    queries: &Features,
    start: usize,
    features: &Features,
    out: &mut [Vec<f32>; QUERIES],
) {
    for row in out.iter_mut() {
        row.fill(0.0);
    }
    let [a, b, c, d] = out;
    for (feature, query) in features.iter().zip(queries) {
        let query = |i: usize| query[(start + i).min(query.len() - 1)];
        let [qa, qb, qc, qd] = [query(0), query(1), query(2), query(3)];
        let front = a.iter_mut().zip(b.iter_mut());
        let back = c.iter_mut().zip(d.iter_mut());
        for ((&v, (a, b)), (c, d)) in feature.iter().zip(front).zip(back) {
            *a += (v - qa) * (v - qa);
            *b += (v - qb) * (v - qb);
            *c += (v - qc) * (v - qc);
            *d += (v - qd) * (v - qd);
        }
    }
}

/// The configured radius, a quarter of the longer side where that is less.
fn exclude_radius(grid: (usize, usize), config: &SimilarityConfig) -> f32 {
    let radius = config.exclude_radius.max(0.0);
    radius.min(0.25 * grid.0.max(grid.1) as f32)
}

/// Puts the cell itself and its spatial neighbours out of reach.
fn exclude_disc(row: &mut [f32], cell: usize, grid: (usize, usize), radius: f32) {
    let (x, y) = (cell % grid.0, cell / grid.0);
    let reach = radius as usize;
    for other_y in y.saturating_sub(reach)..(y + reach + 1).min(grid.1) {
        for other_x in x.saturating_sub(reach)..(x + reach + 1).min(grid.0) {
            let (dx, dy) = (other_x.abs_diff(x), other_y.abs_diff(y));
            if (dx * dx + dy * dy) as f32 <= radius * radius {
                row[other_y * grid.0 + other_x] = f32::INFINITY;
            }
        }
    }
}

/// Keeps 0/0 at 1 on constant images; far under any distance that noise makes.
const TINY: f32 = 1e-3;

/// The channels but the fused one, each value of a cell of the valid grid.
struct Logarithms {
    relative: Vec<f32>,
    absolute: Vec<f32>,
    factor: Vec<f32>,
}

/// `typical` is the distance of a usual cell.
fn logarithms(nearest: &Nearest, typical: f32, config: &SimilarityConfig) -> Logarithms {
    let typical = typical + TINY;
    let floor = config.factor_floor.max(TINY);
    let relative = nearest.distance.iter();
    let relative = relative.map(|d| ((d + TINY) / typical).ln().clamp(-2.0, 4.0));
    let absolute = nearest.distance.iter();
    let absolute = absolute.map(|d| (d + TINY).ln().clamp(-3.0, 3.0));
    let pairs = nearest.distance.iter().zip(&nearest.theirs);
    let factor = pairs.map(|(d, theirs)| ((d + floor) / (theirs + floor)).ln().clamp(-2.0, 3.0));
    Logarithms {
        relative: relative.collect(),
        absolute: absolute.collect(),
        factor: factor.collect(),
    }
}

impl Logarithms {
    /// The maps in the order of [`Channel::ALL`], each `[rows, columns]` of the valid grid.
    fn channels(
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

/// The lower median; 0 of nothing.
fn median(values: &[f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let mut sorted = values.to_vec();
    let middle = (sorted.len() - 1) / 2;
    *sorted.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests;
