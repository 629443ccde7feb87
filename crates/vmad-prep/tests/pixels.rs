//! Resizing and pixel tensors against Pillow and transformers.

mod common;

use common::{Failure, Fixture, assert_close, sam_frame};
use vmad_prep::resize::{Canvas, Filter, Window, resize, resize_window};
use vmad_prep::{ClipMode, PhotoFrame, RgbImage, clip_pixels, sam_input};

/// Equal integers go through one subtraction and one division in f32: a few units in the last
/// place of values below 3.
const NORMALISED: f32 = 1e-6;

fn assert_same(what: &str, actual: &RgbImage, expected: &RgbImage) {
    assert_eq!(actual.dimensions(), expected.dimensions(), "{what}");
    for (x, y, pixel) in actual.enumerate_pixels() {
        assert_eq!(pixel, expected.get_pixel(x, y), "{what} at ({x}, {y})");
    }
}

#[test]
fn resize_is_pillows_bit_for_bit() -> Result<(), Failure> {
    let fixture = Fixture::open("resize")?;
    for case in 0..9 {
        let source = fixture.picture(&format!("{case}.in"))?;
        for (name, filter) in [("bilinear", Filter::Bilinear), ("bicubic", Filter::Bicubic)] {
            let key = format!("{case}.{name}");
            let expected = fixture.picture(&key)?;
            let (width, height) = expected.dimensions();
            let actual = resize(&source, width, height, filter);
            assert_same(&key, &actual, &expected);

            let window = Window {
                x: width / 3,
                y: height / 4,
                width: width.div_ceil(2),
                height: height.div_ceil(2),
            };
            let part = resize_window(&Canvas::bare(&source), width, height, window, filter);
            for (x, y, pixel) in part.enumerate_pixels() {
                let whole = expected.get_pixel(window.x + x, window.y + y);
                assert_eq!(pixel, whole, "window of {key} at ({x}, {y})");
            }
        }
    }
    Ok(())
}

#[test]
fn clip_pixels_match_transformers() -> Result<(), Failure> {
    let fixture = Fixture::open("clip")?;
    for case in 0..5 {
        let source = fixture.picture(&format!("{case}.in"))?;
        for (name, mode) in [("pad", ClipMode::Pad), ("crop", ClipMode::Crop)] {
            let key = format!("{case}.{name}");
            let (shape, expected) = fixture.floats(&key)?;
            let actual = clip_pixels(&source, &clip_frame(&source, shape[1] as u32, mode));
            assert_close(&key, &actual, &expected, NORMALISED);
        }
    }
    Ok(())
}

#[test]
fn sam_pixels_match_pillow() -> Result<(), Failure> {
    let fixture = Fixture::open("sam")?;
    for case in 0..5 {
        let source = fixture.picture(&format!("{case}.in"))?;
        let (shape, expected) = fixture.floats(&format!("{case}.pixels"))?;
        let frame = sam_frame(source.dimensions(), shape[1] as u32);
        let actual = sam_input(&source, &frame).pixels;
        assert_close(&format!("{case}.pixels"), &actual, &expected, NORMALISED);
        let resized = fixture.ints(&format!("{case}.resized"))?;
        let (width, height) = frame.sam_resized();
        assert_eq!([width, height], resized[..], "{case}");
    }
    Ok(())
}

#[test]
fn extreme_shapes_cost_no_memory() {
    for (width, height) in [(60_000, 1), (1, 20_000), (1, 1)] {
        let image = RgbImage::from_pixel(width, height, image_pixel(90));
        for mode in [ClipMode::Pad, ClipMode::Crop] {
            let pixels = clip_pixels(&image, &clip_frame(&image, 24, mode));
            assert_eq!(pixels.len(), 3 * 24 * 24);
            assert!(pixels.iter().all(|value| value.is_finite()));
        }
        let pixels = sam_input(&image, &sam_frame((width, height), 24)).pixels;
        assert!((pixels[0] - (90.0 - 123.675) / 58.395).abs() < 1e-5);
    }
}

fn clip_frame(image: &RgbImage, clip_size: u32, clip_mode: ClipMode) -> PhotoFrame {
    PhotoFrame {
        clip_size,
        clip_mode,
        ..sam_frame(image.dimensions(), 1)
    }
}

fn image_pixel(level: u8) -> image::Rgb<u8> {
    image::Rgb([level; 3])
}

#[test]
#[ignore = "prints times; run with --release -- --ignored --nocapture"]
fn times() {
    let photo = RgbImage::from_fn(4000, 3000, |x, y| {
        image::Rgb([(x % 251) as u8, (y % 241) as u8, ((x + y) % 239) as u8])
    });
    let time = |what: &str, run: &dyn Fn()| {
        let start = std::time::Instant::now();
        run();
        println!("{what}: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    };
    time("sam 256", &|| {
        sam_input(&photo, &sam_frame((4000, 3000), 256));
    });
    time("sam 1024", &|| {
        sam_input(&photo, &sam_frame((4000, 3000), 1024));
    });
    time("clip pad 112", &|| {
        clip_pixels(&photo, &clip_frame(&photo, 112, ClipMode::Pad));
    });
    time("clip crop 336", &|| {
        clip_pixels(&photo, &clip_frame(&photo, 336, ClipMode::Crop));
    });
}
