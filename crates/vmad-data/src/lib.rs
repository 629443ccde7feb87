//! Synthetic inspection scenes with exact masks and composed answers, and COCO data sets of them.
//!
//! Every image is a pure function of (seed, split, size, difficulty, index). A product is described
//! by albedo, height and gloss; a defect edits these layers; lamp, lens and sensor come after, so a
//! mask is exactly where the same photograph would look different without the defect.

mod category;
mod coco;
mod defect;
mod error;
mod files;
mod generator;
mod math;
mod mmad;
mod objects;
mod paint;
mod place;
mod render;
mod rle;
mod scene;
mod subject;
mod textures;
mod words;

pub use category::{Category, Split};
pub use coco::{ANNOTATIONS, Dataset, Record, SIDECAR, read_dataset, write_dataset};
pub use defect::{Defect, DefectKind, Location, Severity, SizeWord};
pub use error::DataError;
pub use files::write_whole;
pub use generator::{Generator, MAX_AREA, MIN_AREA, MIN_CONTRAST, Sample, Scenes, Wanted};
pub use mmad::{MMAD, Mmad, MmadImage, Question, Subtask, read_mmad};
pub use rle::{Rle, RleError};
pub use subject::Subject;
pub use words::{Qa, QaKind};
