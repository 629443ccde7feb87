//! Crops of a scene.

use rand::Rng;
use rand::seq::IndexedRandom;
use vmad_data::Sample;
use vmad_prep::RgbImage;

/// Share of views that lose a border, so that the model meets padding.
const BORDER_CROP_SHARE: f64 = 0.2;

/// A part of a scene, in pixels.
#[derive(Clone, Copy, Debug)]
pub struct CropWindow {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

impl CropWindow {
    /// The whole of `image`.
    pub fn whole(image: &RgbImage) -> Self {
        let (width, height) = image.dimensions();
        Self {
            x: 0,
            y: 0,
            width,
            height,
        }
    }

    /// The pixels of `image` in the window.
    pub fn crop(self, image: &RgbImage) -> RgbImage {
        image::imageops::crop_imm(image, self.x, self.y, self.width, self.height).to_image()
    }

    /// In one of five draws a window without a border on two sides, else `None`.
    pub fn without_a_border(sample: &Sample, rng: &mut impl Rng) -> Option<Self> {
        let (full_width, full_height) = sample.image.dimensions();
        let share = rng.random_range(0.55..0.95_f32);
        let is_wide = rng.random_bool(0.5);
        if !rng.random_bool(BORDER_CROP_SHARE) {
            return None;
        }
        let shorter = |length: u32| (length as f32 * share) as u32;
        let (width, height) = match is_wide {
            true => (full_width, shorter(full_height)),
            false => (shorter(full_width), full_height),
        };
        Some(Self {
            x: (full_width - width) / 2,
            y: (full_height - height) / 2,
            width,
            height,
        })
    }

    /// A square that contains a defect, not always in its middle; anywhere in a normal scene.
    pub fn around_a_defect(sample: &Sample, share: f32, rng: &mut impl Rng) -> Self {
        let (full_width, full_height) = sample.image.dimensions();
        let shorter = full_width.min(full_height);
        let side = ((shorter as f32 * share) as u32).clamp(1, shorter);
        let middle = sample.defects.choose(rng).and_then(|defect| {
            let pixels = defect.mask.enumerate_pixels();
            let marked: Vec<_> = pixels.filter(|(_, _, value)| value.0[0] > 127).collect();
            marked.choose(rng).map(|(x, y, _)| (*x, *y))
        });
        let offset = (side as f32 * 0.3) as u32;
        let start = |middle: Option<u32>, full: u32, rng: &mut dyn rand::RngCore| match middle {
            Some(at) => {
                let at = (at + rng.random_range(0..=2 * offset)).saturating_sub(offset + side / 2);
                at.min(full - side)
            }
            None => rng.random_range(0..=full - side),
        };
        Self {
            x: start(middle.map(|at| at.0), full_width, rng),
            y: start(middle.map(|at| at.1), full_height, rng),
            width: side,
            height: side,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use vmad_data::{Scenes, Split};

    use super::*;

    #[test]
    fn a_crop_contains_the_defect() {
        let world = vmad_data::Generator::new(3, Split::Train, 96);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for index in 0..24 {
            let sample = world.sample(index);
            let window = CropWindow::around_a_defect(&sample, 0.5, &mut rng);
            assert_eq!((window.width, window.height), (48, 48));
            let crop = window.crop(&sample.image);
            assert_eq!(crop.dimensions(), (48, 48), "inside the picture");
            let mask = sample.mask();
            let mask = image::imageops::crop_imm(&mask, window.x, window.y, 48, 48);
            let shows = mask.to_image().iter().any(|value| *value > 127);
            assert_eq!(shows, !sample.defects.is_empty(), "scene {index}");
        }
    }
}
