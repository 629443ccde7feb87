//! A labelled image, and the trait of the worlds that draw it.

use crate::defect::{Defect, DefectKind};
use crate::words::Qa;
use image::{GrayImage, RgbImage};

/// One image with everything that is known of it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The photograph, `size`².
    pub image: RgbImage,
    /// The product, as data sets name it, such as `metal_plate`.
    pub category: String,
    /// The product's name in sentences.
    pub object: String,
    /// What a normal product looks like.
    pub normal_description: String,
    /// None for a normal image, otherwise one or two: of the same kind in the catalogue, now and then
    /// of two kinds in the workshop.
    pub defects: Vec<Defect>,
    /// Description, impact and suggestion, in this order. Empty where the kinds of the defects are
    /// not known, as in some data sets; [`Defect::kind`] then means nothing.
    pub qa: Vec<Qa>,
}

impl Sample {
    /// The union of the defect masks, 0 or 255.
    pub fn mask(&self) -> GrayImage {
        let mut out = GrayImage::new(self.image.width(), self.image.height());
        for d in &self.defects {
            for (o, m) in out.iter_mut().zip(d.mask.iter()) {
                *o = (*o).max(*m);
            }
        }
        out
    }
}

/// What [`Generator::sample_of`] should show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// No defect.
    Normal,
    /// One or two defects of this kind.
    Defect(DefectKind),
}

/// A source of scenes: a pure function of its settings and an index.
pub trait Scenes: Sync {
    /// The scene with this index; the same bytes every time.
    fn sample(&self, index: u64) -> Sample;
}
