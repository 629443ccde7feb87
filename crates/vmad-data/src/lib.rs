//! Synthetic inspection scenes with exact masks and composed answers, and COCO data sets of them.
//!
//! Every image is a pure function of (seed, split, size, difficulty, index). A product is described
//! by albedo, height and gloss; a defect edits these layers; lamp, lens and sensor come after, so a
//! mask is exactly where the same photograph would look different without the defect.

mod category;
mod coco;
mod composite;
mod defect;
mod error;
mod files;
mod generator;
mod math;
mod objects;
mod paint;
mod render;
mod rle;
mod scene;
mod studio;
mod textures;
mod words;

pub use category::{Category, Split};
pub use coco::{ANNOTATIONS, Dataset, Record, SIDECAR, read_dataset, write_dataset};
pub use composite::{Composite, PHOTOS, Photo, read_photos};
pub use defect::{Defect, DefectKind, Location, Severity, SizeWord};
pub use error::DataError;
pub use files::write_whole;
pub use generator::{Generator, MAX_AREA, MIN_AREA, MIN_CONTRAST, Sample, Scenes, Wanted};
pub use rle::{Rle, RleError};
pub use studio::{MAX_PAINTED_AREA, MIN_PAINTED_AREA, NOTICEABLE, Studio};
pub use words::{Qa, QaKind};
