//! Patch boxes B_k, drawn as DSCL draws them.

use image::RgbImage;
use image::imageops::crop_imm;
use rand::Rng;
use vmad_prep::resize::{Filter, resize};
use vmad_prep::{ClipMode, PhotoFrame, PixelBox, clip_pixels};

/// Area of a box, as a share of the picture's.
const AREA: (f64, f64) = (0.05, 0.6);
/// Width through height of a box.
const ASPECT: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);
/// Draws after which the centred box is taken.
const TRIES: usize = 10;

/// A box in whole pixels, within the picture that it was drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchBox {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// At least 1.
    pub width: u32,
    /// At least 1.
    pub height: u32,
}

impl PatchBox {
    /// Left, upper, right and lower edge.
    #[must_use]
    pub fn edges(&self) -> [f64; 4] {
        let (x, y) = (f64::from(self.x), f64::from(self.y));
        [x, y, x + f64::from(self.width), y + f64::from(self.height)]
    }

    /// The same place in the photograph, from SAM's input: rounded to the nearest pixel, and at least
    /// one pixel large.
    #[must_use]
    pub fn in_photograph(&self, frame: &PhotoFrame) -> Self {
        let PixelBox {
            x,
            y,
            width,
            height,
        } = frame.photo_from_sam_box(PixelBox {
            x: self.x,
            y: self.y,
            width: self.width,
            height: self.height,
        });
        Self {
            x,
            y,
            width,
            height,
        }
    }

    /// CLIP's input for the crop, resize(crop(I, B_k)) of (13): the box is stretched to the whole
    /// square, as DSCL does; its sides differ by a third at the most.
    ///
    /// # Shapes
    /// - output: `[3, size, size]`, normalised
    #[must_use]
    pub fn clip_pixels(&self, photograph: &RgbImage, size: u32) -> Vec<f32> {
        let crop = crop_imm(photograph, self.x, self.y, self.width, self.height).to_image();
        let square = resize(&crop, size, size, Filter::Bicubic);
        let frame = PhotoFrame {
            photo_size: (size, size),
            clip_size: size,
            clip_mode: ClipMode::Pad,
            sam_size: 1,
        };
        clip_pixels(&square, &frame)
    }
}

/// Draws `n` boxes for a picture of `width` × `height` pixels, in SAM's frame the unpadded part
/// ([`PhotoFrame::sam_resized`]): area uniform, aspect uniform in its logarithm, place uniform. A box
/// that does not fit is drawn anew, and after ten draws is the largest centred one of an allowed
/// aspect.
pub fn draw_boxes(rng: &mut impl Rng, (width, height): (u32, u32), n: usize) -> Vec<PatchBox> {
    (0..n).map(|_| draw_box(rng, width, height)).collect()
}

fn draw_box(rng: &mut impl Rng, width: u32, height: u32) -> PatchBox {
    let area = f64::from(width) * f64::from(height);
    for _ in 0..TRIES {
        let area = area * rng.random_range(AREA.0..=AREA.1);
        let aspect = rng.random_range(ASPECT.0.ln()..=ASPECT.1.ln()).exp();
        let w = (area * aspect).sqrt().round() as u32;
        let h = (area / aspect).sqrt().round() as u32;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            return PatchBox {
                x: rng.random_range(0..=width - w),
                y: rng.random_range(0..=height - h),
                width: w,
                height: h,
            };
        }
    }
    let (wide, high) = (f64::from(width), f64::from(height));
    let fitting = |length: f64, limit: u32| (length.round() as u32).clamp(1, limit.max(1));
    let w = fitting(wide.min(high * ASPECT.1), width);
    let h = fitting(high.min(wide / ASPECT.0), height);
    PatchBox {
        x: width.saturating_sub(w) / 2,
        y: height.saturating_sub(h) / 2,
        width: w,
        height: h,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn check(size: (u32, u32), drawn: bool) {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (width, height) = (f64::from(size.0), f64::from(size.1));
        let mut areas = Vec::new();
        for patch in draw_boxes(&mut rng, size, 500) {
            let [x0, y0, x1, y1] = patch.edges();
            assert!(
                x0 < x1 && x1 <= width && y0 < y1 && y1 <= height,
                "{patch:?} in {size:?}"
            );
            if drawn {
                // Half a pixel of rounding on each side of the box.
                let (w, h) = (x1 - x0, y1 - y0);
                let aspect = |w: f64, h: f64| w / h;
                assert!(aspect(w + 0.5, h - 0.5) >= ASPECT.0, "{patch:?}");
                assert!(aspect(w - 0.5, h + 0.5) <= ASPECT.1, "{patch:?}");
                let share = |w: f64, h: f64| w * h / (width * height);
                assert!(share(w + 0.5, h + 0.5) >= AREA.0, "{patch:?}");
                assert!(share(w - 0.5, h - 0.5) <= AREA.1, "{patch:?}");
                areas.push(share(w, h));
            }
        }
        if drawn {
            let mean = areas.iter().sum::<f64>() / areas.len() as f64;
            // Uniform in 0.05..0.6: 0.325, and 500 draws leave a deviation of 0.007.
            assert!((mean - 0.325).abs() < 0.03, "mean area {mean}");
        }
    }

    #[test]
    fn boxes_lie_inside_and_keep_area_and_aspect() {
        check((1024, 1024), true);
        check((1024, 767), true);
        check((1, 1), false);
        check((3, 200), false);
        check((511, 7), false);
    }

    #[test]
    fn what_never_fits_is_centred() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (size, expected) in [
            ((1000, 10), (493, 0, 13, 10)),
            ((9, 900), (0, 444, 9, 12)),
            ((1000, 1), (499, 0, 1, 1)),
        ] {
            let b = draw_boxes(&mut rng, size, 1)[0];
            assert_eq!((b.x, b.y, b.width, b.height), expected, "{size:?}");
        }
    }

    #[test]
    fn same_seed_same_boxes() {
        let draw = |seed| draw_boxes(&mut ChaCha8Rng::seed_from_u64(seed), (640, 480), 5);
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn the_crop_fills_clips_square() {
        let photograph =
            RgbImage::from_fn(40, 30, |x, _| image::Rgb([if x < 20 { 0 } else { 255 }; 3]));
        let patch = PatchBox {
            x: 20,
            y: 3,
            width: 16,
            height: 12,
        };
        let pixels = patch.clip_pixels(&photograph, 28);
        assert_eq!(pixels.len(), 3 * 28 * 28);
        let white = (1.0 - vmad_prep::pixels::CLIP_MEAN[0]) / vmad_prep::pixels::CLIP_STD[0];
        assert!(pixels[..28 * 28].iter().all(|v| (v - white).abs() < 1e-5));
    }
}
