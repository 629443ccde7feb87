//! Thresholds of single objects in a file: what `vmad calibrate --write` writes and
//! `vmad inspect --thresholds` reads.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use vmad_engine::Calibration;

use crate::files::{read_at_most, write_whole};

const FORMAT: &str = "vmad-thresholds";
const VERSION: u64 = 1;
const MAX_BYTES: u64 = 16 << 20;

/// The thresholds of some objects for one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ThresholdFile {
    format: String,
    version: u64,
    /// Name of the model package that the scores came from.
    model: String,
    /// By the object's name as [`key`] writes it; empty for photographs without one.
    objects: BTreeMap<String, ObjectThreshold>,
}

/// The thresholds of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ObjectThreshold {
    /// Image score at or above which a part is anomalous.
    pub image: f32,
    /// Map value above which a pixel is marked.
    pub pixel: f32,
    /// How they were found.
    pub source: String,
}

impl ObjectThreshold {
    pub fn new(found: &Calibration, source: String) -> Self {
        Self {
            image: found.image.threshold,
            pixel: found.pixel.threshold,
            source,
        }
    }
}

/// An object's name in lower case with single spaces.
fn key(object: &str) -> String {
    let words: Vec<String> = object.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ")
}

impl ThresholdFile {
    pub fn new(model: &str) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            model: model.to_owned(),
            objects: BTreeMap::new(),
        }
    }

    /// Reads a file. Fails if it was made for another model.
    pub fn read(path: &Path, model: &str) -> Result<Self> {
        let bytes = read_at_most(path, MAX_BYTES)?;
        Self::parse(&bytes, model).with_context(|| path.display().to_string())
    }

    /// Reads a file, or returns an empty one if there is none.
    pub fn read_or_new(path: &Path, model: &str) -> Result<Self> {
        if path.exists() {
            Self::read(path, model)
        } else {
            Ok(Self::new(model))
        }
    }

    fn parse(json: &[u8], model: &str) -> Result<Self> {
        let file: Self = serde_json::from_slice(json).context("not a thresholds file")?;
        if (file.format.as_str(), file.version) != (FORMAT, VERSION) {
            bail!(
                "format {:?} version {}, not {FORMAT:?} version {VERSION}",
                file.format,
                file.version
            );
        }
        if file.model != model {
            bail!(
                "made for the model {:?}, whose scores differ from those of {model:?}: calibrate again",
                file.model
            );
        }
        let is_usable =
            |found: &ObjectThreshold| found.image.is_finite() && found.pixel.is_finite();
        match file.objects.iter().find(|(_, found)| !is_usable(found)) {
            None => Ok(file),
            Some((object, _)) => bail!("object {object:?}: a threshold is not a finite number"),
        }
    }

    pub fn set(&mut self, object: &str, found: ObjectThreshold) {
        self.objects.insert(key(object), found);
    }

    /// The thresholds of an object, or of photographs without one.
    pub fn get(&self, object: Option<&str>) -> Result<&ObjectThreshold> {
        let object = object.unwrap_or_default();
        self.objects.get(&key(object)).with_context(|| {
            let known: Vec<String> = self
                .objects
                .keys()
                .map(|name| format!("{name:?}"))
                .collect();
            format!(
                "no thresholds for the object {object:?}, only for {}; name it with --object",
                known.join(", ")
            )
        })
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(self).context("encoding the thresholds")?;
        json.push(b'\n');
        write_whole(path, &json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> ThresholdFile {
        let mut file = ThresholdFile::new("tiny");
        for (object, image) in [("Hex  Bolt", 0.25), ("", 0.75)] {
            file.set(
                object,
                ObjectThreshold {
                    image,
                    pixel: 0.5,
                    source: "a test".to_owned(),
                },
            );
        }
        file
    }

    #[test]
    fn objects_are_found_however_they_are_written() {
        for (object, expected) in [
            (Some("hex bolt"), Some(0.25)),
            (Some(" HEX bolt\t"), Some(0.25)),
            (None, Some(0.75)),
            (Some(" "), Some(0.75)),
            (Some("bolt"), None),
        ] {
            let found = file().get(object).ok().map(|found| found.image);
            assert_eq!(found, expected, "{object:?}");
        }
    }

    #[test]
    fn only_files_for_the_same_model_are_read() -> Result<()> {
        let json = serde_json::to_string(&file())?;
        assert_eq!(ThresholdFile::parse(json.as_bytes(), "tiny")?, file());
        for (json, model, part) in [
            (json.clone(), "nano", "made for the model"),
            (json.replace("-thresholds", ""), "tiny", "version"),
            (
                json.replace("\"version\":1", "\"version\":2"),
                "tiny",
                "version 2",
            ),
            (json.replace("0.25", "1e40"), "tiny", "hex bolt"),
            ("[]".to_owned(), "tiny", "not a thresholds file"),
        ] {
            let error = ThresholdFile::parse(json.as_bytes(), model);
            let error = error.err().map(|error| format!("{error:#}"));
            let named = error.as_ref().is_some_and(|error| error.contains(part));
            assert!(named, "{json} for {model}: {error:?}");
        }
        Ok(())
    }
}
