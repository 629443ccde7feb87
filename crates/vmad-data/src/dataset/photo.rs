//! Opening photographs and masks, and what to do with those that cannot be read.

use super::folder::read_at_most;
use super::image_files::bad_photo;
use super::record::Record;
use crate::error::DataError;
use image::{GrayImage, RgbImage};
use vmad_prep::{Limits, decode};

/// Largest file of a photograph or mask; decoding has its own, smaller limits.
const MAX_PHOTO_BYTES: u64 = 1 << 30;

/// What happens when a photograph or its mask cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnBadImage {
    /// The work ends with the error.
    #[default]
    Fail,
    /// The photograph is left out, and counted.
    Skip,
}

impl OnBadImage {
    /// Both, in fixed order.
    pub const ALL: [OnBadImage; 2] = [Self::Fail, Self::Skip];

    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }

    /// Finds a policy by its [`OnBadImage::name`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }
}

/// A photograph in memory.
#[derive(Clone, Debug)]
pub struct LabelledPhoto {
    /// Its pixels, upright.
    pub image: RgbImage,
    /// 255 where there is a defect, 0 elsewhere, as large as the image. Nothing for a defective
    /// photograph of which the data set has no mask.
    pub mask: Option<GrayImage>,
}

impl Record {
    /// Reads the photograph and its mask.
    ///
    /// # Errors
    /// What is wrong with one of the files.
    pub fn load(&self) -> Result<LabelledPhoto, DataError> {
        let bytes = read_at_most(&self.path, MAX_PHOTO_BYTES)?;
        let image = decode(&bytes, &Limits::default()).map_err(bad_photo(&self.path))?;
        let mask = self.mask_for(image.dimensions())?;
        Ok(LabelledPhoto { image, mask })
    }
}

/// Reads photographs under a policy for bad ones, and remembers those that were left out.
#[derive(Debug, Default)]
pub struct PhotoLoader {
    on_bad: OnBadImage,
    skipped: Vec<DataError>,
}

impl PhotoLoader {
    /// A loader that has read nothing yet.
    pub fn new(on_bad: OnBadImage) -> Self {
        Self {
            on_bad,
            skipped: Vec::new(),
        }
    }

    /// Reads a photograph; nothing if it was left out, and then the last of
    /// [`PhotoLoader::skipped`] says why.
    ///
    /// # Errors
    /// What is wrong with a bad photograph, under [`OnBadImage::Fail`].
    pub fn load(&mut self, record: &Record) -> Result<Option<LabelledPhoto>, DataError> {
        match (record.load(), self.on_bad) {
            (Ok(photo), _) => Ok(Some(photo)),
            (Err(error), OnBadImage::Fail) => Err(error),
            (Err(error), OnBadImage::Skip) => {
                self.skipped.push(error);
                Ok(None)
            }
        }
    }

    /// Reads photographs one after the other, leaving bad ones out or ending with the first.
    pub fn iter<'a>(
        &'a mut self,
        records: impl IntoIterator<Item = &'a Record> + 'a,
    ) -> impl Iterator<Item = Result<(&'a Record, LabelledPhoto), DataError>> + 'a {
        records.into_iter().filter_map(|record| {
            let loaded = self.load(record).transpose()?;
            Some(loaded.map(|photo| (record, photo)))
        })
    }

    /// Why photographs were left out; each error names its file.
    pub fn skipped(&self) -> &[DataError] {
        &self.skipped
    }

    /// How many photographs were left out, and why each; nothing where there are none.
    pub fn summary(&self) -> Option<String> {
        if self.skipped.is_empty() {
            return None;
        }
        let mut text = format!("photographs left out: {}", self.skipped.len());
        for error in &self.skipped {
            text += &format!("\n  {error}");
        }
        Some(text)
    }
}
