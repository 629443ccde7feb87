//! A photograph of a data set as a scene to learn from.

use image::GrayImage;
use vmad_prep::resize::{Filter, resize};

use super::record::Record;
use crate::defect::{Defect, DefectKind};
use crate::error::DataError;
use crate::math::Rng;
use crate::sample::Sample;
use crate::words;

impl Record {
    /// The photograph as a scene, brought to `longest_side` pixels where it is larger. Nothing for a
    /// defective photograph of which the data set has no mask.
    ///
    /// Answers are those of the data set; where it has none they are composed, unless the kind of a
    /// defect is not known.
    ///
    /// # Errors
    /// What is wrong with one of the files.
    pub fn sample(&self, longest_side: u32) -> Result<Option<Sample>, DataError> {
        let photo = self.load()?;
        let Some(mask) = photo.mask else {
            return Ok(None);
        };
        let (width, height) = photo.image.dimensions();
        let scale = (f64::from(longest_side) / f64::from(width.max(height))).min(1.0);
        let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
        let (width, height) = (side(width), side(height));
        let mut defects = Vec::new();
        let mut all_known = true;
        for (kind, region) in self.regions(&mask)? {
            all_known &= kind.is_some();
            let region = shrunk(&region, width, height);
            let kind = kind.unwrap_or(DefectKind::Scratch);
            defects.extend(Defect::measured(kind, region, f32::NAN));
        }
        // A choice of words that is the same each time.
        let mut rng = Rng::new(self.id, 0, 0, 0);
        let qa = match (self.qa.is_empty(), all_known) {
            (false, _) => self.qa.clone(),
            (true, true) => words::answers(&self.object, &defects, &mut rng),
            (true, false) => Vec::new(),
        };
        Ok(Some(Sample {
            image: resize(&photo.image, width, height, Filter::Bilinear),
            category: self.category.clone(),
            object: self.object.clone(),
            normal_description: self.normal_description.clone(),
            defects,
            qa,
        }))
    }
}

/// A mask at another size: a pixel is in it where any pixel is that it covers, so that thin defects
/// stay.
fn shrunk(mask: &GrayImage, width: u32, height: u32) -> GrayImage {
    if mask.dimensions() == (width, height) {
        return mask.clone();
    }
    let mut small = GrayImage::new(width, height);
    let to = |at: u32, from: u32, to: u32| (u64::from(at) * u64::from(to) / u64::from(from)) as u32;
    for (x, y, pixel) in mask.enumerate_pixels() {
        if pixel.0[0] != 0 {
            let (x, y) = (to(x, mask.width(), width), to(y, mask.height(), height));
            small.put_pixel(x, y, image::Luma([255]));
        }
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thin_line_stays_when_a_mask_is_shrunk() {
        let mut mask = GrayImage::new(101, 67);
        (0..67).for_each(|y| mask.put_pixel(50, y, image::Luma([255])));
        let small = shrunk(&mask, 25, 17);
        assert_eq!(small.pixels().filter(|p| p.0[0] == 255).count(), 17);
        assert_eq!(shrunk(&mask, 101, 67), mask);
    }
}
