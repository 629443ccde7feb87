//! Opening photographs and masks, and what to do with those that cannot be read.

use super::folder::{io, read_at_most};
use super::record::Record;
use crate::error::DataError;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageReader, RgbImage};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use vmad_prep::{Limits, PrepError, decode};

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

fn bad_photo(path: &Path) -> impl FnOnce(PrepError) -> DataError + '_ {
    move |source| DataError::Photo {
        path: path.to_owned(),
        source,
    }
}

fn bad_image(path: &Path) -> impl Fn(image::ImageError) -> DataError + '_ {
    move |source| DataError::Image {
        path: path.to_owned(),
        source,
    }
}

fn open(path: &Path) -> Result<ImageReader<BufReader<File>>, DataError> {
    let file = File::open(path).map_err(io(path))?;
    ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(io(path))
}

/// Width and height of a picture as [`decode`] would turn it, from its header.
pub(super) fn upright_size(path: &Path) -> Result<(u32, u32), DataError> {
    let mut decoder = open(path)?.into_decoder().map_err(bad_image(path))?;
    let (width, height) = decoder.dimensions();
    let limit = Limits::default().pixels;
    if u64::from(width) * u64::from(height) > limit {
        return Err(bad_photo(path)(PrepError::TooLarge {
            width,
            height,
            limit,
        }));
    }
    // As for decoding, a damaged EXIF block must not cost the picture.
    let turned = decoder.orientation().is_ok_and(swaps_sides);
    Ok(if turned {
        (height, width)
    } else {
        (width, height)
    })
}

fn swaps_sides(orientation: image::metadata::Orientation) -> bool {
    use image::metadata::Orientation as O;
    matches!(
        orientation,
        O::Rotate90 | O::Rotate270 | O::Rotate90FlipH | O::Rotate270FlipH
    )
}

/// Reads a mask for a photograph of the given width and height: 255 where any colour is not black.
pub(super) fn read_mask(path: &Path, photo: (u32, u32)) -> Result<GrayImage, DataError> {
    let mut decoder = open(path)?.into_decoder().map_err(bad_image(path))?;
    let size = decoder.dimensions();
    // Before anything is allocated; photographs are limited in size.
    if size != photo {
        return Err(DataError::MaskSize {
            path: path.to_owned(),
            mask: size,
            image: photo,
        });
    }
    let n_pixels = u64::from(size.0) * u64::from(size.1);
    let mut limits = image::Limits::no_limits();
    // As for photographs: 16 bytes a pixel, as much again for the decoder.
    limits.max_alloc = Some(n_pixels.saturating_mul(32).saturating_add(64 << 20));
    decoder.set_limits(limits).map_err(bad_image(path))?;
    let image = DynamicImage::from_decoder(decoder).map_err(bad_image(path))?;
    let on = |is_on: bool| image::Luma([if is_on { 255 } else { 0 }]);
    Ok(match image {
        DynamicImage::ImageLuma8(mut mask) => {
            mask.pixels_mut()
                .for_each(|pixel| *pixel = on(pixel.0[0] != 0));
            mask
        }
        // 16 bits keep every value that another depth may have, down to 1.
        other => {
            let deep = other.into_rgb16();
            GrayImage::from_fn(size.0, size.1, |x, y| on(deep.get_pixel(x, y).0 != [0; 3]))
        }
    })
}
