//! Image file bytes → upright 8-bit RGB.

use std::io::{Cursor, ErrorKind};

use image::error::{ImageError, ImageFormatHint};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

use crate::PrepError;

/// Limits on the size of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest number of pixels (width × height).
    pub pixels: u64,
}

impl Default for Limits {
    /// 64 megapixels: above every common camera, and still decodable within a browser tab's memory.
    fn default() -> Self {
        Self { pixels: 64_000_000 }
    }
}

/// Decodes a PNG, JPEG, WebP, BMP or TIFF picture, recognised by its content.
///
/// The result is upright (EXIF orientation applied) and 8 bits deep; grey becomes RGB, transparent
/// pixels are laid over white, CMYK is converted. `limits` are checked on the header's size, before
/// any pixel is allocated.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage, PrepError> {
    if bytes.is_empty() {
        return Err(PrepError::EmptyFile);
    }
    let format = recognise(bytes)?;
    let name = format_name(format);
    if format == ImageFormat::Jpeg {
        check_jpeg_is_whole(bytes, name)?;
    }
    if format == ImageFormat::WebP {
        check_webp_is_whole(bytes, name)?;
    }
    let failed = |error: ImageError| describe(error, name);

    let mut decoder = ImageReader::with_format(Cursor::new(bytes), format)
        .into_decoder()
        .map_err(failed)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(PrepError::NoPixels { width, height });
    }
    if u64::from(width) * u64::from(height) > limits.pixels {
        return Err(PrepError::TooLarge {
            width,
            height,
            limit: limits.pixels,
        });
    }
    let mut decoder_limits = image::Limits::no_limits();
    // Up to 16 bytes a pixel (f32 RGBA) for the result and as much again for the decoder's own
    // buffers; a file that asks for more is lying about its size.
    decoder_limits.max_alloc = Some(
        (u64::from(width) * u64::from(height))
            .saturating_mul(32)
            .saturating_add(64 << 20),
    );
    decoder.set_limits(decoder_limits).map_err(failed)?;
    // A damaged EXIF block does not fail the decoding.
    let orientation = decoder.orientation().ok();
    let mut image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    Ok(flatten(image))
}

fn recognise(bytes: &[u8]) -> Result<ImageFormat, PrepError> {
    let unsupported = |format: &str| {
        Err(PrepError::UnsupportedFormat {
            format: format.to_owned(),
        })
    };
    // ISO media files name their brand at byte 8; phones write photographs in this container.
    if bytes.get(4..8) == Some(b"ftyp") {
        return match bytes.get(8..12) {
            Some(b"avif" | b"avis") => unsupported("AVIF"),
            Some(b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1") => {
                unsupported("HEIC")
            }
            _ => Err(PrepError::NotAnImage),
        };
    }
    match image::guess_format(bytes) {
        Ok(
            format @ (ImageFormat::Png
            | ImageFormat::Jpeg
            | ImageFormat::WebP
            | ImageFormat::Bmp
            | ImageFormat::Tiff),
        ) => Ok(format),
        Ok(format) => unsupported(format_name(format)),
        Err(_) => Err(PrepError::NotAnImage),
    }
}

fn format_name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Gif => "GIF",
        ImageFormat::Avif => "AVIF",
        ImageFormat::Ico => "ICO",
        ImageFormat::Hdr => "Radiance HDR",
        ImageFormat::OpenExr => "OpenEXR",
        ImageFormat::Pnm => "PNM",
        ImageFormat::Dds => "DDS",
        ImageFormat::Tga => "TGA",
        ImageFormat::Farbfeld => "farbfeld",
        ImageFormat::Qoi => "QOI",
        _ => "such",
    }
}

fn describe(error: ImageError, format: &str) -> PrepError {
    let damaged = |message: String| PrepError::Damaged {
        format: format.to_owned(),
        message,
    };
    match error {
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            PrepError::Truncated {
                format: format.to_owned(),
            }
        }
        ImageError::Unsupported(error) => PrepError::UnsupportedFormat {
            format: match error.format_hint() {
                ImageFormatHint::Exact(_) => format!("such {format}"),
                _ => "such".to_owned(),
            },
        },
        ImageError::Limits(_) => damaged("it asks for more memory than its size explains".into()),
        other => {
            let message = other.to_string();
            // Decoders of image-webp and tiff wrap the end of the file in their own errors.
            let ended = ["unexpected end", "failed to fill whole buffer", "eof"];
            let lower = message.to_lowercase();
            if ended.iter().any(|words| lower.contains(words)) {
                PrepError::Truncated {
                    format: format.to_owned(),
                }
            } else {
                damaged(message)
            }
        }
    }
}

/// The JPEG decoder fills what is missing with grey. That would be inspected as if it were part of
/// the picture, so the file must reach its end-of-image marker.
fn check_jpeg_is_whole(bytes: &[u8], name: &str) -> Result<(), PrepError> {
    let truncated = || PrepError::Truncated {
        format: name.to_owned(),
    };
    let mut at = 2; // after the start-of-image marker
    loop {
        // Entropy-coded data and fill bytes lie between markers; 0xFF 0x00 is a stuffed data byte.
        let Some(offset) = bytes
            .get(at..)
            .and_then(|rest| rest.iter().position(|&byte| byte == 0xFF))
        else {
            return Err(truncated());
        };
        at += offset + 1;
        match bytes.get(at) {
            None => return Err(truncated()),
            Some(0xD9) => return Ok(()),
            // Another fill byte: look at it again as the start of a marker.
            Some(0xFF) => {}
            // Stuffed data, TEM, restart markers and a stray start of image carry no length.
            Some(0x00 | 0x01 | 0xD0..=0xD8) => at += 1,
            Some(_) => {
                let Some(&[high, low]) = bytes.get(at + 1..at + 3) else {
                    return Err(truncated());
                };
                at += 1 + usize::from(u16::from_be_bytes([high, low]));
            }
        }
    }
}

/// The WebP decoder reports a truncated stream as corrupt; the container's length tells them apart.
fn check_webp_is_whole(bytes: &[u8], name: &str) -> Result<(), PrepError> {
    let stated = match bytes.get(4..8) {
        Some(&[a, b, c, d]) => u64::from(u32::from_le_bytes([a, b, c, d])) + 8,
        _ => u64::MAX,
    };
    // The length is even, and some writers leave out the padding byte.
    if bytes.len() as u64 + 1 < stated {
        return Err(PrepError::Truncated {
            format: name.to_owned(),
        });
    }
    Ok(())
}

fn flatten(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let rgba = image.into_rgba8();
    let mut rgb = RgbImage::new(rgba.width(), rgba.height());
    for (over, pixel) in rgb.pixels_mut().zip(rgba.pixels()) {
        let [red, green, blue, alpha] = pixel.0;
        over.0 = [red, green, blue].map(|value| {
            let alpha = u32::from(alpha);
            let sum = u32::from(value) * alpha + 255 * (255 - alpha);
            ((sum + 127) / 255) as u8
        });
    }
    rgb
}
