//! Anomaly map → pictures for people.
//!
//! The colour scale is the same for every picture: 0 is black, 1 is pale yellow. It is never
//! stretched to the picture's own range, so a normal part stays dark instead of glowing.

use image::{GrayImage, ImageBuffer, ImageEncoder, PixelWithColorType, Rgb, RgbImage};

use crate::PrepError;
use crate::mask::expect_len;

/// Perceptually even colours from 0 to 1 in equal steps (the "inferno" scale in nine anchors).
pub const COLOUR_ANCHORS: [[u8; 3]; 9] = [
    [0, 0, 4],
    [31, 12, 72],
    [85, 15, 109],
    [136, 34, 106],
    [186, 54, 85],
    [227, 89, 51],
    [249, 140, 10],
    [249, 201, 50],
    [252, 255, 164],
];

/// Opacity of the heat map over the photograph where the map is 1.
const MAX_OPACITY: f32 = 0.75;
/// Colour of the line around what lies above the threshold; cyan occurs nowhere in the scale.
const OUTLINE: [u8; 3] = [0, 229, 255];

/// Colour of an anomaly value; values outside 0–1 are clamped, NaN counts as 0.
pub fn colour(value: f32) -> [u8; 3] {
    let steps = (COLOUR_ANCHORS.len() - 1) as f32;
    let position = value.clamp(0.0, 1.0) * steps;
    // `as` turns NaN into 0.
    let below = (position as usize).min(COLOUR_ANCHORS.len() - 2);
    let fraction = if position.is_nan() {
        0.0
    } else {
        position - below as f32
    };
    let (from, to) = (COLOUR_ANCHORS[below], COLOUR_ANCHORS[below + 1]);
    std::array::from_fn(|channel| mix(from[channel], to[channel], fraction))
}

fn mix(from: u8, to: u8, fraction: f32) -> u8 {
    let (from, to) = (f32::from(from), f32::from(to));
    (from + (to - from) * fraction + 0.5) as u8
}

fn colour_table() -> Vec<[u8; 3]> {
    (0..=255)
        .map(|level| colour(level as f32 / 255.0))
        .collect()
}

fn level(value: f32) -> usize {
    (value.clamp(0.0, 1.0) * 255.0 + 0.5) as usize
}

/// The map in colours.
///
/// # Shapes
/// - map: `[height, width]`, 0–1
pub fn heatmap_rgb(map: &[f32], width: u32, height: u32) -> Result<RgbImage, PrepError> {
    expect_len("heat map", map, width, height)?;
    let table = colour_table();
    let mut picture = RgbImage::new(width, height);
    for (pixel, &value) in picture.pixels_mut().zip(map) {
        pixel.0 = table[level(value)];
    }
    Ok(picture)
}

/// White where the map exceeds `threshold`, black elsewhere.
///
/// # Shapes
/// - map: `[height, width]`, 0–1
pub fn mask_gray(
    map: &[f32],
    width: u32,
    height: u32,
    threshold: f32,
) -> Result<GrayImage, PrepError> {
    expect_len("mask", map, width, height)?;
    let mut picture = GrayImage::new(width, height);
    for (pixel, &value) in picture.pixels_mut().zip(map) {
        pixel.0 = [if value > threshold { 255 } else { 0 }];
    }
    Ok(picture)
}

/// The photograph with the heat map over it, the more opaque the higher its value, and a line
/// around what exceeds `threshold`.
///
/// # Shapes
/// - map: `[height of photo, width of photo]`, 0–1
pub fn overlay_rgb(photo: &RgbImage, map: &[f32], threshold: f32) -> Result<RgbImage, PrepError> {
    let (width, height) = photo.dimensions();
    expect_len("overlay", map, width, height)?;
    let table = colour_table();
    let mut picture = photo.clone();
    for (pixel, &value) in picture.pixels_mut().zip(map) {
        let level = level(value);
        let opacity = MAX_OPACITY * level as f32 / 255.0;
        let over = table[level];
        pixel.0 = std::array::from_fn(|channel| mix(pixel.0[channel], over[channel], opacity));
    }
    draw_outline(&mut picture, map, threshold);
    Ok(picture)
}

/// The photograph with a line around what exceeds `threshold`, and nothing else.
///
/// # Shapes
/// - map: `[height of photo, width of photo]`, 0–1
pub fn outline_rgb(photo: &RgbImage, map: &[f32], threshold: f32) -> Result<RgbImage, PrepError> {
    let (width, height) = photo.dimensions();
    expect_len("outline", map, width, height)?;
    let mut picture = photo.clone();
    draw_outline(&mut picture, map, threshold);
    Ok(picture)
}

/// Marks the pixels above `threshold` that lie within the line's width of one that is not.
fn draw_outline(picture: &mut RgbImage, map: &[f32], threshold: f32) {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let line = (width.max(height) / 400).max(1);
    let above = |x: usize, y: usize| map[y * width + x] > threshold;
    for y in 0..height {
        for x in 0..width {
            if !above(x, y) {
                continue;
            }
            let (left, right) = (x.checked_sub(line), x + line);
            let (up, down) = (y.checked_sub(line), y + line);
            // Outside the picture counts as above: no line along the picture's own edge.
            let edge = left.is_some_and(|x| !above(x, y))
                || (right < width && !above(right, y))
                || up.is_some_and(|y| !above(x, y))
                || (down < height && !above(x, down));
            if edge {
                picture.put_pixel(x as u32, y as u32, Rgb(OUTLINE));
            }
        }
    }
}

/// A PNG file of an 8-bit picture.
pub fn encode_png<P>(picture: &ImageBuffer<P, Vec<u8>>) -> Result<Vec<u8>, PrepError>
where
    P: PixelWithColorType<Subpixel = u8>,
{
    let mut bytes = Vec::new();
    let color: image::ExtendedColorType = P::COLOR_TYPE;
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(picture.as_raw(), picture.width(), picture.height(), color)
        .map_err(|error| PrepError::Encode {
            message: error.to_string(),
        })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_run_from_black_to_pale_yellow_and_survive_nan() {
        for (value, expected) in [
            (0.0, [0, 0, 4]),
            (0.5, [186, 54, 85]),
            (1.0, [252, 255, 164]),
            (-3.0, [0, 0, 4]),
            (7.0, [252, 255, 164]),
            (f32::NAN, [0, 0, 4]),
        ] {
            assert_eq!(colour(value), expected, "colour of {value}");
        }
    }

    #[test]
    fn a_low_map_leaves_the_photograph_nearly_alone() -> Result<(), PrepError> {
        let photo = RgbImage::from_pixel(7, 5, Rgb([200, 180, 160]));
        let picture = overlay_rgb(&photo, &[0.05; 35], 0.5)?;
        for (before, after) in photo.iter().zip(picture.iter()) {
            assert!(before.abs_diff(*after) <= 8, "{before} became {after}");
        }
        Ok(())
    }

    #[test]
    fn the_outline_follows_the_threshold() -> Result<(), PrepError> {
        let photo = RgbImage::new(5, 5);
        let mut map = vec![0.0; 25];
        map[12] = 0.9;
        let picture = overlay_rgb(&photo, &map, 0.5)?;
        assert_eq!(picture.get_pixel(2, 2).0, OUTLINE);
        assert_eq!(picture.get_pixel(1, 2).0, [0, 0, 0]);
        let picture = outline_rgb(&photo, &map, 0.5)?;
        let marked = picture.pixels().filter(|pixel| pixel.0 == OUTLINE).count();
        assert_eq!((picture.get_pixel(2, 2).0, marked), (OUTLINE, 1));
        assert_eq!(
            mask_gray(&map, 5, 5, 0.5)?
                .iter()
                .filter(|&&v| v == 255)
                .count(),
            1
        );
        Ok(())
    }

    #[test]
    fn png_round_trip_and_wrong_size() -> Result<(), PrepError> {
        let picture = heatmap_rgb(&[0.0, 0.3, 0.7, 1.0, 0.2, 0.9], 3, 2)?;
        let back = crate::decode(&encode_png(&picture)?, &crate::Limits::default())?;
        assert_eq!(back, picture);
        assert!(matches!(
            heatmap_rgb(&[0.0; 5], 3, 2),
            Err(PrepError::MapSize {
                expected: 6,
                actual: 5,
                ..
            })
        ));
        Ok(())
    }
}
