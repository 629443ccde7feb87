//! Headers and masks of image files.

use super::folder::io;
use crate::error::DataError;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageReader};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use vmad_prep::{Limits, PrepError};

/// Names the file of a photograph that cannot be decoded.
pub(super) fn bad_photo(path: &Path) -> impl FnOnce(PrepError) -> DataError + '_ {
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

/// Width and height of a picture as [`vmad_prep::decode`] would turn it, from its header.
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
