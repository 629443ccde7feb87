//! Antialiased resizing, bit for bit as Pillow's `Image.resize` does it on 8-bit pictures.
//!
//! The public checkpoints were trained on Pillow's pixels, and a mask decoder sees differences of
//! one grey level. Pillow resizes in two passes, rounds to 8 bits in between, and multiplies in
//! fixed point with 22 fractional bits (`libImaging/Resample.c`).

use std::ops::Range;

use image::RgbImage;

/// Interpolation kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Triangle, support 1.
    Bilinear,
    /// Keys' cubic with a = −0.5, support 2.
    Bicubic,
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

/// Part of a picture, in pixels of that picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

const PRECISION_BITS: u32 = 32 - 8 - 2;
/// One half in fixed point: sums start with it, so that the final shift rounds.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Source range and fixed-point weights of every output pixel along one axis.
struct Taps {
    /// Per output pixel: first source pixel and number of weights.
    bounds: Vec<(usize, usize)>,
    /// `[n_outputs, stride]`, unused places zero.
    weights: Vec<i32>,
    stride: usize,
}

impl Taps {
    /// Weights for outputs `wanted` of a resize from `len_in` to `len_out` pixels.
    fn new(filter: Filter, len_in: u32, len_out: u32, wanted: Range<u32>) -> Self {
        let scale = f64::from(len_in) / f64::from(len_out);
        let filter_scale = scale.max(1.0);
        let support = filter.support() * filter_scale;
        let stride = support.ceil() as usize * 2 + 1;
        let n_outputs = wanted.len();
        let mut bounds = Vec::with_capacity(n_outputs);
        let mut weights = vec![0i32; n_outputs * stride];
        let mut exact = vec![0f64; stride];
        for (output, row) in wanted.zip(weights.chunks_exact_mut(stride)) {
            let center = (f64::from(output) + 0.5) * scale;
            let first = ((center - support + 0.5) as i64).max(0);
            let end = ((center + support + 0.5) as i64).min(i64::from(len_in));
            let count = (end - first).max(0) as usize;
            let inverse = 1.0 / filter_scale;
            let mut sum = 0.0;
            for (k, value) in exact.iter_mut().take(count).enumerate() {
                *value = filter.weight(((k as i64 + first) as f64 - center + 0.5) * inverse);
                sum += *value;
            }
            for (fixed, value) in row.iter_mut().zip(exact.iter().take(count)) {
                let value = if sum == 0.0 { *value } else { *value / sum };
                let scaled = value * f64::from(1u32 << PRECISION_BITS);
                *fixed = (scaled + if value < 0.0 { -0.5 } else { 0.5 }) as i32;
            }
            bounds.push((first as usize, count.min(stride)));
        }
        Self {
            bounds,
            weights,
            stride,
        }
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.bounds
            .iter()
            .zip(self.weights.chunks_exact(self.stride))
            .map(|(&(first, count), weights)| (first, &weights[..count]))
    }

    /// Source pixels that any output needs.
    fn span(&self) -> Range<usize> {
        let first = self.bounds.first().map_or(0, |&(first, _)| first);
        let end = self
            .bounds
            .last()
            .map_or(0, |&(first, count)| first + count);
        first..end.max(first)
    }
}

/// A picture on a larger canvas of one colour, without the memory of the canvas.
#[derive(Debug, Clone, Copy)]
pub struct Canvas<'a> {
    /// The picture.
    pub image: &'a RgbImage,
    /// Columns of canvas to the left of the picture.
    pub left: u32,
    /// Rows of canvas above the picture.
    pub top: u32,
    /// Width of the canvas in pixels.
    pub width: u32,
    /// Height of the canvas in pixels.
    pub height: u32,
    /// Colour of the canvas.
    pub fill: [u8; 3],
}

impl<'a> Canvas<'a> {
    /// The picture alone.
    pub fn bare(image: &'a RgbImage) -> Self {
        Self {
            image,
            left: 0,
            top: 0,
            width: image.width(),
            height: image.height(),
            fill: [0; 3],
        }
    }

    /// The picture centred on a square of `fill`; an odd margin is smaller at the left and the top.
    pub fn centred_square(image: &'a RgbImage, fill: [u8; 3]) -> Self {
        let (width, height) = image.dimensions();
        let side = width.max(height);
        Self {
            image,
            left: (side - width) / 2,
            top: (side - height) / 2,
            width: side,
            height: side,
            fill,
        }
    }

    /// Row `y` of the canvas; `scratch` holds `width` pixels of `fill` outside the picture.
    fn row<'b>(&'b self, y: usize, scratch: &'b mut [u8]) -> Option<&'b [u8]> {
        let len = self.image.width() as usize * 3;
        let y = y.checked_sub(self.top as usize)?;
        let row = self.image.as_raw().get(y * len..(y + 1) * len)?;
        if self.width == self.image.width() {
            return Some(row);
        }
        scratch
            .get_mut(self.left as usize * 3..)?
            .get_mut(..len)?
            .copy_from_slice(row);
        Some(scratch)
    }
}

/// Resizes to `width` × `height` pixels (both at least 1, as is the source).
pub fn resize(source: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    let whole = Window {
        x: 0,
        y: 0,
        width,
        height,
    };
    resize_window(&Canvas::bare(source), width, height, whole, filter)
}

/// Resizes to `width` × `height` pixels but computes only `window` of the result.
///
/// Equal to resizing and then cropping, without the memory that the whole result of a very long
/// picture would take. A window that leaves the result is cut at its edges.
pub fn resize_window(
    source: &Canvas<'_>,
    width: u32,
    height: u32,
    window: Window,
    filter: Filter,
) -> RgbImage {
    let (width_in, height_in) = (source.width, source.height);
    let columns = window.x.min(width)..window.x.saturating_add(window.width).min(width);
    let rows = window.y.min(height)..window.y.saturating_add(window.height).min(height);
    let (n_columns, n_rows) = (columns.len(), rows.len());
    if n_columns == 0 || n_rows == 0 || width_in == 0 || height_in == 0 {
        return RgbImage::new(n_columns as u32, n_rows as u32);
    }

    // Pillow skips a pass that changes nothing. Its weights would be (1, 0), so running it gives
    // the same bytes.
    let vertical = Taps::new(filter, height_in, height, rows);
    let horizontal = Taps::new(filter, width_in, width, columns);
    // Pillow 13's rule (its pull request 9549); earlier versions always took rows first. The order
    // decides how the 8-bit intermediate rounds: very tall pictures differ by a level between them.
    let lost_rows = i64::from(height_in) - i64::from(height);
    let lost_columns = i64::from(width_in) - i64::from(width);
    let out = if lost_rows > 0 && lost_rows > 2 * lost_columns {
        columns_first(source, &vertical, &horizontal)
    } else {
        rows_first(source, &vertical, &horizontal)
    };
    RgbImage::from_raw(n_columns as u32, n_rows as u32, out)
        .unwrap_or_else(|| RgbImage::new(n_columns as u32, n_rows as u32))
}

fn rows_first(source: &Canvas<'_>, vertical: &Taps, horizontal: &Taps) -> Vec<u8> {
    let needed = vertical.span();
    let stride = horizontal.bounds.len() * 3;
    let mut middle = vec![0u8; needed.len() * stride];
    let mut scratch = source.fill.repeat(source.width as usize);
    for (row_out, y) in middle.chunks_exact_mut(stride).zip(needed.clone()) {
        match source.row(y, &mut scratch) {
            Some(row_in) => resize_row(row_in, 0, row_out, horizontal),
            // The weights sum to one: a row of one colour keeps it.
            None => {
                for pixel in row_out.chunks_exact_mut(3) {
                    pixel.copy_from_slice(&source.fill);
                }
            }
        }
    }

    let mut out = vec![0u8; vertical.bounds.len() * stride];
    let mut sums = vec![0i32; stride];
    for (row_out, (first, weights)) in out.chunks_exact_mut(stride).zip(vertical.iter()) {
        sums.fill(HALF);
        let rows = middle.chunks_exact(stride).skip(first - needed.start);
        for (row, &weight) in rows.zip(weights) {
            add_row(&mut sums, row, weight);
        }
        finish_row(row_out, &sums);
    }
    out
}

fn columns_first(source: &Canvas<'_>, vertical: &Taps, horizontal: &Taps) -> Vec<u8> {
    let needed = horizontal.span();
    let stride = horizontal.bounds.len() * 3;
    let mut out = vec![0u8; vertical.bounds.len() * stride];
    let mut middle = vec![0u8; needed.len() * 3];
    let mut sums = vec![0i32; middle.len()];
    let mut scratch = source.fill.repeat(source.width as usize);
    let empty = scratch.clone();
    for (row_out, (first, weights)) in out.chunks_exact_mut(stride).zip(vertical.iter()) {
        sums.fill(HALF);
        for (y, &weight) in (first..).zip(weights) {
            let row = source.row(y, &mut scratch).unwrap_or(&empty);
            add_row(&mut sums, &row[needed.start * 3..needed.end * 3], weight);
        }
        finish_row(&mut middle, &sums);
        resize_row(&middle, needed.start, row_out, horizontal);
    }
    out
}

fn add_row(sums: &mut [i32], row: &[u8], weight: i32) {
    for (sum, &value) in sums.iter_mut().zip(row) {
        *sum = sum.wrapping_add(i32::from(value).wrapping_mul(weight));
    }
}

fn finish_row(row: &mut [u8], sums: &[i32]) {
    for (value, &sum) in row.iter_mut().zip(sums) {
        *value = to_byte(sum);
    }
}

/// `row_in` begins at pixel `offset` of the row that `taps` refer to.
fn resize_row(row_in: &[u8], offset: usize, row_out: &mut [u8], taps: &Taps) {
    for (pixel, (first, weights)) in row_out.chunks_exact_mut(3).zip(taps.iter()) {
        let [mut red, mut green, mut blue] = [HALF; 3];
        let values = row_in[(first - offset) * 3..].chunks_exact(3);
        for (value, &weight) in values.zip(weights) {
            red = red.wrapping_add(i32::from(value[0]).wrapping_mul(weight));
            green = green.wrapping_add(i32::from(value[1]).wrapping_mul(weight));
            blue = blue.wrapping_add(i32::from(value[2]).wrapping_mul(weight));
        }
        pixel.copy_from_slice(&[to_byte(red), to_byte(green), to_byte(blue)]);
    }
}

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}
