//! Reference photographs of good parts, set before the photographs of each category.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use vmad_data::Record;
use vmad_engine::Engine;
use vmad_eval::References;
use vmad_package::Sha256;

use crate::files::{photographs_in, read_photo};
use crate::references;

/// The references of each category.
pub(crate) struct FewShot(BTreeMap<String, Vec<PathBuf>>);

impl FewShot {
    /// Finds the references of each category: in `FOLDER/CATEGORY` if it exists, otherwise in `FOLDER`.
    ///
    /// # Errors
    /// If a reference is one of the measured photographs, or there are too many.
    pub fn open(folder: &Path, records: &[Record]) -> Result<Self> {
        let mut measured = BTreeSet::new();
        for record in records {
            // A photograph that cannot be found is the loader's to report.
            measured.extend(record.path.canonicalize());
        }
        let categories: BTreeSet<&str> = records.iter().map(|r| r.category.as_str()).collect();
        let mut found = BTreeMap::new();
        for category in categories {
            let paths = photographs_in(&folder_of(folder, category))?;
            if paths.len() > Engine::MAX_REFERENCES {
                bail!(
                    "{} references for {category:?} in {}: at most {} are allowed",
                    paths.len(),
                    folder.display(),
                    Engine::MAX_REFERENCES
                );
            }
            for path in &paths {
                let full = path.canonicalize();
                let full = full.with_context(|| path.display().to_string())?;
                if measured.contains(&full) {
                    bail!(
                        "{} is both a reference and a photograph to measure",
                        path.display()
                    );
                }
            }
            found.insert(category.to_owned(), paths);
        }
        Ok(Self(found))
    }

    /// Sets the references of a category.
    pub fn set_references(&self, engine: &mut Engine, category: &str) -> Result<()> {
        let paths = self.0.get(category).map_or(&[][..], Vec::as_slice);
        references::set(engine, paths).with_context(|| format!("category {category:?}"))
    }

    /// For the report.
    pub fn provenance(&self) -> Result<References> {
        let counts = self.0.values().map(Vec::len);
        let (least, most) = (counts.clone().min(), counts.max());
        let (least, most) = (least.unwrap_or(0), most.unwrap_or(0));
        let n = match (least, most) {
            (1, 1) => "1 reference".to_owned(),
            (least, most) if least == most => format!("{most} references"),
            (least, most) => format!("{least} to {most} references"),
        };
        let mut files = String::new();
        for (category, paths) in &self.0 {
            for path in paths {
                let sum = Sha256::of(&read_photo(path)?);
                files.push_str(&format!("{category}\t{sum}\n"));
            }
        }
        Ok(References {
            protocol: format!("few-shot, {n}: not the zero-shot protocol"),
            sha256: Sha256::of(files.as_bytes()).to_string(),
        })
    }
}

/// A category's own folder. The name comes from a file, so a path that leaves `folder` is ignored.
fn folder_of(folder: &Path, category: &str) -> PathBuf {
    let mut parts = Path::new(category).components();
    let is_name = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    );
    let own = folder.join(category);
    if is_name && own.is_dir() {
        own
    } else {
        folder.to_owned()
    }
}
