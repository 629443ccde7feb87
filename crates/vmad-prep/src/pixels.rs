//! RGB picture → pixel tensors of the CLIP and the SAM branch.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::resize::{Canvas, Filter, Window, resize, resize_window};

/// Per-channel mean of CLIP's training pixels, on the 0–1 scale.
pub const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// Per-channel standard deviation of CLIP's training pixels, on the 0–1 scale.
pub const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];
/// Fill colour of the padded square: `int(mean · 255)`.
pub const CLIP_FILL: [u8; 3] = [122, 116, 104];
/// Per-channel mean of SAM's training pixels, on the 0–255 scale.
pub const SAM_MEAN: [f32; 3] = [123.675, 116.28, 103.53];
/// Per-channel standard deviation of SAM's training pixels, on the 0–255 scale.
pub const SAM_STD: [f32; 3] = [58.395, 57.12, 57.375];

/// How a picture that is not square becomes CLIP's square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClipMode {
    /// Centred on a square of the mean colour: nothing is lost. LLaVA-1.5's way.
    #[default]
    Pad,
    /// Shorter side to size, then the centre square: edges are lost. LISA's way.
    Crop,
}

/// Where the photograph lies within SAM's square input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamFrame {
    /// Width and height of the photograph in pixels.
    pub original: (u32, u32),
    /// Width and height that it takes in SAM's input, from the top-left corner.
    pub resized: (u32, u32),
    /// Side of SAM's input in pixels.
    pub size: u32,
}

impl SamFrame {
    /// Frame of a `width` × `height` photograph within a square of side `size`.
    ///
    /// A side that would round to nothing (20,000×1 within 256) keeps one pixel.
    pub fn new(width: u32, height: u32, size: u32) -> Self {
        let scale = f64::from(size) / f64::from(width.max(height).max(1));
        let side = |length: u32| ((f64::from(length) * scale + 0.5) as u32).clamp(1, size.max(1));
        Self {
            original: (width, height),
            resized: (side(width), side(height)),
            size,
        }
    }
}

/// CLIP's input, normalised.
///
/// # Shapes
/// - output: `[3, size, size]`, channel-major
pub fn clip_pixels(image: &RgbImage, size: u32, mode: ClipMode) -> Vec<f32> {
    let square = match mode {
        ClipMode::Pad => padded(image, size),
        ClipMode::Crop => cropped(image, size),
    };
    let mut pixels = vec![0.0; 3 * size as usize * size as usize];
    normalise(&square, size, &mut pixels, |value, channel| {
        (value * (1.0 / 255.0) - CLIP_MEAN[channel]) / CLIP_STD[channel]
    });
    pixels
}

/// SAM's input: longer side to `size`, normalised, then zero-padded at the right and the bottom.
///
/// # Shapes
/// - output: `[3, size, size]`, channel-major
pub fn sam_pixels(image: &RgbImage, size: u32) -> (Vec<f32>, SamFrame) {
    let frame = SamFrame::new(image.width(), image.height(), size);
    let (width, height) = frame.resized;
    let resized = resize(image, width, height, Filter::Bilinear);
    let mut pixels = vec![0.0; 3 * size as usize * size as usize];
    normalise(&resized, size, &mut pixels, |value, channel| {
        (value - SAM_MEAN[channel]) / SAM_STD[channel]
    });
    (pixels, frame)
}

fn padded(image: &RgbImage, size: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    // A 64-megapixel strip one pixel high has a square of 64 million rows. The resized square
    // hardly changes when such a strip is first brought to a length that fits in memory.
    const LONGEST: u32 = 16_384;
    let side = width.max(height);
    if side > LONGEST {
        let scale = f64::from(LONGEST) / f64::from(side);
        let shrunk = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
        let shorter = resize(image, shrunk(width), shrunk(height), Filter::Bicubic);
        return padded(&shorter, size);
    }
    let window = Window {
        x: 0,
        y: 0,
        width: size,
        height: size,
    };
    let canvas = Canvas::centred_square(image, CLIP_FILL);
    resize_window(&canvas, size, size, window, Filter::Bicubic)
}

fn cropped(image: &RgbImage, size: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let shorter = width.min(height).max(1);
    // Truncation, and f64 before it, as in Hugging Face's get_resize_output_image_size.
    let resized = |length: u32| {
        if length == shorter {
            size
        } else {
            (f64::from(size) * f64::from(length) / f64::from(shorter)) as u32
        }
    };
    let (wide, high) = (resized(width), resized(height));
    let window = Window {
        x: (wide - size) / 2,
        y: (high - size) / 2,
        width: size,
        height: size,
    };
    resize_window(&Canvas::bare(image), wide, high, window, Filter::Bicubic)
}

/// Writes `image` into the top-left corner of `pixels: [3, size, size]`.
fn normalise(image: &RgbImage, size: u32, pixels: &mut [f32], map: impl Fn(f32, usize) -> f32) {
    let size = size as usize;
    if size == 0 {
        return;
    }
    for (channel, plane) in pixels.chunks_exact_mut(size * size).enumerate() {
        // 256 levels: a table saves the division per pixel.
        let table: Vec<f32> = (0..=255u8)
            .map(|value| map(f32::from(value), channel))
            .collect();
        for (row_out, row_in) in plane.chunks_exact_mut(size).zip(image.rows()) {
            for (value, pixel) in row_out.iter_mut().zip(row_in) {
                *value = table[usize::from(pixel.0[channel])];
            }
        }
    }
}
