//! Writing files whole or not at all.

use std::io::{Result, Write};
use std::path::Path;

/// Writes a file so that a reader sees the old or the new content, never half of one. A failure
/// leaves nothing behind.
///
/// # Errors
/// The file system's.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut part = tempfile::Builder::new();
    // As any other file; a temporary one would be for its owner only.
    #[cfg(unix)]
    part.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut part = part.prefix(".part-").tempfile_in(folder)?;
    part.write_all(bytes)?;
    part.persist(path).map_err(|failure| failure.error)?;
    Ok(())
}
