//! The words for where a mask lies and how far it reaches.

use image::GrayImage;

use crate::defect::{Location, SizeWord};

/// Parts of a mask with less than this share of its area have no place of their own.
const MIN_PART: f64 = 0.1;

/// Sum of positions and number of pixels.
#[derive(Clone, Copy, Default)]
struct Mass {
    x: f64,
    y: f64,
    n: f64,
}

impl Mass {
    fn add(&mut self, x: u32, y: u32) {
        self.x += f64::from(x) + 0.5;
        self.y += f64::from(y) + 0.5;
        self.n += 1.0;
    }

    fn location(self, width: u32, height: u32) -> Location {
        let share = |sum: f64, side: u32| (sum / self.n / f64::from(side)) as f32;
        Location::of(share(self.x, width), share(self.y, height))
    }
}

impl Location {
    /// Cells in which the defect of a mask lies: the one of its centre of mass first, then those of
    /// its 8-connected parts, where a data set has one mask for several defects. Empty for an empty
    /// mask.
    #[must_use]
    pub fn all_of(mask: &GrayImage) -> Vec<Self> {
        let (width, height) = mask.dimensions();
        let parts = parts(mask);
        let mut whole = Mass::default();
        for part in &parts {
            whole.x += part.x;
            whole.y += part.y;
            whole.n += part.n;
        }
        let mut found = Vec::new();
        if whole.n == 0.0 {
            return found;
        }
        let large = parts.iter().filter(|part| part.n >= MIN_PART * whole.n);
        for mass in std::iter::once(&whole).chain(large) {
            let location = mass.location(width, height);
            if !found.contains(&location) {
                found.push(location);
            }
        }
        found
    }
}

impl SizeWord {
    /// The word for the extent of a mask; `None` for an empty one.
    #[must_use]
    pub fn of_mask(mask: &GrayImage) -> Option<Self> {
        let (mut low, mut high) = ((u32::MAX, u32::MAX), (0, 0));
        for (x, y, pixel) in mask.enumerate_pixels() {
            if pixel.0[0] != 0 {
                low = (low.0.min(x), low.1.min(y));
                high = (high.0.max(x + 1), high.1.max(y + 1));
            }
        }
        if high == (0, 0) {
            return None;
        }
        let longest = (high.0 - low.0).max(high.1 - low.1);
        let frame = mask.width().max(mask.height());
        Some(Self::of(longest as f32 / frame as f32))
    }
}

/// Masses of the 8-connected parts.
fn parts(mask: &GrayImage) -> Vec<Mass> {
    let (width, height) = mask.dimensions();
    let is_set = |x: u32, y: u32| mask.get_pixel(x, y).0[0] != 0;
    let index = |x: u32, y: u32| y as usize * width as usize + x as usize;
    let mut seen = vec![false; width as usize * height as usize];
    let mut parts = Vec::new();
    let mut open = Vec::new();
    for (x, y, _) in mask.enumerate_pixels() {
        if !is_set(x, y) || seen[index(x, y)] {
            continue;
        }
        let mut part = Mass::default();
        seen[index(x, y)] = true;
        open.push((x, y));
        while let Some((x, y)) = open.pop() {
            part.add(x, y);
            for ny in y.saturating_sub(1)..(y + 2).min(height) {
                for nx in x.saturating_sub(1)..(x + 2).min(width) {
                    if is_set(nx, ny) && !seen[index(nx, ny)] {
                        seen[index(nx, ny)] = true;
                        open.push((nx, ny));
                    }
                }
            }
        }
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Generator, Scenes, Split};
    use image::Luma;

    fn mask(width: u32, height: u32, boxes: &[[u32; 4]]) -> GrayImage {
        GrayImage::from_fn(width, height, |x, y| {
            let inside = |[left, top, right, bottom]: &[u32; 4]| {
                (*left..*right).contains(&x) && (*top..*bottom).contains(&y)
            };
            Luma([if boxes.iter().any(inside) { 255 } else { 0 }])
        })
    }

    #[test]
    fn places_and_sizes() {
        use Location::{Centre, LowerRight, UpperLeft, UpperRight};
        for (mask, places, size) in [
            (mask(30, 20, &[]), &[][..], None),
            (
                mask(30, 20, &[[0, 0, 3, 2]]),
                &[UpperLeft],
                Some(SizeWord::Small),
            ),
            // The centre of mass, and both parts.
            (
                mask(31, 21, &[[0, 0, 3, 3], [28, 18, 31, 21]]),
                &[Centre, UpperLeft, LowerRight],
                Some(SizeWord::Large),
            ),
            // A speck has no place of its own.
            (
                mask(30, 30, &[[22, 0, 30, 8], [1, 28, 2, 29]]),
                &[UpperRight],
                Some(SizeWord::Large),
            ),
            (
                mask(1, 1, &[[0, 0, 1, 1]]),
                &[Centre],
                Some(SizeWord::Large),
            ),
        ] {
            assert_eq!(Location::all_of(&mask), places);
            assert_eq!(SizeWord::of_mask(&mask), size);
        }
    }

    #[test]
    fn generated_masks_lie_where_the_generator_says() {
        let scenes = Generator::new(2, Split::Train, 64);
        for index in 0..60 {
            for defect in scenes.sample(index).defects {
                let places = Location::all_of(&defect.mask);
                assert_eq!(places.first(), Some(&defect.location), "{index}");
                assert_eq!(
                    SizeWord::of_mask(&defect.mask),
                    Some(defect.size),
                    "{index}"
                );
            }
        }
    }
}
