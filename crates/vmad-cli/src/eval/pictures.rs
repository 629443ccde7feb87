//! The photographs of a report: the best and worst of each category, small, as `data:` URLs.

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use vmad_data::Record;
use vmad_eval::{resize_map, resize_mask};
use vmad_prep::overlay::{outline_rgb, overlay_rgb};
use vmad_prep::{Limits, RgbImage, decode};

use super::photo::EvaluatedPhoto;
use crate::files::read_photo;

/// Longest side of a picture in a report.
const SIDE: u32 = 232;
const JPEG_QUALITY: u8 = 84;

/// A photograph of a report.
pub(super) struct Case {
    pub file: String,
    pub score: f32,
    /// True if the verdict by the score equals the ground truth.
    pub is_right: bool,
    pub truth: String,
    pub answer: String,
    /// Photograph, ground-truth outline, heat map overlay, as `data:` URLs.
    pub pictures: [String; 3],
}

/// The highest and lowest scores of a category, defective and normal.
#[derive(Default)]
pub(super) struct Extremes {
    slots: [Option<Case>; 4],
}

impl Extremes {
    /// Titles of the slots, right ones first.
    pub const TITLES: [&'static str; 4] = [
        "Defective, highest score",
        "Normal, lowest score",
        "Defective, lowest score",
        "Normal, highest score",
    ];

    /// Title and photograph of each slot. A class with one photograph fills only the slot that fits its verdict.
    pub fn cases(&self) -> impl Iterator<Item = (&'static str, &Case)> {
        let slots = Self::TITLES.into_iter().zip(&self.slots).enumerate();
        slots.filter_map(|(slot, (title, case))| {
            let case = case.as_ref()?;
            let other = self.slots[(slot + 2) % 4].as_ref();
            let is_alone = other.is_some_and(|other| other.file == case.file);
            let belongs = case.is_right == (slot < 2);
            (!is_alone || belongs).then_some((title, case))
        })
    }

    /// Replaces an extreme if the photograph exceeds it.
    pub fn consider(&mut self, file: &str, record: &Record, photo: &EvaluatedPhoto) -> Result<()> {
        let bad = photo.truth.is_defective;
        for (slot, wants_bad, wants_high) in [
            (0, true, true),
            (1, false, false),
            (2, true, false),
            (3, false, true),
        ] {
            let goes_beyond = self.slots[slot].as_ref().is_none_or(|kept| {
                if wants_high {
                    photo.score > kept.score
                } else {
                    photo.score < kept.score
                }
            });
            if bad == wants_bad && goes_beyond {
                self.slots[slot] = Some(case(file, record, photo)?);
            }
        }
        Ok(())
    }
}

fn case(file: &str, record: &Record, evaluated: &EvaluatedPhoto) -> Result<Case> {
    let photo = decode(&read_photo(&record.path)?, &Limits::default())
        .with_context(|| record.path.display().to_string())?;
    let (width, height) = fitted(photo.width(), photo.height());
    let photo = resize(&photo, width, height, FilterType::Triangle);
    let from = (evaluated.map.width as usize, evaluated.map.height as usize);
    let to = (width as usize, height as usize);
    let map = resize_map(&evaluated.map.values, from, to)?;
    let mask = match &evaluated.mask {
        Some(mask) => resize_mask(mask, from, to)?,
        None => vec![false; to.0 * to.1],
    };
    let mask: Vec<f32> = mask
        .into_iter()
        .map(|inside| f32::from(u8::from(inside)))
        .collect();
    let truth = if evaluated.truth.is_defective {
        let named = if evaluated.truth.kinds.is_empty() {
            "a defect".to_owned()
        } else {
            evaluated.truth.kinds.join(", ")
        };
        match &evaluated.truth.places[..] {
            [] => named,
            places => format!("{named} ({})", places.join(", ")),
        }
    } else {
        "no defect".to_owned()
    };
    Ok(Case {
        file: file.to_owned(),
        score: evaluated.score,
        is_right: (evaluated.score >= evaluated.threshold) == evaluated.truth.is_defective,
        truth,
        answer: evaluated
            .answers
            .first()
            .map(|answer| answer.text.clone())
            .unwrap_or_default(),
        pictures: [
            data_url(&photo)?,
            data_url(&outline_rgb(&photo, &mask, 0.5)?)?,
            data_url(&overlay_rgb(&photo, &map, evaluated.map_threshold)?)?,
        ],
    })
}

/// The size of a photograph in the report; small ones are not enlarged.
fn fitted(width: u32, height: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= SIDE {
        return (width, height);
    }
    let scaled = |side: u32| (u64::from(side) * u64::from(SIDE) / u64::from(longest)).max(1) as u32;
    (scaled(width), scaled(height))
}

fn data_url(picture: &RgbImage) -> Result<String> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
        .encode_image(picture)
        .context("encoding a picture of the report")?;
    Ok(format!(
        "data:image/jpeg;base64,{}",
        BASE64_STANDARD.encode(bytes)
    ))
}

#[cfg(test)]
impl Extremes {
    /// One photograph whose texts are all the same, for tests of the page.
    pub fn holding(text: &str) -> Self {
        let case = Case {
            file: text.to_owned(),
            score: 0.5,
            is_right: false,
            truth: text.to_owned(),
            answer: text.to_owned(),
            pictures: ["data:a", "data:b", "data:c"].map(str::to_owned),
        };
        Self {
            slots: [Some(case), None, None, None],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (from, to) in [
            ((64, 33), (64, 33)),
            ((464, 232), (232, 116)),
            ((1, 10_000), (1, 232)),
            ((u32::MAX, 5), (232, 1)),
        ] {
            assert_eq!(fitted(from.0, from.1), to);
        }
    }
}
