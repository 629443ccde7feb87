//! What can go wrong while reading and writing data sets.

use std::path::{Path, PathBuf};

/// Errors of this crate; each names the file and what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no JSON of the expected form.
    #[error("{}: not the expected JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The file parses, but what it says cannot be used.
    #[error("{}: {what}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// An image could not be encoded or decoded.
    #[error("{}: {source}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What the codec said.
        source: image::ImageError,
    },
    /// The progress callback asked to stop.
    #[error("stopped after {done} of {total} images")]
    Stopped {
        /// Images written.
        done: u64,
        /// Images asked for.
        total: u64,
    },
    /// A world of photographs was asked for without any.
    #[error("there is no photograph to show; list at least one")]
    NoPhotos,
    /// No category of that name.
    #[error("unknown category {name:?}")]
    UnknownCategory {
        /// The name asked for.
        name: String,
    },
    /// The folder has none of the known layouts.
    #[error("{}", describe_unknown(dir, found, instead.as_deref()))]
    UnknownLayout {
        /// The folder.
        dir: PathBuf,
        /// What lies in it.
        found: Vec<String>,
        /// A folder close by that has a layout.
        instead: Option<PathBuf>,
    },
    /// The folder has several layouts at once.
    #[error("{}: may be read as any of {}; say which one is meant", dir.display(), layouts.join(", "))]
    AmbiguousLayout {
        /// The folder.
        dir: PathBuf,
        /// Names of the layouts.
        layouts: Vec<&'static str>,
    },
    /// A photograph cannot be decoded.
    #[error("{}: {source}", path.display())]
    Photo {
        /// The file.
        path: PathBuf,
        /// Why.
        source: vmad_prep::PrepError,
    },
    /// The annotations state another size than the photograph has.
    #[error(
        "{}: the picture has {}×{} pixels, its annotations are for {}×{}",
        path.display(), image.0, image.1, stated.0, stated.1
    )]
    ImageSize {
        /// The photograph.
        path: PathBuf,
        /// Its width and height.
        image: (u32, u32),
        /// Width and height in the annotations.
        stated: (u32, u32),
    },
    /// A mask is not as large as its photograph.
    #[error(
        "{}: the mask has {}×{} pixels, its photograph {}×{}",
        path.display(), mask.0, mask.1, image.0, image.1
    )]
    MaskSize {
        /// The mask's file.
        path: PathBuf,
        /// Its width and height.
        mask: (u32, u32),
        /// The photograph's width and height.
        image: (u32, u32),
    },
    /// A defective photograph of which the data set has no mask.
    #[error("{}: shows a defect, but the data set has no mask for it", path.display())]
    NoMask {
        /// The photograph.
        path: PathBuf,
    },
    /// A split names a category that the data set does not have.
    #[error("the data set has no category {name:?}; the nearest name that it has is {nearest:?}")]
    NoSuchCategory {
        /// The name in the split.
        name: String,
        /// The most similar name of the data set.
        nearest: String,
    },
    /// A division of categories that cannot be.
    #[error("split: {what}")]
    Split {
        /// What is wrong.
        what: String,
    },
}

fn describe_unknown(dir: &Path, found: &[String], instead: Option<&Path>) -> String {
    let mut text = format!(
        "{}: no layout that is known. Looked for annotations.json (coco), folders with test and \
         train or ground_truth (mvtec, wfdd), folders with Data/Images (visa); found {}",
        dir.display(),
        if found.is_empty() {
            "nothing".to_owned()
        } else {
            found.join(", ")
        }
    );
    if let Some(folder) = instead {
        text += &format!(". {} looks like a data set", folder.display());
    }
    text
}
