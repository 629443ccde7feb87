//! Data sets on disk: which layout a folder has, and its photographs with what is known of them.

mod coco;
pub(crate) mod folder;
mod image_files;
mod labels;
mod mvtec;
mod photo;
mod record;
mod sample;
mod splits;
mod table;
mod visa;
mod wfdd;
mod writer;

use crate::error::DataError;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use coco::{ANNOTATIONS, SIDECAR};
pub use labels::{kind_of_label, object_words};
pub use photo::{LabelledPhoto, OnBadImage, PhotoLoader};
pub use record::{Record, Region, Shape, Subset, Truth};
pub use splits::{CategorySplit, Holdout};
pub use writer::write_dataset;

/// How a data set lies in its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// COCO instances with an optional sidecar for sentences: RIAD, and what `vmad synth` writes.
    Coco,
    /// `CATEGORY/{train,test,ground_truth}/TYPE/` as of MVTec AD.
    Mvtec,
    /// `OBJECT/Data/{Images,Masks}` with CSV files, as VisA is published.
    Visa,
    /// MVTec's layout with the four fabrics of WFDD.
    Wfdd,
}

impl Layout {
    /// All layouts in fixed order.
    pub const ALL: [Layout; 4] = [Self::Coco, Self::Mvtec, Self::Visa, Self::Wfdd];

    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coco => "coco",
            Self::Mvtec => "mvtec",
            Self::Visa => "visa",
            Self::Wfdd => "wfdd",
        }
    }

    /// Finds a layout by its [`Layout::name`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.name() == name)
    }

    fn fits(self, dir: &Path) -> Result<bool, DataError> {
        Ok(match self {
            Self::Coco => dir.join(ANNOTATIONS).is_file(),
            Self::Mvtec => mvtec::fits(dir)? && !wfdd::fits(dir)?,
            Self::Visa => visa::fits(dir)?,
            Self::Wfdd => wfdd::fits(dir)?,
        })
    }
}

/// A data set read from a folder.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folder.
    pub dir: PathBuf,
    /// How it lies there.
    pub layout: Layout,
    /// Its images: COCO's in the order of the annotations, others by category and path.
    pub records: Vec<Record>,
}

impl Dataset {
    /// The names of its categories, sorted.
    pub fn categories(&self) -> BTreeSet<&str> {
        self.records.iter().map(|r| r.category.as_str()).collect()
    }
}

/// Recognises the layout of a folder.
///
/// # Errors
/// [`DataError::UnknownLayout`] or [`DataError::AmbiguousLayout`]; [`DataError::Io`] where the
/// folder cannot be listed.
pub fn detect(dir: &Path) -> Result<Layout, DataError> {
    match fitting(dir)?.as_slice() {
        [layout] => Ok(*layout),
        [] => Err(unknown_layout(dir)?),
        several => Err(DataError::AmbiguousLayout {
            dir: dir.to_owned(),
            layouts: several.iter().map(|layout| layout.name()).collect(),
        }),
    }
}

fn fitting(dir: &Path) -> Result<Vec<Layout>, DataError> {
    let mut found = Vec::new();
    for layout in Layout::ALL {
        if layout.fits(dir)? {
            found.push(layout);
        }
    }
    Ok(found)
}

/// How many entries of a folder an error lists.
const LISTED: usize = 8;

/// The error that says what lies in a folder, and where a data set may lie instead.
fn unknown_layout(dir: &Path) -> Result<DataError, DataError> {
    let entries = folder::entries(dir)?;
    let mut found: Vec<String> = entries
        .iter()
        .take(LISTED)
        .map(|(name, path)| match path.is_dir() {
            true => format!("{name}/"),
            false => name.clone(),
        })
        .collect();
    if entries.len() > LISTED {
        found.push(format!("{} more", entries.len() - LISTED));
    }
    let mut near = dir
        .canonicalize()
        .ok()
        .and_then(|full| full.parent().map(Path::to_owned))
        .into_iter()
        .chain(entries.into_iter().map(|(_, path)| path));
    let instead = near.find(|path| {
        // A neighbour that cannot be listed is no suggestion.
        path.is_dir() && fitting(path).is_ok_and(|layouts| !layouts.is_empty())
    });
    Ok(DataError::UnknownLayout {
        dir: dir.to_owned(),
        found,
        instead,
    })
}

/// Reads a data set: in the given layout, or in the one that [`detect`] finds.
///
/// Every run length, id and path is checked. Pictures and mask files are not opened.
///
/// # Errors
/// What is wrong with a file or folder, by its path.
pub fn read_dataset(dir: &Path, layout: Option<Layout>) -> Result<Dataset, DataError> {
    let layout = match layout {
        Some(layout) => layout,
        None => detect(dir)?,
    };
    let records = match layout {
        Layout::Coco => coco::read(dir)?,
        Layout::Mvtec => mvtec::read(dir, object_words)?,
        Layout::Visa => visa::read(dir)?,
        Layout::Wfdd => mvtec::read(dir, wfdd::object)?,
    };
    if records.is_empty() && layout != Layout::Coco {
        return Err(DataError::Invalid {
            path: dir.to_owned(),
            what: format!("no photographs where the layout {} has them", layout.name()),
        });
    }
    Ok(Dataset {
        dir: dir.to_owned(),
        layout,
        records,
    })
}
