//! Sources of a package's files.

use std::collections::BTreeMap;
#[cfg(not(target_family = "wasm"))]
use std::path::PathBuf;

use futures::future::LocalBoxFuture;

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// There is no such file.
    #[error("file {path:?} of the model package is not there")]
    NotFound {
        /// The file.
        path: String,
    },
    /// The file is larger than allowed.
    #[error("file {path:?} of the model package has more than the {limit} bytes it may have")]
    TooLarge {
        /// The file.
        path: String,
        /// Maximum size in bytes.
        limit: u64,
    },
    /// Reading failed.
    #[error("file {path:?} of the model package cannot be read: {reason}")]
    Read {
        /// The file.
        path: String,
        /// The error of the system or the network.
        reason: String,
    },
}

/// Reads the files of a package.
pub trait ByteSource {
    /// All bytes of the file at `path`, relative to the package's folder.
    ///
    /// Calls `on_bytes` from time to time with the number of bytes read so far. Fails with
    /// [`SourceError::TooLarge`] as soon as the file turns out to have more than `max_bytes`.
    fn read<'a>(
        &'a self,
        path: &'a str,
        max_bytes: u64,
        on_bytes: &'a mut dyn FnMut(u64),
    ) -> LocalBoxFuture<'a, Result<Vec<u8>, SourceError>>;
}

/// A package in memory.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    files: BTreeMap<String, Vec<u8>>,
}

impl MemorySource {
    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<String>, bytes: Vec<u8>) {
        self.files.insert(path.into(), bytes);
    }

    /// Removes a file and returns its content.
    pub fn remove(&mut self, path: &str) -> Option<Vec<u8>> {
        self.files.remove(path)
    }

    /// Name and content of every file, by name.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }
}

impl ByteSource for MemorySource {
    fn read<'a>(
        &'a self,
        path: &'a str,
        max_bytes: u64,
        on_bytes: &'a mut dyn FnMut(u64),
    ) -> LocalBoxFuture<'a, Result<Vec<u8>, SourceError>> {
        Box::pin(async move {
            let bytes = self.files.get(path).ok_or_else(|| SourceError::NotFound {
                path: path.to_owned(),
            })?;
            let n_bytes = bytes.len() as u64;
            if n_bytes > max_bytes {
                return Err(SourceError::TooLarge {
                    path: path.to_owned(),
                    limit: max_bytes,
                });
            }
            on_bytes(n_bytes);
            Ok(bytes.clone())
        })
    }
}

/// A package in a folder.
#[cfg(not(target_family = "wasm"))]
#[derive(Clone, Debug)]
pub struct FolderSource {
    folder: PathBuf,
}

#[cfg(not(target_family = "wasm"))]
impl FolderSource {
    /// The package in `folder`, which contains `model.json`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    fn read_now(
        &self,
        path: &str,
        max_bytes: u64,
        on_bytes: &mut dyn FnMut(u64),
    ) -> Result<Vec<u8>, SourceError> {
        use std::io::{ErrorKind, Read};

        const CHUNK_BYTES: u64 = 4 << 20;
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => SourceError::NotFound {
                path: path.to_owned(),
            },
            _ => SourceError::Read {
                path: path.to_owned(),
                reason: error.to_string(),
            },
        };
        let mut file = std::fs::File::open(self.folder.join(path)).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let too_large = || SourceError::TooLarge {
            path: path.to_owned(),
            limit: max_bytes,
        };
        if size > max_bytes {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        loop {
            let n_read = file
                .by_ref()
                .take(CHUNK_BYTES)
                .read_to_end(&mut bytes)
                .map_err(failed)?;
            if n_read == 0 {
                return Ok(bytes);
            }
            // The file may grow while it is read, or have no size, as a pipe.
            if bytes.len() as u64 > max_bytes {
                return Err(too_large());
            }
            on_bytes(bytes.len() as u64);
        }
    }
}

#[cfg(not(target_family = "wasm"))]
impl ByteSource for FolderSource {
    fn read<'a>(
        &'a self,
        path: &'a str,
        max_bytes: u64,
        on_bytes: &'a mut dyn FnMut(u64),
    ) -> LocalBoxFuture<'a, Result<Vec<u8>, SourceError>> {
        Box::pin(async move { self.read_now(path, max_bytes, on_bytes) })
    }
}
