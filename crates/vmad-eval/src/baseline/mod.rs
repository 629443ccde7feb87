//! Detectors to stand against: they know normal images of a category, or nothing at all.
//!
//! - [`Padim`] and [`PatchCore`] compare the features of each patch with those of normal images;
//! - [`difference_of_gaussians`] and [`local_z_score`] look at pixels alone and learn nothing.
//!
//! A map is as large as the grid of features or pixels that it was made from; higher is more
//! anomalous, and there is no upper limit.

mod contrast;
mod grid;
mod padim;
mod patchcore;

pub use contrast::{Planes, difference_of_gaussians, local_z_score};
pub use grid::PatchGrid;
pub use padim::{Covariance, Padim};
pub use patchcore::{PatchCore, Verdict};
