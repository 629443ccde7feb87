//! Settings of the similarity prior.

/// Settings of [`super::self_similarity`]; [`Default`] was tuned on the synthetic train split.
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
    /// Weight of the outlier factor in [`super::Channel::Fused`].
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
