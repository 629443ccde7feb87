//! Small folders in the form of each layout.

use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};
use tempfile::TempDir;
use vmad_data::{Dataset, Record, read_dataset};

/// Width and height of the photographs.
pub const SIZE: (u32, u32) = (7, 5);

/// A folder that holds the given files, see [`write`].
pub fn tree(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(dir.path(), name, text);
    }
    dir
}

/// Writes the text; where there is none, a mask below a folder of masks, and elsewhere a photograph.
pub fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    if !text.is_empty() {
        std::fs::write(path, text).unwrap();
    } else if name.contains("ground_truth") || name.contains("Masks") {
        mask().save(path).unwrap();
    } else {
        photo().save(path).unwrap();
    }
}

pub fn photo() -> RgbImage {
    RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| Rgb([x as u8 * 9, y as u8 * 9, 77]))
}

/// A mask with the faint value that VisA's masks have for a first kind of defect.
pub fn mask() -> GrayImage {
    let mut mask = GrayImage::new(SIZE.0, SIZE.1);
    mask.put_pixel(2, 1, Luma([1]));
    mask.put_pixel(3, 1, Luma([255]));
    mask
}

/// Number of the mask's pixels that are set.
pub fn area(record: &Record) -> usize {
    let mask = record.mask().unwrap();
    assert_eq!(mask.dimensions(), SIZE);
    assert!(mask.iter().all(|value| matches!(value, 0 | 255)));
    mask.iter().filter(|value| **value == 255).count()
}

#[track_caller]
pub fn read(dir: &TempDir) -> Dataset {
    read_dataset(dir.path(), None).unwrap()
}

/// Everything that a reader says of a record, but for sentences.
pub fn line(dataset: &Dataset, record: &Record) -> String {
    let path = record.path.strip_prefix(&dataset.dir).unwrap();
    let path = path.to_str().unwrap().replace('\\', "/");
    let part = record.part.map_or("-", |part| part.name());
    let kinds: Vec<_> = record.kinds.iter().map(|kind| kind.name()).collect();
    format!(
        "{} {path} [{}/{}] {part} {} {:?} {kinds:?}",
        record.id,
        record.category,
        record.object,
        if record.is_defective { "bad" } else { "good" },
        record.defect_types,
    )
}

#[track_caller]
pub fn check_lines(dataset: &Dataset, expected: &[&str]) {
    let lines: Vec<_> = dataset.records.iter().map(|r| line(dataset, r)).collect();
    assert_eq!(lines, expected);
}
