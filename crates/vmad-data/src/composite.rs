//! Photographs with defects painted into them: real surfaces, real optics, exact masks.

use std::fs;
use std::path::Path;

use image::RgbImage;
use image::imageops::{self, FilterType};
use serde::Deserialize;
use vmad_prep::{Limits, decode};

use crate::dataset::folder::{io, join_inside, read_json};
use crate::defect::DefectKind;
use crate::error::DataError;
use crate::math::Rng;
use crate::sample::{Sample, Scenes, Wanted};
use crate::studio;
use crate::words;

/// File name of the table of photographs, beside them.
pub const PHOTOS: &str = "photos.json";

/// Shortest side of a photograph that is used.
const MIN_SIDE: u32 = 64;
/// Smallest crop as a share of the shorter side.
const SMALLEST_CROP: f32 = 0.45;

/// A photograph without a defect.
#[derive(Clone, Debug)]
pub struct Photo {
    /// Name in annotations, such as `brick`.
    pub name: String,
    /// What it shows, in sentences.
    pub object: String,
    /// What a normal one looks like.
    pub normal_description: String,
    /// Whether it gets defects. One that does not is there to be left alone.
    pub may_get_defects: bool,
    /// The pixels, upright.
    pub image: RgbImage,
}

/// One line of [`PHOTOS`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    file: String,
    name: String,
    object: String,
    normal_description: String,
    #[serde(default = "yes")]
    defects: bool,
}

fn yes() -> bool {
    true
}

/// Reads the photographs that a folder's [`PHOTOS`] lists: a JSON array of
/// `{file, name, object, normal_description, defects}`, where `defects: false` says that the
/// photograph is only shown as it is.
///
/// # Errors
/// Names the table, or the photograph that cannot be used.
pub fn read_photos(folder: &Path) -> Result<Vec<Photo>, DataError> {
    let table = folder.join(PHOTOS);
    let lines: Vec<Line> = read_json(&table)?;
    let invalid = |what: String| DataError::Invalid {
        path: table.clone(),
        what,
    };
    let mut photos: Vec<Photo> = Vec::with_capacity(lines.len());
    for line in lines {
        let path = join_inside(folder, &line.file)
            .ok_or_else(|| invalid(format!("path {:?} leaves the folder", line.file)))?;
        if photos.iter().any(|other| other.name == line.name) {
            return Err(invalid(format!(
                "two photographs are named {:?}",
                line.name
            )));
        }
        photos.push(Photo {
            image: open(&path)?,
            name: line.name,
            object: line.object,
            normal_description: line.normal_description,
            may_get_defects: line.defects,
        });
    }
    Ok(photos)
}

fn open(path: &Path) -> Result<RgbImage, DataError> {
    let bytes = fs::read(path).map_err(io(path))?;
    let image = decode(&bytes, &Limits::default()).map_err(|source| DataError::Photo {
        path: path.to_owned(),
        source,
    })?;
    let (width, height) = image.dimensions();
    if width.min(height) < MIN_SIDE {
        return Err(DataError::Invalid {
            path: path.to_owned(),
            what: format!("{width}×{height} is too small; {MIN_SIDE} pixels a side are needed"),
        });
    }
    Ok(image)
}

/// Views of photographs, half of them with a painted defect.
#[derive(Clone, Debug)]
pub struct Composite {
    seed: u64,
    size: u32,
    photos: Vec<Photo>,
}

impl Composite {
    /// Square views of `size` pixels (clamped to 32..=2048).
    ///
    /// # Errors
    /// [`DataError::NoPhotos`] for an empty list.
    pub fn new(seed: u64, size: u32, photos: Vec<Photo>) -> Result<Self, DataError> {
        if photos.is_empty() {
            return Err(DataError::NoPhotos);
        }
        Ok(Self {
            seed,
            size: size.clamp(32, 2048),
            photos,
        })
    }

    /// The photographs.
    pub fn photos(&self) -> &[Photo] {
        &self.photos
    }

    /// A view of one photograph. The same index gives the same view whatever is wanted, so the
    /// normal one is exactly what the others were painted on.
    pub fn sample_of(&self, photo: &Photo, wanted: Wanted, index: u64) -> Sample {
        let (seed, size) = (self.seed, u64::from(self.size));
        let mut image = view(photo, self.size, &mut Rng::new(seed, VIEW, size, index));
        let mut rng = Rng::new(seed, DEFECT, size, index);
        let defects = match wanted {
            Wanted::Normal => Vec::new(),
            Wanted::Defect(kind) => studio::add_defects(&mut image, None, kind, &mut rng),
        };
        Sample {
            qa: words::answers(&photo.object, &defects, &mut rng),
            image,
            category: photo.name.clone(),
            object: photo.object.clone(),
            normal_description: photo.normal_description.clone(),
            defects,
        }
    }
}

/// Streams of random numbers.
const CHOICE: u64 = 0x100;
const VIEW: u64 = 0x101;
const DEFECT: u64 = 0x102;

/// A crop, perhaps mirrored, under a slightly different lamp.
fn view(photo: &Photo, size: u32, rng: &mut Rng) -> RgbImage {
    let (width, height) = photo.image.dimensions();
    let shorter = width.min(height);
    let side = ((shorter as f32 * rng.range(SMALLEST_CROP, 1.0)) as u32).clamp(1, shorter);
    let x = rng.below((width - side) as usize + 1) as u32;
    let y = rng.below((height - side) as usize + 1) as u32;
    let crop = imageops::crop_imm(&photo.image, x, y, side, side).to_image();
    let mut image = imageops::resize(&crop, size, size, FilterType::CatmullRom);
    if rng.chance(0.5) {
        imageops::flip_horizontal_in_place(&mut image);
    }
    let exposure = rng.range(0.86, 1.14);
    let balance = [0, 1, 2].map(|_| exposure * (1.0 + rng.sym(0.04)));
    for pixel in image.pixels_mut() {
        for (value, gain) in pixel.0.iter_mut().zip(balance) {
            // Exposure acts on light, which the display values are about the square root of.
            let light = f32::from(*value) * f32::from(*value) * gain;
            *value = (light.sqrt() + 0.5).min(255.0) as u8;
        }
    }
    image
}

impl Scenes for Composite {
    /// Half of the views are normal; the others are of photographs that may be wants_defect.
    fn sample(&self, index: u64) -> Sample {
        let mut rng = Rng::new(self.seed, CHOICE, self.size.into(), index);
        let wants_defect = rng.chance(0.5);
        let kind = DefectKind::ALL[rng.below(DefectKind::ALL.len())];
        let fit: Vec<&Photo> = self
            .photos
            .iter()
            .filter(|photo| !wants_defect || photo.may_get_defects)
            .collect();
        let (fit, wanted) = if fit.is_empty() || !wants_defect {
            (self.photos.iter().collect(), Wanted::Normal)
        } else {
            (fit, Wanted::Defect(kind))
        };
        self.sample_of(fit[rng.below(fit.len())], wanted, index)
    }
}
