//! Metrics and reports of anomaly detection: how well a model ranks images and
//! pixels, covers defect regions, and names what it sees.
//!
//! Nothing here reads a file or runs a model: numbers in, numbers out. A metric
//! that its data cannot define (one class missing, no defect region) is `None`,
//! never 0 or NaN; data that cannot be scored at all is an [`EvalError`].
//!
//! [`baseline`] holds detectors to compare a model with.

mod accumulator;
pub mod baseline;
mod error;
mod grid;
mod pro;
mod rank;
mod report;
mod text;

pub use accumulator::{Accumulator, EvalOptions, ImageResult, Mask, ScoreMap};
pub use error::EvalError;
pub use grid::{resize_map, resize_mask};
pub use pro::{ProVariant, ZSAD_THRESHOLDS, pro_mvtec, pro_zsad};
pub use rank::{F1Max, auroc, average_precision, f1_max, pixel_auroc};
pub use report::{CategoryReport, Report, Scores};
pub use text::{defect_type_accuracy, most_frequent_type, normal_called_normal};
