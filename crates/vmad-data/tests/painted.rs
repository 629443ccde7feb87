//! Properties of the worlds with painted defects: photographs and the studio.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;
use vmad_data::{
    Category, Composite, DataError, DefectKind, MAX_PAINTED_AREA, MIN_PAINTED_AREA, NOTICEABLE,
    PHOTOS, Photo, Sample, Scenes, Studio, Wanted, read_photos,
};

/// Least share of a mask's pixels that changed noticeably; the others lie in gaps between those,
/// such as the middle of a dent, which is neither lit nor shaded.
const LEAST_CHANGED: f32 = 0.5;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/photos")
}

fn photographs() -> Vec<Photo> {
    read_photos(&folder()).unwrap()
}

fn largest_difference(a: &RgbImage, b: &RgbImage) -> Vec<u8> {
    let of = |(a, b): (&image::Rgb<u8>, &image::Rgb<u8>)| {
        let channels = a.0.iter().zip(&b.0);
        channels.map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    };
    a.pixels().zip(b.pixels()).map(of).collect()
}

/// Compares a picture with the one that it was painted on.
fn check_masks(what: &str, clean: &Sample, defective: &Sample) {
    assert!(clean.defects.is_empty() && clean.mask().iter().all(|m| *m == 0));
    let changed = largest_difference(&clean.image, &defective.image);
    let mask = defective.mask();
    for (i, (d, m)) in changed.iter().zip(mask.iter()).enumerate() {
        let (x, y) = (i as u32 % mask.width(), i as u32 / mask.width());
        assert!(
            *m != 0 || *d <= NOTICEABLE,
            "{what}: ({x}, {y}) differs by {d}, not masked"
        );
    }
    for defect in &defective.defects {
        let inside: Vec<u8> = changed
            .iter()
            .zip(defect.mask.iter())
            .filter(|(_, m)| **m != 0)
            .map(|(d, _)| *d)
            .collect();
        assert!(defect.mask.iter().all(|m| *m == 0 || *m == 255));
        let area = inside.len() as f32 / changed.len() as f32;
        assert!(
            (MIN_PAINTED_AREA..=MAX_PAINTED_AREA).contains(&area),
            "{what}: area {area}"
        );
        let share = inside.iter().filter(|d| **d > NOTICEABLE).count() as f32 / inside.len() as f32;
        assert!(
            share >= LEAST_CHANGED,
            "{what}: only {share} of the mask changed"
        );
        assert!(
            defect.contrast > f32::from(NOTICEABLE) / 255.0,
            "{what}: {}",
            defect.contrast
        );
    }
}

/// Paints every kind, and fails where one finds no place in a few tries.
fn check_kinds(what: &str, mut sample: impl FnMut(Wanted, u64) -> Sample) {
    for kind in DefectKind::ALL {
        let what = format!("{} on {what}", kind.name());
        let hit = (0..4).find_map(|index| {
            let defective = sample(Wanted::Defect(kind), index);
            check_masks(&what, &sample(Wanted::Normal, index), &defective);
            defective.defects.first().map(|defect| defect.kind)
        });
        assert_eq!(hit, Some(kind), "{what}");
    }
}

#[test]
fn every_kind_shows_on_every_photograph_and_masks_are_exact() {
    for size in [129, 160] {
        let composite = Composite::new(5, size, photographs()).unwrap();
        for photo in composite.photos() {
            let what = format!("{} at {size}", photo.name);
            check_kinds(&what, |wanted, index| {
                composite.sample_of(photo, wanted, index)
            });
        }
    }
}

#[test]
fn every_kind_shows_on_every_family_and_masks_are_exact() {
    let studio = Studio::new(5, 161);
    for family in Studio::families() {
        assert!(Category::parse(family).is_err(), "training knows {family}");
        check_kinds(family, |wanted, index| {
            studio.sample_of(family, wanted, index).unwrap()
        });
    }
    let unknown = studio.sample_of("anvil", Wanted::Normal, 0).unwrap_err();
    assert!(unknown.to_string().contains("anvil"), "{unknown}");
}

#[test]
fn same_settings_give_the_same_bytes() {
    let check = |what: &str, world: &dyn Scenes, again: &dyn Scenes, other: &dyn Scenes| {
        let bytes = |world: &dyn Scenes, index| {
            let s = world.sample(index);
            (s.image.into_raw(), s.qa, s.category)
        };
        let first: Vec<_> = (0..5).map(|i| bytes(world, i)).collect();
        let second: Vec<_> = (0..5).rev().map(|i| bytes(again, i)).collect();
        assert!(first.iter().eq(second.iter().rev()), "{what}");
        assert!(first[0].0 != first[1].0, "{what}: all samples are the same");
        assert!(
            first[0] != bytes(other, 0),
            "{what}: the seed does not matter"
        );
    };
    for size in [32, 97] {
        let composite = |seed| Composite::new(seed, size, photographs()).unwrap();
        check("photographs", &composite(1), &composite(1), &composite(2));
        let studio = |seed| Studio::new(seed, size);
        check("studio", &studio(1), &studio(1), &studio(2));
    }
}

#[test]
fn half_is_normal_and_some_photographs_are_left_alone() {
    let composite = Composite::new(9, 64, photographs()).unwrap();
    let studio = Studio::new(9, 64);
    let worlds: [(&dyn Scenes, usize); 2] = [(&composite, composite.photos().len()), (&studio, 8)];
    for (world, n_categories) in worlds {
        let mut defective: BTreeMap<String, usize> = BTreeMap::new();
        let mut kinds = BTreeSet::new();
        for index in 0..240 {
            let sample = world.sample(index);
            assert_eq!(sample.qa.len(), 3);
            let first = sample.defects.first().map(|d| d.kind);
            assert_eq!(DefectKind::find_in(&sample.qa[0].answer), first);
            kinds.extend(first);
            *defective.entry(sample.category).or_default() += usize::from(first.is_some());
        }
        assert_eq!(defective.len(), n_categories);
        let total: usize = defective.values().sum();
        assert!((85..=150).contains(&total), "{total} of 240 defective");
        assert_eq!(kinds.len(), 15);
        for photo in composite.photos().iter().filter(|p| !p.may_get_defects) {
            assert_eq!(
                defective.get(&photo.name).copied().unwrap_or(0),
                0,
                "{}",
                photo.name
            );
        }
    }
}

#[test]
fn a_world_without_photographs_is_refused() {
    assert!(matches!(
        Composite::new(1, 64, Vec::new()),
        Err(DataError::NoPhotos)
    ));
    // Photographs that must all be left alone make a world without defects.
    let mut photographs = photographs();
    photographs.retain(|photo| !photo.may_get_defects);
    assert_eq!(photographs.len(), 2);
    let composite = Composite::new(1, 48, photographs).unwrap();
    assert!((0..20).all(|index| composite.sample(index).defects.is_empty()));
}

#[test]
fn tables_and_photographs_that_cannot_be_used_are_named() {
    let keep = tempfile::tempdir().unwrap();
    let dir = keep.path();
    let missing = read_photos(dir).unwrap_err();
    assert!(missing.to_string().contains(PHOTOS), "{missing}");

    let whole = fs::read(folder().join("coins.png")).unwrap();
    fs::write(dir.join("good.png"), &whole).unwrap();
    fs::write(dir.join("cut.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(dir.join("text.png"), "no photograph").unwrap();
    RgbImage::new(200, 9).save(dir.join("thin.png")).unwrap();

    let line = |file: &str, rest: &str| {
        format!(r#"{{"file":{file:?},"name":"a","object":"b","normal_description":"c"{rest}}}"#)
    };
    let check = |lines: &[String], expected: &[&str]| {
        fs::write(dir.join(PHOTOS), format!("[{}]", lines.join(","))).unwrap();
        let error = read_photos(dir).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{part:?} in {error}");
        }
    };
    check(&[line("cut.png", "")], &["cut.png"]);
    check(&[line("text.png", "")], &["text.png"]);
    check(&[line("thin.png", "")], &["thin.png", "200×9"]);
    check(&[line("absent.png", "")], &["absent.png"]);
    check(&[line("../coins.png", "")], &[PHOTOS, "leaves the folder"]);
    check(
        &[line("good.png", ""), line("good.png", "")],
        &[PHOTOS, "\"a\""],
    );
    check(
        &[line("good.png", r#","defect":true"#)],
        &[PHOTOS, "defect"],
    );
    check(&["7".to_owned()], &[PHOTOS]);

    fs::write(dir.join(PHOTOS), format!("[{}]", line("good.png", ""))).unwrap();
    let read = read_photos(dir).unwrap();
    assert_eq!((read.len(), read[0].image.dimensions()), (1, (384, 303)));
    assert!(read[0].may_get_defects);
}
