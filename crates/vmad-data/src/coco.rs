//! Data sets on disk: COCO instances with a sidecar for sentences.

use crate::defect::DefectKind;
use crate::error::DataError;
use crate::files::write_whole;
use crate::generator::{Sample, Scenes};
use crate::mmad::{MMAD, write_mmad};
use crate::rle::Rle;
use crate::subject::{Subject, ask_all};
use crate::words::{Qa, QaKind};
use image::GrayImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};

/// File name of the COCO instances.
pub const ANNOTATIONS: &str = "annotations.json";
/// File name of the sentences.
pub const SIDECAR: &str = "sidecar.json";

#[derive(Serialize, Deserialize)]
struct Coco {
    images: Vec<CocoImage>,
    categories: Vec<CocoCategory>,
    annotations: Vec<CocoAnnotation>,
}

#[derive(Serialize, Deserialize)]
struct CocoImage {
    id: u64,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Serialize, Deserialize)]
struct CocoCategory {
    id: usize,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct CocoAnnotation {
    id: u64,
    image_id: u64,
    category_id: usize,
    /// x, y, width, height in pixels.
    bbox: [u32; 4],
    area: u64,
    segmentation: Rle,
    iscrowd: u8,
}

#[derive(Serialize, Deserialize)]
struct SidecarEntry {
    image_id: u64,
    object: String,
    #[serde(default)]
    normal_description: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    qa: Vec<SidecarQa>,
}

#[derive(Serialize, Deserialize)]
struct SidecarQa {
    #[serde(rename = "type")]
    kind: QaKind,
    #[serde(default)]
    question: String,
    answer: String,
}

/// One image of a data set on disk.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its id in the annotations.
    pub id: u64,
    /// The image file.
    pub path: PathBuf,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The product's name in sentences.
    pub object: String,
    /// Product category.
    pub category: String,
    /// What a normal product looks like; may be empty.
    pub normal_description: String,
    /// The kind of each annotation.
    pub kinds: Vec<DefectKind>,
    /// The mask of each annotation.
    pub regions: Vec<Rle>,
    /// Questions and answers.
    pub qa: Vec<Qa>,
}

impl Record {
    /// The union of the regions, 0 or 255, as large as the image. Regions were checked on reading.
    pub fn mask(&self) -> GrayImage {
        let mut mask = GrayImage::new(self.width, self.height);
        for r in &self.regions {
            // A region that fails its check leaves the mask as it is.
            r.paint(&mut mask).ok();
        }
        mask
    }

    /// Whether any region is annotated.
    pub fn is_defective(&self) -> bool {
        !self.regions.is_empty()
    }
}

/// A data set read from a folder.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folder.
    pub dir: PathBuf,
    /// Its images in the order of the annotations.
    pub records: Vec<Record>,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> DataError + '_ {
    move |source| DataError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Writes the first `count` scenes as a COCO data set, with questions in MMAD's layout beside it.
///
/// Images come first and in order; the JSON files come last, so a run that was cut off has none.
/// `progress(done, total)` may stop the run, which is then [`DataError::Stopped`].
pub fn write_dataset(
    dir: &Path,
    scenes: &dyn Scenes,
    count: u64,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<(), DataError> {
    let images = dir.join("images");
    fs::create_dir_all(&images).map_err(io(&images))?;
    for name in [ANNOTATIONS, SIDECAR, MMAD] {
        // Annotations of an earlier run would describe other images.
        let old = dir.join(name);
        if old.exists() {
            fs::remove_file(&old).map_err(io(&old))?;
        }
    }
    let mut coco = Coco {
        images: Vec::new(),
        categories: DefectKind::ALL
            .into_iter()
            .map(|k| CocoCategory {
                id: k.id(),
                name: k.name().into(),
            })
            .collect(),
        annotations: Vec::new(),
    };
    let mut sidecar = Vec::new();
    let mut subjects = Vec::new();
    let batch = (rayon::current_num_threads() as u64 * 4).max(8);
    let mut done = 0;
    while done < count {
        let end = (done + batch).min(count);
        let rendered: Vec<Result<Entry, DataError>> = (done..end)
            .into_par_iter()
            .map(|i| render_entry(&images, i, &scenes.sample(i)))
            .collect();
        for entry in rendered {
            let (image, annotations, side, subject) = entry?;
            for mut a in annotations {
                a.id = coco.annotations.len() as u64;
                coco.annotations.push(a);
            }
            coco.images.push(image);
            sidecar.push(side);
            subjects.push(subject);
        }
        done = end;
        if progress(done, count).is_break() && done < count {
            return Err(DataError::Stopped { done, total: count });
        }
    }
    write_mmad(&dir.join(MMAD), ask_all(&subjects))?;
    write_json(&dir.join(SIDECAR), &sidecar)?;
    write_json(&dir.join(ANNOTATIONS), &coco)
}

type Entry = (CocoImage, Vec<CocoAnnotation>, SidecarEntry, Subject);

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), DataError> {
    let bytes = serde_json::to_vec(value).map_err(|source| DataError::Json {
        path: path.to_owned(),
        source,
    })?;
    write_whole(path, &bytes).map_err(io(path))
}

fn render_entry(images: &Path, id: u64, sample: &Sample) -> Result<Entry, DataError> {
    let name = format!("{id:06}.png");
    let path = images.join(&name);
    let mut png = Vec::new();
    sample
        .image
        .write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png)
        .map_err(|source| DataError::Image {
            path: path.clone(),
            source,
        })?;
    write_whole(&path, &png).map_err(io(&path))?;
    let annotations = sample
        .defects
        .iter()
        .map(|d| {
            let (bbox, area) = bounds(&d.mask);
            CocoAnnotation {
                id: 0,
                image_id: id,
                category_id: d.kind.id(),
                bbox,
                area,
                segmentation: Rle::encode(&d.mask),
                iscrowd: 0,
            }
        })
        .collect();
    let image = CocoImage {
        id,
        file_name: format!("images/{name}"),
        width: sample.image.width(),
        height: sample.image.height(),
    };
    let side = SidecarEntry {
        image_id: id,
        object: sample.object.clone(),
        normal_description: sample.normal_description.clone(),
        category: sample.category.clone(),
        qa: sample
            .qa
            .iter()
            .map(|q| SidecarQa {
                kind: q.kind,
                question: q.question.clone(),
                answer: q.answer.clone(),
            })
            .collect(),
    };
    let subject = Subject::of_sample(image.file_name.clone(), sample);
    Ok((image, annotations, side, subject))
}

/// Box (x, y, width, height) and area of the non-zero pixels.
fn bounds(mask: &GrayImage) -> ([u32; 4], u64) {
    let (mut lo, mut hi, mut area) = ((u32::MAX, u32::MAX), (0, 0), 0);
    for (x, y, p) in mask.enumerate_pixels() {
        if p.0[0] != 0 {
            lo = (lo.0.min(x), lo.1.min(y));
            hi = (hi.0.max(x), hi.1.max(y));
            area += 1;
        }
    }
    if area == 0 {
        return ([0; 4], 0);
    }
    ([lo.0, lo.1, hi.0 + 1 - lo.0, hi.1 + 1 - lo.1], area)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, DataError> {
    let bytes = fs::read(path).map_err(io(path))?;
    serde_json::from_slice(&bytes).map_err(|source| DataError::Json {
        path: path.to_owned(),
        source,
    })
}

/// Joins a file name from outside to a folder; nothing when it could leave the folder.
pub(crate) fn join_inside(dir: &Path, name: &str) -> Option<PathBuf> {
    // Backslashes are separators on one system and plain characters on another.
    let plain = !name.is_empty()
        && !name.contains(['\\', ':', '\0'])
        && Path::new(name)
            .components()
            .all(|c| matches!(c, Component::Normal(_)));
    plain.then(|| dir.join(name))
}

/// Reads a COCO data set with its sidecar. Every run length, id and path is checked; the images
/// themselves are not opened.
pub fn read_dataset(dir: &Path) -> Result<Dataset, DataError> {
    let file = dir.join(ANNOTATIONS);
    let side_file = dir.join(SIDECAR);
    let coco: Coco = read_json(&file)?;
    let sidecar: Vec<SidecarEntry> = read_json(&side_file)?;
    let invalid = |what: String| DataError::Invalid {
        path: file.clone(),
        what,
    };
    let mut sides: BTreeMap<u64, SidecarEntry> = BTreeMap::new();
    for s in sidecar {
        let id = s.image_id;
        if sides.insert(id, s).is_some() {
            return Err(DataError::Invalid {
                path: side_file,
                what: format!("image {id} has two entries"),
            });
        }
    }
    let mut records = Vec::with_capacity(coco.images.len());
    let mut position: BTreeMap<u64, usize> = BTreeMap::new();
    for image in coco.images {
        let path = join_inside(dir, &image.file_name)
            .ok_or_else(|| invalid(format!("path {:?} leaves the folder", image.file_name)))?;
        if position.insert(image.id, records.len()).is_some() {
            return Err(invalid(format!("image id {} occurs twice", image.id)));
        }
        let side = sides.remove(&image.id).ok_or_else(|| DataError::Invalid {
            path: side_file.clone(),
            what: format!("image {} has no entry", image.id),
        })?;
        records.push(Record {
            id: image.id,
            path,
            width: image.width,
            height: image.height,
            object: side.object,
            category: side.category,
            normal_description: side.normal_description,
            kinds: Vec::new(),
            regions: Vec::new(),
            qa: side
                .qa
                .into_iter()
                .map(|q| Qa {
                    kind: q.kind,
                    question: q.question,
                    answer: q.answer,
                })
                .collect(),
        });
    }
    for a in coco.annotations {
        let record = position
            .get(&a.image_id)
            .and_then(|k| records.get_mut(*k))
            .ok_or_else(|| invalid(format!("annotation {}: no image {}", a.id, a.image_id)))?;
        let kind = DefectKind::from_id(a.category_id)
            .ok_or_else(|| invalid(format!("annotation {}: category {}", a.id, a.category_id)))?;
        if a.segmentation.size != [record.height, record.width] {
            return Err(invalid(format!(
                "annotation {}: mask is {:?}, image {} is {:?} (height, width)",
                a.id,
                a.segmentation.size,
                a.image_id,
                [record.height, record.width]
            )));
        }
        a.segmentation
            .validate()
            .map_err(|e| invalid(format!("annotation {}: {e}", a.id)))?;
        record.kinds.push(kind);
        record.regions.push(a.segmentation);
    }
    Ok(Dataset {
        dir: dir.to_owned(),
        records,
    })
}
