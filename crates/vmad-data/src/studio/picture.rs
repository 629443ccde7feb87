//! Photographs in linear light and coverage layers, the two things that painters work on.
//!
//! The tone curve is a plain square: near enough to sRGB for blending, and the same bits everywhere.

use image::{Rgb as Pixel, RgbImage};
use tiny_skia::{FillRule, Mask, Path, PathBuilder, Stroke, Transform};

use crate::math::{Rgb, floor, lum, mix3};

/// A point in pixels; the first pixel's centre lies at (0.5, 0.5).
pub(crate) type Spot = (f32, f32);

/// Display values 0..1 as linear light.
pub(crate) fn linear(display: Rgb) -> Rgb {
    display.map(|c| c * c)
}

/// Brightness as it is seen, 0..1, of linear light.
pub(crate) fn brightness(light: Rgb) -> f32 {
    lum(light.map(|c| c.max(0.0).sqrt()))
}

/// Width times height pixels of linear light, 0..1, row by row.
#[derive(Clone)]
pub(crate) struct Picture {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<Rgb>,
}

impl Picture {
    pub(crate) fn of(image: &RgbImage) -> Self {
        let light = |p: &Pixel<u8>| linear(p.0.map(|v| f32::from(v) / 255.0));
        Self {
            width: image.width() as usize,
            height: image.height() as usize,
            pixels: image.pixels().map(light).collect(),
        }
    }

    /// The picture as a display wants it.
    pub(crate) fn expose(&self) -> RgbImage {
        RgbImage::from_fn(self.width as u32, self.height as u32, |x, y| {
            let light = self.pixels[y as usize * self.width + x as usize];
            Pixel(light.map(|c| (c.clamp(0.0, 1.0).sqrt() * 255.0 + 0.5) as u8))
        })
    }

    /// The pixel that holds a point; beyond the border, the nearest one.
    pub(crate) fn index(&self, x: f32, y: f32) -> usize {
        let column = x.clamp(0.0, self.width as f32 - 1.0) as usize;
        let row = y.clamp(0.0, self.height as f32 - 1.0) as usize;
        row * self.width + column
    }

    /// Bilinear; beyond the border, the nearest pixel.
    pub(crate) fn sample(&self, x: f32, y: f32) -> Rgb {
        let (x, y) = (x - 0.5, y - 0.5);
        let (left, top) = (floor(x), floor(y));
        let at = |dx: f32, dy: f32| self.pixels[self.index(left + dx, top + dy)];
        let upper = mix3(at(0.0, 0.0), at(1.0, 0.0), x - left);
        let lower = mix3(at(0.0, 1.0), at(1.0, 1.0), x - left);
        mix3(upper, lower, y - top)
    }

    /// Calls `visit` for a lattice of points around a spot, 9 by 9, at most `reach` pixels away.
    fn around(&self, spot: Spot, reach: f32, mut visit: impl FnMut(Rgb)) {
        for row in -4i8..=4 {
            for column in -4i8..=4 {
                let step = reach / 4.0;
                let x = spot.0 + f32::from(column) * step;
                let y = spot.1 + f32::from(row) * step;
                visit(self.pixels[self.index(x, y)]);
            }
        }
    }

    /// Mean light around a spot.
    pub(crate) fn mean(&self, spot: Spot, reach: f32) -> Rgb {
        let mut sum = [0.0; 3];
        self.around(spot, reach, |c| sum = [0, 1, 2].map(|k| sum[k] + c[k]));
        sum.map(|s| s / 81.0)
    }

    /// Standard deviation of the brightness around a spot.
    pub(crate) fn spread(&self, spot: Spot, reach: f32) -> f32 {
        let (mut sum, mut squares) = (0.0, 0.0);
        self.around(spot, reach, |c| {
            let b = brightness(c);
            sum += b;
            squares += b * b;
        });
        let mean = sum / 81.0;
        (squares / 81.0 - mean * mean).max(0.0).sqrt()
    }
}

/// How much of each pixel is covered, 0..1, row by row.
#[derive(Clone)]
pub(crate) struct Layer {
    pub width: usize,
    pub height: usize,
    pub values: Vec<f32>,
}

impl Layer {
    pub(crate) fn empty(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            values: vec![0.0; width * height],
        }
    }

    /// The inside of the outlines; nothing for outlines without any.
    pub(crate) fn fill(width: usize, height: usize, outlines: PathBuilder) -> Self {
        Self::of(width, height, outlines.finish())
    }

    /// Lines of the same width throughout, with round ends.
    pub(crate) fn stroke(width: usize, height: usize, lines: PathBuilder, pen: f32) -> Self {
        let pen = Stroke {
            width: pen,
            line_cap: tiny_skia::LineCap::Round,
            line_join: tiny_skia::LineJoin::Round,
            ..Stroke::default()
        };
        let outline = lines.finish().and_then(|path| path.stroke(&pen, 1.0));
        Self::of(width, height, outline)
    }

    fn of(width: usize, height: usize, path: Option<Path>) -> Self {
        let mask = Mask::new(width as u32, height as u32);
        let (Some(path), Some(mut mask)) = (path, mask) else {
            return Self::empty(width, height);
        };
        mask.fill_path(&path, FillRule::Winding, true, Transform::identity());
        let values = mask.data().iter().map(|a| f32::from(*a) / 255.0).collect();
        Self {
            width,
            height,
            values,
        }
    }

    /// The value at a pixel; 0 beyond the border.
    pub(crate) fn at(&self, x: f32, y: f32) -> f32 {
        if x < 0.0 || y < 0.0 || x >= self.width as f32 || y >= self.height as f32 {
            return 0.0;
        }
        self.values[y as usize * self.width + x as usize]
    }

    /// The layer moved by whole pixels; what comes in from beyond the border is empty.
    pub(crate) fn moved(&self, dx: f32, dy: f32) -> Self {
        let mut out = Self::empty(self.width, self.height);
        for (i, value) in out.values.iter_mut().enumerate() {
            let (x, y) = ((i % self.width) as f32, (i / self.width) as f32);
            *value = self.at(floor(x - dx + 0.5), floor(y - dy + 0.5));
        }
        out
    }

    /// Each value with that of another layer of the same size.
    pub(crate) fn with(mut self, other: &Self, join: impl Fn(f32, f32) -> f32) -> Self {
        for (value, o) in self.values.iter_mut().zip(&other.values) {
            *value = join(*value, *o);
        }
        self
    }

    /// Spread by about `reach` pixels: three running means, close to a Gaussian.
    pub(crate) fn blurred(&self, reach: f32) -> Self {
        let radius = (reach * 0.5 + 0.5) as usize;
        let mut out = self.clone();
        if radius == 0 {
            return out;
        }
        let mut line = Vec::new();
        for _ in 0..3 {
            for y in 0..self.height {
                let row = y * self.width;
                smear(&mut out.values[row..], 1, self.width, radius, &mut line);
            }
            for x in 0..self.width {
                smear(
                    &mut out.values[x..],
                    self.width,
                    self.height,
                    radius,
                    &mut line,
                );
            }
        }
        out
    }
}

/// Running mean over `2 radius + 1` of `count` values that lie `stride` apart; zeros outside.
fn smear(values: &mut [f32], stride: usize, count: usize, radius: usize, line: &mut Vec<f32>) {
    line.clear();
    line.extend((0..count).map(|k| values[k * stride]));
    let share = 1.0 / (2 * radius + 1) as f32;
    let mut sum: f32 = line.iter().take(radius).sum();
    for k in 0..count {
        sum += line.get(k + radius).unwrap_or(&0.0);
        values[k * stride] = (sum * share).clamp(0.0, 1.0);
        if k >= radius {
            sum -= line[k - radius];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposure_gives_back_every_level() {
        let image = RgbImage::from_fn(17, 16, |x, y| {
            let v = (y * 17 + x).min(255) as u8;
            Pixel([v, 255 - v, v / 2])
        });
        let picture = Picture::of(&image);
        assert_eq!(picture.expose(), image);
        for (x, y) in [(0, 0), (5, 7), (16, 15)] {
            let (at, sampled) = (
                picture.pixels[y * 17 + x],
                picture.sample(x as f32 + 0.5, y as f32 + 0.5),
            );
            assert_eq!(at, sampled, "({x}, {y})");
        }
        let inside = picture.sample(-9.0, 99.0);
        assert_eq!(inside, picture.pixels[15 * 17], "beyond the border");
    }

    #[test]
    fn a_blur_spreads_and_keeps_the_sum() {
        for (width, height, reach) in [(31, 23, 4.0), (24, 40, 1.0), (9, 9, 0.0)] {
            let mut layer = Layer::empty(width, height);
            let middle = height / 2 * width + width / 2;
            layer.values[middle] = 1.0;
            let soft = layer.blurred(reach);
            let sum: f32 = soft.values.iter().sum();
            // 9 rounds of f32 means of 31 values.
            assert!((sum - 1.0).abs() < 1e-4, "{width}×{height}, {reach}: {sum}");
            assert_eq!(soft.values[middle] < 1.0, reach > 0.0);
            let (left, right) = (soft.values[middle - 1], soft.values[middle + 1]);
            assert!((left - right).abs() < 1e-6, "{left} {right}");
        }
    }
}
