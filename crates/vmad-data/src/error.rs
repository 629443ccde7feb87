//! What can go wrong while reading and writing data sets.

use std::path::PathBuf;

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
}
