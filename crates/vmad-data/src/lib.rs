//! Synthetic inspection scenes with exact masks and composed answers, and data sets on disk: COCO,
//! MVTec AD, VisA, WFDD.
//!
//! Four worlds draw scenes, each behind the trait [`Scenes`]. For training: [`Generator`], a
//! catalogue of 24 products, and [`Workshop`], which composes products, lamps and cameras at random.
//! For tests only: [`Studio`], eight vector drawings, and [`Composite`], views of photographs.
//! `docs/data.md` describes each step by step. An image is a pure function of the world's settings
//! and an index.
//!
//! The worlds for training describe a product by albedo, height and gloss. A defect edits these
//! layers before the camera, and its mask is read from the difference to the same picture without
//! it. The worlds for tests paint defects onto finished pictures and share no drawing code with
//! the worlds for training.

mod augment;
mod category;
mod composite;
mod dataset;
mod defect;
mod error;
mod files;
mod finish_defect;
mod generator;
mod glyphs;
mod math;
mod mmad;
mod objects;
mod paint;
mod place;
mod polygon;
mod render;
mod rle;
mod sample;
mod scene;
mod studio;
mod subject;
mod textures;
mod variation;
mod window;
mod words;
mod workshop;

pub use category::{Category, Split};
pub use composite::{Composite, PHOTOS, Photo, read_photos};
pub use dataset::{
    ANNOTATIONS, CategorySplit, Dataset, Holdout, LabelledPhoto, Layout, OnBadImage, PhotoLoader,
    Record, Region, SIDECAR, Shape, Subset, Truth, detect, kind_of_label, object_words,
    read_dataset, write_dataset,
};
pub use defect::{Defect, DefectKind, Location, Severity, SizeWord};
pub use error::DataError;
pub use files::write_whole;
pub use finish_defect::{MAX_AREA, MIN_AREA, MIN_CONTRAST};
pub use generator::Generator;
pub use mmad::{MMAD, Mmad, MmadImage, Question, Subtask, read_mmad};
pub use polygon::{Polygon, PolygonError};
pub use rle::{Rle, RleError};
pub use sample::{Sample, Scenes, Wanted};
pub use studio::{MAX_PAINTED_AREA, MIN_PAINTED_AREA, NOTICEABLE, Studio};
pub use subject::Subject;
pub use words::{Qa, QaKind, plural};
pub use workshop::Workshop;
