//! COCO instances with a sidecar for sentences: the form of RIAD.

use super::folder::{io, join_inside, own_name, read_json};
use super::labels::{kind_of_label, object_words};
use super::record::{Record, Region, Shape, Truth};
use crate::defect::DefectKind;
use crate::error::DataError;
use crate::polygon::Polygon;
use crate::rle::Rle;
use crate::words::{Qa, QaKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// File name of the COCO instances.
pub const ANNOTATIONS: &str = "annotations.json";
/// File name of the sentences.
pub const SIDECAR: &str = "sidecar.json";
/// Folder in which images may lie without the annotations saying so.
pub(super) const IMAGES: &str = "images";

#[derive(Deserialize)]
struct Coco {
    images: Vec<CocoImage>,
    #[serde(default)]
    categories: Vec<CocoCategory>,
    #[serde(default)]
    annotations: Vec<CocoAnnotation>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: u64,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Deserialize)]
struct CocoCategory {
    id: u64,
    name: String,
}

/// Box and area are not read: both follow from the mask.
#[derive(Deserialize)]
struct CocoAnnotation {
    id: u64,
    image_id: u64,
    category_id: u64,
    segmentation: Option<Segmentation>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a segmentation is a list of polygons, or an object of size and counts; counts are \
                 whole numbers from 0, or a string as pycocotools writes it"
)]
enum Segmentation {
    Polygons(Vec<Vec<f64>>),
    Runs { size: [u32; 2], counts: Counts },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Counts {
    Plain(Vec<u32>),
    Compressed(String),
}

#[derive(Serialize, Deserialize)]
pub(super) struct SidecarEntry {
    pub image_id: u64,
    pub object: String,
    #[serde(default)]
    pub normal_description: String,
    #[serde(default)]
    pub category: String,
    #[serde(default)]
    pub qa: Vec<SidecarQa>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SidecarQa {
    #[serde(rename = "type")]
    pub kind: QaKind,
    #[serde(default)]
    pub question: String,
    pub answer: String,
}

/// The sidecar's entries by image, or nothing where there is no sidecar.
fn read_sidecar(path: &Path) -> Result<Option<BTreeMap<u64, SidecarEntry>>, DataError> {
    if !path.try_exists().map_err(io(path))? {
        return Ok(None);
    }
    let mut entries = BTreeMap::new();
    for entry in read_json::<Vec<SidecarEntry>>(path)? {
        let id = entry.image_id;
        if entries.insert(id, entry).is_some() {
            return Err(DataError::Invalid {
                path: path.to_owned(),
                what: format!("image {id} has two entries"),
            });
        }
    }
    Ok(Some(entries))
}

/// Reads annotations and sidecar of a folder.
pub(super) fn read(dir: &Path) -> Result<Vec<Record>, DataError> {
    let file = dir.join(ANNOTATIONS);
    let side_file = dir.join(SIDECAR);
    let Coco {
        images,
        categories,
        annotations,
    } = read_json(&file)?;
    let mut sidecar = read_sidecar(&side_file)?;
    let invalid = |what: String| DataError::Invalid {
        path: file.clone(),
        what,
    };

    let mut records = Vec::with_capacity(images.len());
    let mut places: BTreeMap<u64, usize> = BTreeMap::new();
    for image in images {
        if places.insert(image.id, records.len()).is_some() {
            return Err(invalid(format!("image id {} occurs twice", image.id)));
        }
        let path = image_path(dir, &image.file_name)
            .ok_or_else(|| invalid(format!("path {:?} leaves the folder", image.file_name)))?;
        let entry = match &mut sidecar {
            None => None,
            Some(entries) => {
                let entry = entries.remove(&image.id);
                Some(entry.ok_or_else(|| DataError::Invalid {
                    path: side_file.clone(),
                    what: format!("image {} has no entry", image.id),
                })?)
            }
        };
        let mut record = described(dir, image.id, path, entry);
        record.size = Some((image.width, image.height));
        records.push(record);
    }

    let names = category_names(categories).map_err(invalid)?;
    for annotation in annotations {
        let id = annotation.id;
        let record = places
            .get(&annotation.image_id)
            .and_then(|place| records.get_mut(*place))
            .ok_or_else(|| invalid(format!("annotation {id}: no image {}", annotation.image_id)))?;
        mark(record, &names, annotation)
            .map_err(|what| invalid(format!("annotation {id}: {what}")))?;
    }
    Ok(records)
}

/// Where an image lies: where the annotations say, below `images` if it is not there.
fn image_path(dir: &Path, name: &str) -> Option<PathBuf> {
    let path = join_inside(dir, name)?;
    let below = join_inside(&dir.join(IMAGES), name)?;
    match !path.exists() && below.exists() {
        true => Some(below),
        false => Some(path),
    }
}

/// A record with what the sidecar says, or the name of the folder.
fn described(dir: &Path, id: u64, path: PathBuf, entry: Option<SidecarEntry>) -> Record {
    let Some(entry) = entry else {
        let parent = path
            .parent()
            .and_then(|parent| parent.strip_prefix(dir).ok());
        let folder = parent
            .and_then(Path::file_name)
            .and_then(|name| name.to_str());
        let category = match folder {
            Some(name) if name != IMAGES => name.to_owned(),
            _ => own_name(dir),
        };
        return Record::normal(id, path, &category);
    };
    let category = match entry.category.is_empty() {
        true => entry.object.trim().replace(' ', "_"),
        false => entry.category,
    };
    let mut record = Record::normal(id, path, &category);
    record.object = match entry.object.is_empty() {
        true => object_words(&category),
        false => entry.object,
    };
    record.normal_description = entry.normal_description;
    record.qa = entry
        .qa
        .into_iter()
        .map(|qa| Qa {
            kind: qa.kind,
            question: qa.question,
            answer: qa.answer,
        })
        .collect();
    record
}

fn category_names(categories: Vec<CocoCategory>) -> Result<BTreeMap<u64, String>, String> {
    let mut names = BTreeMap::new();
    for category in categories {
        if names.insert(category.id, category.name).is_some() {
            return Err(format!("category id {} occurs twice", category.id));
        }
    }
    if names.is_empty() {
        // Files without names are taken to number the kinds as we do.
        names = DefectKind::ALL
            .into_iter()
            .map(|kind| (kind.id() as u64, kind.name().to_owned()))
            .collect();
    }
    Ok(names)
}

/// Adds an annotation to its image.
fn mark(
    record: &mut Record,
    names: &BTreeMap<u64, String>,
    annotation: CocoAnnotation,
) -> Result<(), String> {
    let category = annotation.category_id;
    let label = names
        .get(&category)
        .ok_or_else(|| format!("category {category} is not among the categories"))?;
    let (width, height) = record.size.unwrap_or_default();
    let shape = match annotation.segmentation {
        None => return Err(NO_MASK.to_owned()),
        Some(Segmentation::Polygons(outlines)) if outlines.is_empty() => {
            return Err(NO_MASK.to_owned());
        }
        Some(Segmentation::Polygons(outlines)) => {
            let polygons = outlines.iter().map(|flat| Polygon::from_flat(flat));
            Shape::Polygons(
                polygons
                    .collect::<Result<_, _>>()
                    .map_err(|e| e.to_string())?,
            )
        }
        Some(Segmentation::Runs { size, counts }) => {
            if size != [height, width] {
                return Err(format!(
                    "mask is {size:?}, image {} is {:?} (height, width)",
                    record.id,
                    [height, width]
                ));
            }
            let rle = match counts {
                Counts::Plain(counts) => Ok(Rle { counts, size }),
                Counts::Compressed(text) => Rle::from_compressed(&text, size),
            };
            let rle = rle.and_then(|rle| rle.validate().map(|()| rle));
            Shape::Rle(rle.map_err(|e| e.to_string())?)
        }
    };
    let region = Region {
        kind: kind_of_label(label),
        shape,
    };
    record.add_defect(label);
    match &mut record.truth {
        Truth::Regions(regions) => regions.push(region),
        _ => record.truth = Truth::Regions(vec![region]),
    }
    Ok(())
}

const NO_MASK: &str = "no segmentation; a box alone does not say which pixels are defective";
