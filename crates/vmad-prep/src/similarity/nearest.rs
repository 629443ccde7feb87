//! Nearest cells by brute force.

use super::config::SimilarityConfig;
use super::features::Features;

/// Distances of each cell.
pub struct Nearest {
    /// Mean distance to its nearest cells, divided by √axes.
    pub distance: Vec<f32>,
    /// Mean of `distance` over those nearest cells.
    pub neighbour_distance: Vec<f32>,
}

/// Number of cells that are compared with all others in one pass over the candidates.
pub const QUERIES: usize = 4;

pub fn nearest_cells(
    features: &Features,
    grid: (usize, usize),
    config: &SimilarityConfig,
) -> Nearest {
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
    let neighbour_distance = found.iter().enumerate().map(|(i, cells)| {
        if cells.is_empty() {
            return distance[i];
        }
        cells.iter().map(|&j| distance[j]).sum::<f32>() / cells.len() as f32
    });
    let neighbour_distance = neighbour_distance.collect();
    Nearest {
        distance,
        neighbour_distance,
    }
}

/// The `k` smallest finite values of a row with their indices, ascending.
pub fn smallest(row: &[f32], k: usize, best: &mut Vec<(f32, usize)>) {
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
pub fn squared_distances(
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
pub fn exclude_radius(grid: (usize, usize), config: &SimilarityConfig) -> f32 {
    let radius = config.exclude_radius.max(0.0);
    radius.min(0.25 * grid.0.max(grid.1) as f32)
}

/// Sets the distances to the cell itself and to its spatial neighbours to infinity.
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
