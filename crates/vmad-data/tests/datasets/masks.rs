//! Run lengths and polygons against pycocotools (tests/reference/coco.py).

use image::GrayImage;
use serde::Deserialize;
use vmad_data::{Polygon, PolygonError, Rle, RleError};

#[derive(Deserialize)]
struct Case {
    name: String,
    size: [u32; 2],
    counts: Vec<u32>,
    compressed: String,
    #[serde(default)]
    polygons: Vec<Vec<f64>>,
}

fn cases() -> Vec<Case> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/data/coco_masks.json"
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn compressed_run_lengths_are_those_of_pycocotools() {
    let cases = cases();
    assert_eq!(cases.len(), 28);
    for case in cases {
        let rle = Rle::from_compressed(&case.compressed, case.size).unwrap();
        assert_eq!(rle.counts, case.counts, "{}", case.name);
        let mask = rle.decode().unwrap();
        assert_eq!(Rle::encode(&mask).counts, case.counts, "{}", case.name);
    }
}

#[test]
fn polygons_are_filled_as_by_pycocotools() {
    let mut n_polygons = 0;
    for case in cases().iter().filter(|case| !case.polygons.is_empty()) {
        let [height, width] = case.size;
        let mut mask = GrayImage::new(width, height);
        for flat in &case.polygons {
            Polygon::from_flat(flat).unwrap().paint(&mut mask);
            n_polygons += 1;
        }
        assert_eq!(Rle::encode(&mask).counts, case.counts, "{}", case.name);
    }
    assert_eq!(n_polygons, 21);
}

#[test]
fn hostile_run_lengths_are_errors() {
    let check = |text: &str, expected: &str| {
        let error = Rle::from_compressed(text, [2, 3]).and_then(|rle| rle.validate());
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    };
    for (text, expected) in [
        ("", "add up to 0"),
        ("9", "add up to 9"),
        ("a b", "foreign character at character 1"),
        ("0é", "foreign character at character 1"),
        ("0p", "foreign character at character 1"),
        ("/", "foreign character at character 0"),
        ("P", "cut off at character 1"),
        ("06P", "cut off at character 3"),
        ("O", "below 0"),
        ("0006N", "below 0"),
        ("PPPPPPPPPPPPP", "without end at character 7"),
        ("oooooo0", "add up to 1073741823"),
        ("oooooo?", "below 0 or above 2³²"),
    ] {
        check(text, expected);
    }
    // No string of these characters makes the reader panic.
    let mut state = 1u32;
    for length in 0..400 {
        let text: String = (0..length % 23)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(48 + (state >> 26) as u8)
            })
            .collect();
        if let Ok(rle) = Rle::from_compressed(&text, [5, 7]) {
            let sum: u64 = rle.counts.iter().map(|run| u64::from(*run)).sum();
            assert_eq!(rle.validate().is_ok(), sum == 35, "{text}");
        }
    }
    let huge = Rle {
        counts: vec![u32::MAX],
        size: [u32::MAX, 1],
    };
    assert!(matches!(huge.decode(), Err(RleError::TooLarge { .. })));
}

#[test]
fn hostile_polygons_are_errors() {
    let long: Vec<f64> = (0..4_000)
        .flat_map(|i| [if i % 2 == 0 { -6e4 } else { 6e4 }, f64::from(i)])
        .collect();
    for (numbers, expected) in [
        (&[][..], "0 numbers"),
        (&[1.0, 2.0, 3.0, 4.0], "4 numbers"),
        (&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], "7 numbers"),
        (&[1.0, 2.0, f64::NAN, 4.0, 5.0, 6.0], "NaN"),
        (&[1.0, 2.0, f64::INFINITY, 4.0, 5.0, 6.0], "inf"),
        (&[1.0, 2.0, 1e9, 4.0, 5.0, 6.0], "1000000000"),
        (&long, "outline"),
    ] {
        let error: PolygonError = Polygon::from_flat(numbers).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(expected), "{error} / {expected}");
    }
}
