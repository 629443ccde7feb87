//! Folders and files as the layouts need them.

use crate::error::DataError;
use serde::de::DeserializeOwned;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// Largest JSON, CSV or TOML file that is read; masks of 28,000 images as plain run lengths fit.
const MAX_TEXT_BYTES: u64 = 2 << 30;

/// Names of picture files end so, in any case.
const PICTURES: [&str; 7] = ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp"];

/// Adds the path to what the system said.
pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> DataError + '_ {
    move |source| DataError::Io {
        path: path.to_owned(),
        source,
    }
}

/// All bytes of a file, unless there are more than `limit`.
pub(super) fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(io(path))?;
    if bytes.len() as u64 > limit {
        return Err(DataError::Invalid {
            path: path.to_owned(),
            what: format!("has more than {limit} bytes, which is all that is read"),
        });
    }
    Ok(bytes)
}

/// A file of JSON as what it should hold.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, DataError> {
    let bytes = read_text(path)?;
    serde_json::from_slice(&bytes).map_err(|source| DataError::Json {
        path: path.to_owned(),
        source,
    })
}

/// A file of JSON, CSV or TOML.
pub(super) fn read_text(path: &Path) -> Result<Vec<u8>, DataError> {
    read_at_most(path, MAX_TEXT_BYTES)
}

/// Name and path of all that lies in a folder, sorted by name; hidden files are left out.
pub(super) fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(io(dir))? {
        let entry = entry.map_err(io(dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Name and path of the folders in a folder, sorted.
pub(super) fn folders(dir: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let mut found = entries(dir)?;
    found.retain(|(_, path)| path.is_dir());
    Ok(found)
}

/// The picture files of a folder, sorted by name. Other files are left out.
pub(super) fn pictures(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = entries(dir)?;
    found.retain(|(_, path)| {
        path.extension()
            .and_then(|ending| ending.to_str())
            .is_some_and(|ending| {
                PICTURES
                    .iter()
                    .any(|known| ending.eq_ignore_ascii_case(known))
            })
            && !path.is_dir()
    });
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The last part of a folder's path, also where the path is `.` or ends in `..`.
pub(super) fn own_name(dir: &Path) -> String {
    let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    full.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Joins a path from outside to a folder; nothing when it could leave the folder. Backslashes
/// separate, as on the system where many annotation files are written.
pub(crate) fn join_inside(dir: &Path, name: &str) -> Option<PathBuf> {
    let name = name.replace('\\', "/");
    let name = name.strip_prefix("./").unwrap_or(&name);
    let is_plain = !name.is_empty()
        && !name.contains([':', '\0'])
        && Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
    is_plain.then(|| dir.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        let check = |name: &str, expected: Option<&str>| {
            let expected = expected.map(|inner| Path::new("set").join(inner));
            assert_eq!(join_inside(Path::new("set"), name), expected, "{name:?}");
        };
        check("a.png", Some("a.png"));
        check("images/a b.png", Some("images/a b.png"));
        check("images\\sub\\a.png", Some("images/sub/a.png"));
        check("./a.png", Some("a.png"));
        check("a..png", Some("a..png"));
        for name in [
            "",
            ".",
            "..",
            "../a.png",
            "..\\a.png",
            "images/../../a.png",
            "images\\..\\..\\a.png",
            "/etc/a.png",
            "\\\\server\\share\\a.png",
            "C:\\a.png",
            "c:a.png",
            "a\0.png",
            "././../a.png",
        ] {
            check(name, None);
        }
    }
}
