//! MVTec AD's layout: `CATEGORY/train/good`, `CATEGORY/test/TYPE`,
//! `CATEGORY/ground_truth/TYPE/NAME_mask.png`. VisA converted for one-class work and many other
//! sets have it, too.

use super::folder::{folders, own_name, pictures};
use super::record::{Record, Subset, Truth};
use crate::error::DataError;
use std::path::{Path, PathBuf};

const MASKS: &str = "ground_truth";
/// Folders of photographs, and what they are for.
const PARTS: [(&str, Subset); 3] = [
    ("train", Subset::Train),
    ("validation", Subset::Val),
    ("test", Subset::Test),
];
/// Types that are none.
const NORMAL: [&str; 2] = ["good", "ok"];
/// Endings of mask files. Only formats that keep every pixel: black must stay black.
const MASK_ENDINGS: [&str; 4] = ["png", "bmp", "tif", "tiff"];

fn is_category(dir: &Path) -> bool {
    let has = |name| dir.join(name).is_dir();
    has("test") && (has("train") || has(MASKS))
}

/// Name and folder of the categories: the folder itself, or those in it.
pub(super) fn categories(dir: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    if is_category(dir) {
        return Ok(vec![(own_name(dir), dir.to_owned())]);
    }
    let mut found = folders(dir)?;
    found.retain(|(_, path)| is_category(path));
    Ok(found)
}

/// Whether the folder is a category or holds some.
pub(super) fn fits(dir: &Path) -> Result<bool, DataError> {
    Ok(!categories(dir)?.is_empty())
}

/// Reads all categories; `object` gives a category's words.
pub(super) fn read(dir: &Path, object: fn(&str) -> String) -> Result<Vec<Record>, DataError> {
    let mut records = Vec::new();
    for (category, dir) in categories(dir)? {
        for (folder, part) in PARTS {
            let folder = dir.join(folder);
            if folder.is_dir() {
                read_part(&dir, &folder, &category, part, &mut records)?;
            }
        }
    }
    for record in &mut records {
        record.object = object(&record.category);
    }
    Ok(records)
}

fn read_part(
    category_dir: &Path,
    folder: &Path,
    category: &str,
    part: Subset,
    records: &mut Vec<Record>,
) -> Result<(), DataError> {
    for (label, folder) in folders(folder)? {
        let is_normal = NORMAL.contains(&label.as_str());
        if !is_normal && part != Subset::Test {
            return Err(DataError::Invalid {
                path: folder,
                what: format!("outside of test only the folder {} is known", NORMAL[0]),
            });
        }
        let masks = category_dir.join(MASKS).join(&label);
        let has_masks = masks.is_dir();
        for path in pictures(&folder)? {
            let mask = (!is_normal && has_masks).then(|| mask_of(&masks, &path));
            let mut record = Record::normal(records.len() as u64, path, category);
            record.part = Some(part);
            if !is_normal {
                record.add_defect(&label);
            }
            if let Some(mask) = mask {
                record.truth = Truth::MaskFile(mask);
            }
            records.push(record);
        }
    }
    Ok(())
}

/// The mask's file: `NAME_mask.png`, or `NAME.png` as in converted sets. Where none is there, the
/// first of these, so that asking for the mask names it.
fn mask_of(masks: &Path, photo: &Path) -> PathBuf {
    let name = photo.file_stem().unwrap_or_default().to_string_lossy();
    let candidate = |suffix: &str, ending: &str| masks.join(format!("{name}{suffix}.{ending}"));
    let mut all = ["_mask", ""]
        .into_iter()
        .flat_map(|suffix| MASK_ENDINGS.map(|ending| candidate(suffix, ending)));
    all.find(|path| path.is_file())
        .unwrap_or_else(|| candidate("_mask", "png"))
}
