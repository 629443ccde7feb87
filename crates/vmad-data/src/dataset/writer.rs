//! Writing generated scenes as a COCO data set with its sidecar.

use super::coco::{ANNOTATIONS, IMAGES, SIDECAR, SidecarEntry, SidecarQa};
use super::folder::io;
use crate::defect::DefectKind;
use crate::error::DataError;
use crate::files::write_whole;
use crate::mmad::{MMAD, write_mmad};
use crate::rle::Rle;
use crate::sample::{Sample, Scenes};
use crate::subject::{Subject, ask_all};
use image::GrayImage;
use rayon::prelude::*;
use serde::Serialize;
use std::fs;
use std::io::Cursor;
use std::ops::ControlFlow;
use std::path::Path;

#[derive(Serialize)]
struct Coco {
    images: Vec<CocoImage>,
    categories: Vec<CocoCategory>,
    annotations: Vec<CocoAnnotation>,
}

#[derive(Serialize)]
struct CocoImage {
    id: u64,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct CocoCategory {
    id: usize,
    name: String,
}

#[derive(Serialize)]
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
    let images = dir.join(IMAGES);
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
        file_name: format!("{IMAGES}/{name}"),
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
