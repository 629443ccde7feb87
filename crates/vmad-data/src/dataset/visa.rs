//! VisA as it is published: `OBJECT/Data/Images/{Normal,Anomaly}`, `OBJECT/Data/Masks/Anomaly`,
//! `OBJECT/image_anno.csv` with the labels, `split_csv/1cls.csv` with the parts.

use super::folder::{folders, join_inside, own_name, pictures};
use super::record::{Record, Subset, Truth};
use super::table::Table;
use crate::error::DataError;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const IMAGES: &str = "Data/Images";
const MASKS: &str = "Data/Masks/Anomaly";
const LABELS: &str = "image_anno.csv";
const SPLIT: &str = "split_csv/1cls.csv";

/// An object's folder. Paths in the CSV files begin with its name.
struct Object {
    name: String,
    dir: PathBuf,
}

impl Object {
    /// The file that a CSV file names.
    fn file(&self, csv: &Path, name: &str) -> Result<PathBuf, DataError> {
        let plain = name.replace('\\', "/");
        let inner = plain
            .strip_prefix(self.name.as_str())
            .and_then(|rest| rest.strip_prefix('/'));
        inner
            .and_then(|inner| join_inside(&self.dir, inner))
            .ok_or_else(|| DataError::Invalid {
                path: csv.to_owned(),
                what: format!("path {name:?} leaves the folder {}/", self.name),
            })
    }
}

/// The folder itself, or the objects in it.
fn objects(dir: &Path) -> Result<Vec<Object>, DataError> {
    let is_object = |dir: &Path| dir.join(IMAGES).is_dir();
    if is_object(dir) {
        return Ok(vec![Object {
            name: own_name(dir),
            dir: dir.to_owned(),
        }]);
    }
    let found = folders(dir)?.into_iter();
    Ok(found
        .filter(|(_, dir)| is_object(dir))
        .map(|(name, dir)| Object { name, dir })
        .collect())
}

/// Whether the folder is an object or holds some.
pub(super) fn fits(dir: &Path) -> Result<bool, DataError> {
    Ok(!objects(dir)?.is_empty())
}

/// Reads all objects: the photographs that the split lists, or all there are where it is missing.
pub(super) fn read(dir: &Path) -> Result<Vec<Record>, DataError> {
    let objects = objects(dir)?;
    let split = dir.join(SPLIT);
    let mut records = match split.is_file() {
        true => listed(&split, &objects)?,
        false => present(&objects)?,
    };
    let mut places: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (place, record) in records.iter_mut().enumerate() {
        record.id = place as u64;
        places.insert(record.path.clone(), place);
    }
    for object in &objects {
        let csv = object.dir.join(LABELS);
        if !csv.is_file() {
            continue;
        }
        for [image, label, mask] in Table::read(&csv)?.select(["image", "label", "mask"])? {
            let path = object.file(&csv, image)?;
            // The split may leave photographs out.
            let record = places.get(&path).and_then(|place| records.get_mut(*place));
            let Some(record) = record else { continue };
            add_labels(record, label).map_err(|what| DataError::Invalid {
                path: csv.clone(),
                what: format!("{image}: {what}"),
            })?;
            if record.is_defective && !mask.is_empty() && record.truth == Truth::Nothing {
                record.truth = Truth::MaskFile(object.file(&csv, mask)?);
            }
        }
    }
    Ok(records)
}

/// One photograph may have several labels, separated by commas.
fn add_labels(record: &mut Record, labels: &str) -> Result<(), String> {
    match (labels == "normal", record.is_defective) {
        (true, true) => Err("has the label normal, but lies among the anomalies".to_owned()),
        (false, false) => Err(format!(
            "has the label {labels:?}, but lies among the normal ones"
        )),
        (true, false) => Ok(()),
        (false, true) => {
            labels
                .split(',')
                .for_each(|label| record.add_defect(label.trim()));
            Ok(())
        }
    }
}

/// The photographs of the split. Objects whose folder is not there are left out.
fn listed(split: &Path, objects: &[Object]) -> Result<Vec<Record>, DataError> {
    let mut records = Vec::new();
    let mut seen = BTreeSet::new();
    let table = Table::read(split)?;
    let lines = table.select(["object", "split", "label", "image", "mask"])?;
    for [name, part, label, image, mask] in lines {
        let Some(object) = objects.iter().find(|object| object.name == name) else {
            continue;
        };
        let invalid = |what: String| DataError::Invalid {
            path: split.to_owned(),
            what: format!("{image}: {what}"),
        };
        let path = object.file(split, image)?;
        if !seen.insert(path.clone()) {
            return Err(invalid("occurs twice".to_owned()));
        }
        let mut record = Record::normal(0, path, name);
        record.part = match Subset::parse(part) {
            Some(part) => Some(part),
            None => return Err(invalid(format!("split {part:?}"))),
        };
        match label {
            "normal" => {}
            "anomaly" => record.is_defective = true,
            other => return Err(invalid(format!("label {other:?}"))),
        }
        if record.is_defective && !mask.is_empty() {
            record.truth = Truth::MaskFile(object.file(split, mask)?);
        }
        records.push(record);
    }
    Ok(records)
}

/// The photographs in the objects' folders.
fn present(objects: &[Object]) -> Result<Vec<Record>, DataError> {
    let mut records = Vec::new();
    for object in objects {
        for (folder, is_defective) in [("Anomaly", true), ("Normal", false)] {
            let folder = object.dir.join(IMAGES).join(folder);
            if !folder.is_dir() {
                continue;
            }
            for path in pictures(&folder)? {
                let name = path.file_stem().unwrap_or_default();
                let mask = object.dir.join(MASKS).join(name).with_extension("png");
                let mut record = Record::normal(0, path, &object.name);
                record.is_defective = is_defective;
                if is_defective && mask.is_file() {
                    record.truth = Truth::MaskFile(mask);
                }
                records.push(record);
            }
        }
    }
    Ok(records)
}
