//! Metrics and reports of anomaly detection: how well a model ranks images and
//! pixels, covers defect regions, names what it sees, and answers questions with choices.
//!
//! Nothing here reads a file or runs a model: numbers in, numbers out. A metric
//! that its data cannot define (one class missing, no defect region) is `None`,
//! never 0 or NaN; data that cannot be scored at all is an [`EvalError`].
//!
//! [`baseline`] holds detectors to compare a model with.

mod accumulator;
mod answer_metrics;
mod answer_parser;
pub mod baseline;
mod bootstrap;
mod choices;
mod compare;
mod criteria;
mod error;
mod grid;
mod pixels;
mod pro;
mod rank;
mod regions;
mod report;

pub use accumulator::{Accumulator, Answer, EvalOptions, GRID_SIDE, ImageResult, Mask, ScoreMap};
pub use answer_metrics::{
    Confusion, Judgement, NORMAL, Rate, TextScores, Truth, UNNAMED, most_frequent_type,
};
pub use answer_parser::{Claim, Lexicon, Parsed};
pub use bootstrap::{BINS, Bootstrap, Intervals, LEVEL};
pub use choices::{Accuracy, Choice, ChoiceReport, choice_report};
pub use compare::{Comparison, Difference, compare};
pub use criteria::{CriteriaReport, Verdicts};
pub use error::EvalError;
pub use grid::{resize_map, resize_mask};
pub use pixels::{PixelSet, RankedPixels};
pub use pro::{ProVariant, ZSAD_THRESHOLDS};
pub use rank::{CurvePoint, F1Max, auroc, average_precision, curve, f1_max};
pub use report::{CategoryReport, Provenance, References, Report, Scores, text_table};
