//! Reference photographs of good parts.

use std::path::{Path, PathBuf};

use anyhow::Result;
use vmad_engine::{CancelToken, Engine, EngineError, Photo, ReferencePhoto};

use crate::files::read_photo;

/// Sets the references; reads one photograph at a time.
pub(crate) fn set(engine: &mut Engine, paths: &[PathBuf]) -> Result<()> {
    let photos = paths.iter().map(|path| reference(path));
    pollster::block_on(engine.set_references(photos, &CancelToken::new()))?;
    Ok(())
}

fn reference(path: &Path) -> ReferencePhoto {
    let photo = read_photo(path).map(Photo::File);
    ReferencePhoto {
        name: path.display().to_string(),
        photo: photo.map_err(|error| EngineError::Unreadable {
            reason: error.root_cause().to_string(),
        }),
    }
}
