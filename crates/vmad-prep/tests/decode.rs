//! Image files of every kind, whole and broken.

mod common;

use common::{Failure, Fixture, shared};
use vmad_prep::{Limits, PrepError, decode};

/// Greatest difference per channel: inverse DCT and colour conversion may round differently
/// between JPEG decoders; CMYK goes through two such roundings. Everything else is exact.
fn tolerance(name: &str) -> u8 {
    match name {
        "cmyk_jpeg" => 4,
        _ if name.contains("jpeg") => 3,
        _ if name.contains("alpha") => 1,
        _ => 0,
    }
}

#[test]
fn every_kind_of_file_becomes_upright_rgb() -> Result<(), Failure> {
    let fixture = Fixture::open("decode")?;
    let mut n_cases = 0;
    for key in fixture.names()? {
        let Some(name) = key.strip_suffix(".rgb") else {
            continue;
        };
        n_cases += 1;
        let expected = fixture.picture(&key)?;
        let (_, file) = fixture.bytes(&format!("{name}.file"))?;
        let actual = decode(&file, &Limits::default()).map_err(|e| format!("{name}: {e}"))?;
        assert_eq!(actual.dimensions(), expected.dimensions(), "{name}");
        for (x, y, pixel) in actual.enumerate_pixels() {
            for (a, e) in pixel.0.iter().zip(expected.get_pixel(x, y).0) {
                assert!(
                    a.abs_diff(e) <= tolerance(name),
                    "{name} at ({x}, {y}): {:?}, expected {:?}",
                    pixel.0,
                    expected.get_pixel(x, y).0
                );
            }
        }
    }
    assert_eq!(n_cases, 27);
    Ok(())
}

#[test]
fn a_huge_picture_is_refused_by_its_header() -> Result<(), Failure> {
    let fixture = Fixture::open("decode")?;
    let (_, png) = fixture.bytes("huge_png.file")?;
    let too_large = |width, height| {
        Err(PrepError::TooLarge {
            width,
            height,
            limit: 64_000_000,
        })
    };
    assert_eq!(decode(&png, &Limits::default()), too_large(20_000, 20_000));

    // The start-of-frame segment of a JPEG: marker, length, precision, height, width.
    let (_, mut jpeg) = fixture.bytes("jpeg.file")?;
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC0])
        .ok_or("no SOF0")?;
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x4E, 0x20, 0x4E, 0x20]);
    assert_eq!(decode(&jpeg, &Limits::default()), too_large(20_000, 20_000));

    let (_, small) = fixture.bytes("png.file")?;
    assert!(matches!(
        decode(&small, &Limits { pixels: 100 }),
        Err(PrepError::TooLarge { limit: 100, .. })
    ));
    Ok(())
}

#[test]
fn truncated_files_are_named_as_such() -> Result<(), Failure> {
    let fixture = Fixture::open("decode")?;
    for (name, format) in [
        ("jpeg", "JPEG"),
        ("jpeg_progressive", "JPEG"),
        ("exif6_jpeg", "JPEG"),
        ("png", "PNG"),
        ("webp", "WebP"),
        ("bmp", "BMP"),
        ("tiff", "TIFF"),
    ] {
        let (_, file) = fixture.bytes(&format!("{name}.file"))?;
        for kept in [file.len() * 9 / 10, file.len() / 2] {
            let result = decode(&file[..kept], &Limits::default());
            let expected = PrepError::Truncated {
                format: format.to_owned(),
            };
            assert_eq!(
                result,
                Err(expected),
                "{name}, {kept} of {} bytes",
                file.len()
            );
        }
        // Wherever the file ends, there is an answer and no panic.
        for kept in 0..file.len() {
            let _ = decode(&file[..kept], &Limits::default());
        }
    }
    Ok(())
}

#[test]
fn altered_files_never_panic() -> Result<(), Failure> {
    let fixture = Fixture::open("decode")?;
    for name in [
        "jpeg",
        "cmyk_jpeg",
        "png",
        "webp",
        "bmp",
        "tiff",
        "exif6_tiff",
    ] {
        let (_, file) = fixture.bytes(&format!("{name}.file"))?;
        for at in (0..file.len()).step_by(3) {
            let mut altered = file.clone();
            altered[at] ^= 0x5A;
            // A small limit: an altered size must not cost the test's memory.
            let _ = decode(&altered, &Limits { pixels: 1_000_000 });
        }
    }
    Ok(())
}

#[test]
fn other_files_are_told_apart() {
    let unsupported = |format: &str| PrepError::UnsupportedFormat {
        format: format.to_owned(),
    };
    for (bytes, expected) in [
        (&b""[..], PrepError::EmptyFile),
        (b"hello, this is a text", PrepError::NotAnImage),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            PrepError::NotAnImage,
        ),
        (b"%PDF-1.7", PrepError::NotAnImage),
        (b"\x00", PrepError::NotAnImage),
        (b"GIF89a\x01\x00\x01\x00", unsupported("GIF")),
        (
            b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00",
            unsupported("HEIC"),
        ),
        (
            b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00",
            unsupported("AVIF"),
        ),
        (
            b"\x00\x00\x00\x1cftypmp42\x00\x00\x00\x00",
            PrepError::NotAnImage,
        ),
    ] {
        assert_eq!(decode(bytes, &Limits::default()), Err(expected));
    }
}

#[test]
fn the_test_photographs_open() -> Result<(), Failure> {
    for (name, size) in [
        ("coins.png", (384, 303)),
        ("brick.png", (512, 512)),
        ("gravel.webp", (512, 512)),
        ("coffee.jpg", (600, 400)),
        ("chelsea.jpg", (451, 300)),
        ("rocket.jpg", (640, 427)),
    ] {
        let file = shared(&format!("photos/{name}"))?;
        let photo = decode(&file, &Limits::default())?;
        assert_eq!(photo.dimensions(), size, "{name}");
    }
    Ok(())
}
