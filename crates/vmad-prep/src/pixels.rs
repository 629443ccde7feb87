//! RGB picture → pixel tensors of the CLIP and the SAM branch.

use crate::photo_frame::{ClipMode, PhotoFrame};
use crate::resize::{Canvas, Filter, Window, resize, resize_window};
use image::RgbImage;

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

/// SAM's input of one photograph.
#[derive(Debug, Clone)]
pub struct SamInput {
    /// `[size, size, 3]`, row-major: the resized photograph at the upper left, black elsewhere.
    pub rgb: Vec<u8>,
    /// `[3, size, size]`, the same normalised and channel-major; the padding is zero.
    pub pixels: Vec<f32>,
    /// Where the photograph lies.
    pub frame: PhotoFrame,
}

/// CLIP's input, normalised.
///
/// # Shapes
/// - image: of `frame.photo_size`
/// - output: `[3, clip_size, clip_size]`, channel-major
pub fn clip_pixels(image: &RgbImage, frame: &PhotoFrame) -> Vec<f32> {
    let size = frame.clip_size;
    let square = match frame.clip_mode {
        ClipMode::Pad => padded(image, size),
        ClipMode::Crop => cropped(image, size),
    };
    let mut pixels = vec![0.0; 3 * size as usize * size as usize];
    normalise(&square, size, &mut pixels, |value, channel| {
        (value * (1.0 / 255.0) - CLIP_MEAN[channel]) / CLIP_STD[channel]
    });
    pixels
}

/// SAM's input: longer side to `frame.sam_size`, normalised, then padded at the right and the bottom.
///
/// # Shapes
/// - image: of `frame.photo_size`
pub fn sam_input(image: &RgbImage, frame: &PhotoFrame) -> SamInput {
    let size = frame.sam_size;
    let (width, height) = frame.sam_resized();
    let resized = resize(image, width, height, Filter::Bilinear);
    let n_cells = size as usize * size as usize;
    let mut pixels = vec![0.0; 3 * n_cells];
    normalise(&resized, size, &mut pixels, |value, channel| {
        (value - SAM_MEAN[channel]) / SAM_STD[channel]
    });
    let mut rgb = vec![0; 3 * n_cells];
    let rows = rgb.chunks_exact_mut((3 * size as usize).max(1));
    for (square, row) in rows.zip(resized.chunks_exact((3 * width as usize).max(1))) {
        square[..row.len()].copy_from_slice(row);
    }
    SamInput {
        rgb,
        pixels,
        frame: *frame,
    }
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
