//! Synthetic inspection scenes with exact masks and composed answers, and data sets on disk: COCO,
//! MVTec AD, VisA, WFDD.
//!
//! Every image of a scene is a pure function of (seed, split, size, difficulty, index). A product is described
//! by albedo, height and gloss; a defect edits these layers; lamp, lens and sensor come after, so a
//! mask is exactly where the same photograph would look different without the defect.

mod category;
mod dataset;
mod defect;
mod error;
mod files;
mod generator;
mod math;
mod objects;
mod paint;
mod polygon;
mod render;
mod rle;
mod scene;
mod textures;
mod words;

pub use category::{Category, Split};
pub use dataset::{
    ANNOTATIONS, CategorySplit, Dataset, Holdout, LabelledPhoto, Layout, OnBadImage, Part,
    PhotoLoader, Record, Region, SIDECAR, Shape, Truth, detect, kind_of_label, object_words,
    read_dataset, write_dataset,
};
pub use defect::{Defect, DefectKind, Location, Severity, SizeWord};
pub use error::DataError;
pub use files::write_whole;
pub use generator::{Generator, MAX_AREA, MIN_AREA, MIN_CONTRAST, Sample, Scenes, Wanted};
pub use polygon::{Polygon, PolygonError};
pub use rle::{Rle, RleError};
pub use words::{Qa, QaKind};
