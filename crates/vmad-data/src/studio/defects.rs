//! Defects painted onto any photograph: nothing is known of it but its pixels.
//!
//! A painter draws what an inspector would see: vector outlines, blending in linear light, warps and
//! copies of other places. How strong it comes out is then fitted to the place, and the mask is read
//! from the difference to the photograph before.

mod lines;
mod pieces;
mod print;
mod relief;
mod surface;

use image::{GrayImage, RgbImage};

use super::clean_up;
use super::defect_canvas::DefectCanvas;
use super::picture::{Layer, Picture};
use crate::defect::{Defect, DefectKind};
use crate::math::Rng;

/// A photograph differs noticeably from another where a channel differs by more than this many of
/// 255 levels. Outside of its mask, a defect changes nothing by more.
pub const NOTICEABLE: u8 = 12;
/// Smallest area of a painted defect as a fraction of the picture.
pub const MIN_PAINTED_AREA: f32 = 0.0015;
/// Largest area of a painted defect as a fraction of the picture.
pub const MAX_PAINTED_AREA: f32 = 0.08;

/// Places that are tried before a kind is given up.
const ATTEMPTS: u32 = 60;
/// Attempts after which less contrast will do.
const PATIENCE: u32 = 36;

/// A photograph with a defect.
pub(crate) struct DefectiveImage {
    pub image: RgbImage,
    pub defect: Defect,
}

/// Paints one defect of a kind; nothing where no place on the photograph can bear it.
///
/// `product` limits it to where the layer is 1.
pub(crate) fn add_defect(
    clean: &RgbImage,
    product: Option<&Layer>,
    kind: DefectKind,
    rng: &mut Rng,
) -> Option<DefectiveImage> {
    let before = Picture::of(clean);
    (0..ATTEMPTS).find_map(|attempt| {
        let mut canvas = DefectCanvas::new(&before, product, rng);
        let spot = paint(&mut canvas, kind)?;
        let unit = canvas.unit;
        // Among coarse texture only what is stronger is seen, colour and shape less so than lines.
        let share = match kind {
            DefectKind::Scratch | DefectKind::Crack | DefectKind::Hole | DefectKind::Chip => 0.9,
            DefectKind::Dent | DefectKind::Bubble | DefectKind::Discolouration => 0.25,
            _ => 0.5,
        };
        let texture = before.spread(spot, 14.0 * unit);
        let patience = if attempt < PATIENCE { 1.0 } else { 0.75 };
        let least = (0.11 + share * texture).min(0.30) * patience;
        let wanted = Strength {
            least,
            most: canvas.rng.range(least + 0.10, least + 0.36),
        };
        let after = canvas.picture;
        fit_strength(clean, &before, after, kind, &wanted, unit)
    })
}

/// Draws a kind at a place of its choice, and says where.
fn paint(canvas: &mut DefectCanvas<'_>, kind: DefectKind) -> Option<super::picture::Spot> {
    match kind {
        DefectKind::Scratch => lines::scratch(canvas),
        DefectKind::Crack => lines::crack(canvas),
        DefectKind::Cut => lines::cut(canvas),
        DefectKind::Stain => surface::stain(canvas),
        DefectKind::Discolouration => surface::discolouration(canvas),
        DefectKind::Rust => surface::rust(canvas),
        DefectKind::Burn => surface::burn(canvas),
        DefectKind::Abrasion => surface::abrasion(canvas),
        DefectKind::Dent => relief::dent(canvas),
        DefectKind::Bubble => relief::bubble(canvas),
        DefectKind::Hole => pieces::hole(canvas),
        DefectKind::Chip => pieces::chip(canvas),
        DefectKind::Burr => pieces::burr(canvas),
        DefectKind::Contamination => pieces::contamination(canvas),
        DefectKind::Misprint => print::misprint(canvas),
    }
}

/// Bounds of the typical difference of a defect, in display values 0..1.
struct Strength {
    least: f32,
    most: f32,
}

/// Fits the strength, and cuts picture and mask to what is noticeable.
fn fit_strength(
    clean: &RgbImage,
    before: &Picture,
    mut after: Picture,
    kind: DefectKind,
    wanted: &Strength,
    unit: f32,
) -> Option<DefectiveImage> {
    let natural = typical(&differences(clean, &after.expose()))?;
    // A faded opening, or a foreign piece one can look through, would be something else.
    let can_fade = matches!(
        kind,
        DefectKind::Scratch
            | DefectKind::Stain
            | DefectKind::Dent
            | DefectKind::Discolouration
            | DefectKind::Bubble
            | DefectKind::Abrasion
    );
    let gain = if natural > wanted.most && can_fade {
        (wanted.most / natural).max(0.3)
    } else {
        (1.1 * wanted.least / natural).clamp(1.0, 1.3)
    };
    for (a, b) in after.pixels.iter_mut().zip(&before.pixels) {
        *a = [0, 1, 2].map(|k| (b[k] + gain * (a[k] - b[k])).clamp(0.0, 1.0));
    }
    let mut image = after.expose();
    let changed = differences(clean, &image);
    let radius = match kind {
        DefectKind::Dent | DefectKind::Bubble | DefectKind::Abrasion | DefectKind::Chip => 3.0,
        DefectKind::Stain | DefectKind::Burn | DefectKind::Discolouration => 2.5,
        DefectKind::Hole | DefectKind::Rust | DefectKind::Cut => 2.0,
        _ => 1.0,
    };
    let hit: Vec<bool> = changed.iter().map(|d| *d > NOTICEABLE).collect();
    let hit = clean_up::clean(&hit, before.width, radius * unit);

    for ((pixel, original), (hit, d)) in image
        .pixels_mut()
        .zip(clean.pixels())
        .zip(hit.iter().zip(&changed))
    {
        if !hit && *d > NOTICEABLE {
            *pixel = *original;
        }
    }
    let inside: Vec<u8> = changed
        .iter()
        .zip(&hit)
        .filter(|(_, hit)| **hit)
        .map(|(d, _)| *d)
        .collect();
    let area = inside.len() as f32 / hit.len() as f32;
    let contrast = typical(&inside)?;
    if !(MIN_PAINTED_AREA..=MAX_PAINTED_AREA).contains(&area) || contrast < wanted.least {
        return None;
    }
    let values = hit.iter().map(|h| if *h { 255 } else { 0 }).collect();
    let mask = GrayImage::from_raw(clean.width(), clean.height(), values)?;
    let defect = Defect::measured(kind, mask, contrast)?;
    Some(DefectiveImage { image, defect })
}

/// Largest channel difference of each pixel, in levels.
fn differences(a: &RgbImage, b: &RgbImage) -> Vec<u8> {
    let of = |(a, b): (&image::Rgb<u8>, &image::Rgb<u8>)| {
        let d = [0, 1, 2].map(|k| a.0[k].abs_diff(b.0[k]));
        d[0].max(d[1]).max(d[2])
    };
    a.pixels().zip(b.pixels()).map(of).collect()
}

/// Median of the noticeable differences, in 0..1; nothing where there is none.
fn typical(differences: &[u8]) -> Option<f32> {
    let mut noticeable: Vec<u8> = differences
        .iter()
        .copied()
        .filter(|d| *d > NOTICEABLE)
        .collect();
    if noticeable.is_empty() {
        return None;
    }
    let middle = noticeable.len() / 2;
    let (_, median, _) = noticeable.select_nth_unstable(middle);
    Some(f32::from(*median) / 255.0)
}
