//! VisA as it is published: `OBJECT/Data/Images/{Normal,Anomaly}`, `OBJECT/Data/Masks/Anomaly`,
//! `OBJECT/image_anno.csv` with the labels, `split_csv/1cls.csv` with the parts.

use super::folder::{folders, join_inside, own_name, pictures, read_text};
use super::record::{Part, Record, Truth};
use crate::error::DataError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const IMAGES: &str = "Data/Images";
const MASKS: &str = "Data/Masks/Anomaly";
const LABELS: &str = "image_anno.csv";
const SPLIT: &str = "split_csv/1cls.csv";

/// A line of `split_csv/1cls.csv`.
#[derive(Deserialize)]
struct SplitLine {
    object: String,
    split: String,
    label: String,
    image: String,
    #[serde(default)]
    mask: String,
}

/// A line of `image_anno.csv`.
#[derive(Deserialize)]
struct LabelLine {
    image: String,
    label: String,
    #[serde(default)]
    mask: String,
}

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
        for line in read_csv::<LabelLine>(&csv)? {
            let path = object.file(&csv, &line.image)?;
            // The split may leave photographs out.
            let record = places.get(&path).and_then(|place| records.get_mut(*place));
            if let Some(record) = record {
                add_labels(record, object, &csv, &line)?;
            }
        }
    }
    Ok(records)
}

/// One photograph may have several labels, separated by commas.
fn add_labels(
    record: &mut Record,
    object: &Object,
    csv: &Path,
    line: &LabelLine,
) -> Result<(), DataError> {
    let is_normal = line.label == "normal";
    if is_normal == record.is_defective {
        return Err(DataError::Invalid {
            path: csv.to_owned(),
            what: format!(
                "{} has the label {:?}, but lies among the {}",
                line.image,
                line.label,
                if is_normal {
                    "anomalies"
                } else {
                    "normal ones"
                }
            ),
        });
    }
    if !is_normal {
        for label in line.label.split(',') {
            record.add_defect(label.trim());
        }
        if !line.mask.is_empty() && record.truth == Truth::Nothing {
            record.truth = Truth::MaskFile(object.file(csv, &line.mask)?);
        }
    }
    Ok(())
}

/// The photographs of the split. Objects whose folder is not there are left out.
fn listed(split: &Path, objects: &[Object]) -> Result<Vec<Record>, DataError> {
    let mut records = Vec::new();
    let mut seen = BTreeSet::new();
    for line in read_csv::<SplitLine>(split)? {
        let Some(object) = objects.iter().find(|object| object.name == line.object) else {
            continue;
        };
        let invalid = |what: String| DataError::Invalid {
            path: split.to_owned(),
            what,
        };
        let part = Part::parse(&line.split)
            .ok_or_else(|| invalid(format!("{}: split {:?}", line.image, line.split)))?;
        let path = object.file(split, &line.image)?;
        if !seen.insert(path.clone()) {
            return Err(invalid(format!("{} occurs twice", line.image)));
        }
        let mut record = Record::normal(0, path, &object.name);
        record.part = Some(part);
        match line.label.as_str() {
            "normal" => {}
            "anomaly" => record.is_defective = true,
            other => return Err(invalid(format!("{}: label {other:?}", line.image))),
        }
        if record.is_defective && !line.mask.is_empty() {
            record.truth = Truth::MaskFile(object.file(split, &line.mask)?);
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

fn read_csv<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, DataError> {
    let bytes = read_text(path)?;
    csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes.as_slice())
        .deserialize()
        .collect::<Result<_, _>>()
        .map_err(|error| DataError::Invalid {
            path: path.to_owned(),
            what: error.to_string(),
        })
}
