//! Reading photographs and masks, and leaving bad ones out.

use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use vmad_data::{DataError, OnBadImage, PhotoLoader};

use crate::common::{SIZE, area, photo, read, tree, write};

const PHOTO: &str = "nut/test/bent/1.png";
const MASK: &str = "nut/ground_truth/bent/1_mask.png";

#[test]
fn masks_of_any_depth_are_read() {
    let on = |x: u32, y: u32| (x, y) == (2, 1) || (x, y) == (3, 1);
    let deep = ImageBuffer::from_fn(SIZE.0, SIZE.1, |x, y| Luma([u16::from(on(x, y))]));
    let colour = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| Rgb([0, 0, u8::from(on(x, y))]));
    let clear = image::RgbaImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        image::Rgba([u8::from(on(x, y)) * 9, 0, 0, 0])
    });
    for image in [
        DynamicImage::ImageLuma16(deep),
        DynamicImage::ImageRgb8(colour),
        DynamicImage::ImageRgba8(clear),
    ] {
        let dir = tree(&[("nut/train/good/1.png", ""), (PHOTO, ""), (MASK, "")]);
        image.save(dir.path().join(MASK)).unwrap();
        let record = &read(&dir).records[1];
        assert_eq!(area(record), 2, "{:?}", image.color());
        let loaded = record.load().unwrap();
        assert_eq!(loaded.image, photo());
        assert_eq!(loaded.mask.unwrap(), record.mask().unwrap());
    }
}

#[test]
fn bad_files_are_named() {
    let other = || GrayImage::new(SIZE.1, SIZE.0);
    for (bad, write_it) in [
        (PHOTO, "no picture"),
        (MASK, "no picture"),
        (PHOTO, "\u{89}PNG\r\n"),
        (MASK, "the other size"),
        (PHOTO, ""),
    ] {
        let dir = tree(&[("nut/train/good/1.png", ""), (PHOTO, ""), (MASK, "")]);
        let path = dir.path().join(bad);
        match write_it {
            "the other size" => other().save(&path).unwrap(),
            "" => std::fs::remove_file(&path).unwrap(),
            text => write(dir.path(), bad, text),
        }
        let set = if path.exists() {
            read(&dir)
        } else {
            // It went away after the folder was listed.
            write(dir.path(), bad, "");
            let set = read(&dir);
            std::fs::remove_file(&path).unwrap();
            set
        };
        let record = &set.records[1];
        for error in [record.mask().unwrap_err(), record.load().unwrap_err()] {
            let text = error.to_string();
            assert!(
                text.contains(path.to_str().unwrap()),
                "{bad}, {write_it:?}: {text}"
            );
            if write_it == "the other size" {
                assert!(matches!(error, DataError::MaskSize { .. }), "{text}");
            }
        }
    }
}

#[test]
fn bad_photographs_fail_or_are_left_out() {
    let dir = tree(&[
        ("nut/train/good/1.png", ""),
        ("nut/test/good/1.png", ""),
        ("nut/test/good/2.png", "damaged"),
        ("nut/test/good/3.png", ""),
        (PHOTO, ""),
        (MASK, "damaged"),
    ]);
    let set = read(&dir);

    let mut loader = PhotoLoader::new(OnBadImage::Fail);
    let read: Vec<_> = loader.iter(&set.records).collect();
    let good: Vec<_> = read.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true, false, true]);
    assert_eq!(loader.summary(), None);

    let mut loader = PhotoLoader::new(OnBadImage::Skip);
    let ids: Vec<_> = loader
        .iter(&set.records)
        .map(|loaded| loaded.unwrap().0.id)
        .collect();
    assert_eq!(ids, [0, 2, 4]);
    assert_eq!(loader.skipped().len(), 2);
    let summary = loader.summary().unwrap();
    for part in ["left out: 2", "2.png", "1_mask.png"] {
        assert!(summary.contains(part), "{part:?} in {summary}");
    }
    for policy in OnBadImage::ALL {
        assert_eq!(OnBadImage::parse(policy.name()), Some(policy));
    }
}
