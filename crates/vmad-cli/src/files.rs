//! Reading files with a size limit, and writing them atomically.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use vmad_package::{MANIFEST_FILE, MAX_MANIFEST_BYTES, Manifest};

/// Limit of a photograph's file; the decoder has smaller limits.
const MAX_PHOTO_BYTES: u64 = 1 << 30;

/// All bytes of a file. Fails if there are more than `limit`.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .with_context(|| path.display().to_string())?;
    if bytes.len() as u64 > limit {
        bail!("{}: has more than {limit} bytes", path.display());
    }
    Ok(bytes)
}

/// A photograph's file.
pub(crate) fn read_photo(path: &Path) -> Result<Vec<u8>> {
    read_at_most(path, MAX_PHOTO_BYTES)
}

/// File name extensions of photographs.
const PHOTO_EXTENSIONS: [&str; 7] = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"];

/// The photographs in a folder, not in its subfolders, sorted by name.
pub(crate) fn photographs_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        if path.is_file() && PHOTO_EXTENSIONS.contains(&ending.to_lowercase().as_str()) {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        bail!(
            "{} has no photographs: no file name ends in {}",
            folder.display(),
            PHOTO_EXTENSIONS.join(", ")
        );
    }
    paths.sort();
    Ok(paths)
}

/// The checked `model.json` of a package.
pub(crate) fn read_manifest(package: &Path) -> Result<Manifest> {
    let path = package.join(MANIFEST_FILE);
    let json = read_at_most(&path, MAX_MANIFEST_BYTES as u64)?;
    Manifest::parse(&json).with_context(|| path.display().to_string())
}

/// Writes a file atomically. The error names it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    vmad_data::write_whole(path, bytes).with_context(|| format!("writing {}", path.display()))
}

pub(crate) fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("creating the folder {}", path.display()))
}

/// True if the folder is empty or does not exist.
pub(crate) fn is_vacant(folder: &Path) -> Result<bool> {
    if !folder.exists() {
        return Ok(true);
    }
    let mut entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    Ok(entries.next().is_none())
}

/// Writes the files of a package into a folder, `model.json` last, and removes the shards of an
/// earlier package. Other files, such as a model card, stay.
pub(crate) fn install_package<'a>(
    folder: &Path,
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<()> {
    create_folder(folder)?;
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_by_key(|(name, _)| *name == MANIFEST_FILE);
    for (name, bytes) in &files {
        write_whole(&folder.join(name), bytes)?;
    }
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry.with_context(|| folder.display().to_string())?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let is_shard = name.starts_with("weights-") && name.ends_with(".safetensors");
        if is_shard && !files.iter().any(|(kept, _)| *kept == name) {
            let path = entry.path();
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// Copies the package in `from` into `to`.
pub(crate) fn copy_package(from: &Path, to: &Path) -> Result<()> {
    let manifest = read_manifest(from)?;
    let mut files = Vec::new();
    let names = manifest.shards().iter().chain([manifest.tokenizer()]);
    for name in names.map(|file| file.file.as_str()).chain([MANIFEST_FILE]) {
        let path = from.join(name);
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        files.push((name, bytes));
    }
    install_package(
        to,
        files.iter().map(|(name, bytes)| (*name, bytes.as_slice())),
    )
}
