//! The patch-similarity prior as the model's branches take it: what training and inference share.

use crate::pixels::{ClipMode, SAM_MEAN, SAM_STD, SamFrame};
use crate::similarity::{
    Channel, Reference, ReferenceBank, SimilarityConfig, SimilarityMap, self_similarity,
    similarity_against,
};

/// Brings the prior's range to about ±3, where a network's first layer is comfortable.
const SCALE: f32 = 0.25;

/// The prior of one photograph.
#[derive(Debug, Clone)]
pub struct Prior {
    map: SimilarityMap,
    frame: SamFrame,
}

impl Prior {
    /// Channels of [`Self::for_clip`].
    pub const CLIP_CHANNELS: usize = SimilarityMap::CHANNELS;

    /// Measures a photograph within SAM's square against itself.
    ///
    /// # Shapes
    /// - sam_pixels: `[3, frame.size, frame.size]`, as [`crate::sam_pixels`] gives them
    pub fn new(sam_pixels: &[f32], frame: &SamFrame) -> Self {
        let size = frame.size as usize;
        let rgb = bytes(sam_pixels, frame);
        Self {
            map: self_similarity(&rgb, size, size, valid(frame), &config(frame)),
            frame: *frame,
        }
    }

    /// Measures a photograph within SAM's square against photographs of good parts and against
    /// itself ([`ReferenceBank`] says how the two are joined), on the scale of [`Self::new`].
    ///
    /// # Shapes
    /// As for [`Self::new`]; the references are of the same size.
    pub fn against(sam_pixels: &[f32], frame: &SamFrame, bank: &ReferenceBank) -> Self {
        let size = frame.size as usize;
        let rgb = bytes(sam_pixels, frame);
        Self {
            map: similarity_against(&rgb, size, size, valid(frame), bank),
            frame: *frame,
        }
    }

    /// The fused map over SAM's square: the dense mask prompt.
    ///
    /// # Shapes
    /// - output: `[side, side]`, row-major; zero means as usual as the picture's typical cell
    pub fn for_sam(&self, side: u32) -> Vec<f32> {
        let side = side as usize;
        let taps = axis(side, self.map.width, Some);
        let downs = axis(side, self.map.height, Some);
        self.sample(Channel::Fused, &taps, &downs)
    }

    /// All channels over CLIP's square, where the photograph lies elsewhere; zero outside it.
    ///
    /// # Shapes
    /// - output: `[CLIP_CHANNELS, side, side]`, row-major
    pub fn for_clip(&self, side: u32, mode: ClipMode) -> Vec<f32> {
        let side = side as usize;
        let (width, height) = (self.frame.original.0 as f32, self.frame.original.1 as f32);
        let longest = width.max(height).max(1.0);
        let square = match mode {
            ClipMode::Pad => longest,
            ClipMode::Crop => width.min(height).max(1.0),
        };
        // From a share of CLIP's square to a share of SAM's.
        let within = |length: f32| {
            move |at: f32| {
                let pixel = at * square + (length - square) / 2.0;
                (0.0..length.max(1.0))
                    .contains(&pixel)
                    .then_some(pixel / longest)
            }
        };
        let taps = axis(side, self.map.width, within(width));
        let downs = axis(side, self.map.height, within(height));
        Channel::ALL
            .iter()
            .flat_map(|channel| self.sample(*channel, &taps, &downs))
            .collect()
    }

    fn sample(
        &self,
        channel: Channel,
        taps: &[Option<LinearTap>],
        downs: &[Option<LinearTap>],
    ) -> Vec<f32> {
        let cells = self.map.channel(channel);
        let width = self.map.width;
        let value = |tap: &LinearTap, row: usize| {
            let (a, b) = (cells[row * width + tap.low], cells[row * width + tap.high]);
            a + (b - a) * tap.share
        };
        let mut values = Vec::with_capacity(taps.len() * downs.len());
        for down in downs {
            values.extend(taps.iter().map(|tap| match (tap, down) {
                (Some(tap), Some(down)) => {
                    let (top, bottom) = (value(tap, down.low), value(tap, down.high));
                    SCALE * (top + (bottom - top) * down.share)
                }
                _ => 0.0,
            }));
        }
        values
    }
}

impl Reference {
    /// Describes a photograph of a good part for [`Prior::against`].
    ///
    /// # Shapes
    /// As for [`Prior::new`].
    pub fn of_photo(sam_pixels: &[f32], frame: &SamFrame) -> Self {
        let size = frame.size as usize;
        let rgb = bytes(sam_pixels, frame);
        Self::new(&rgb, size, size, valid(frame), &config(frame))
    }
}

/// The square as RGB; too short where the pixels are, which leaves the map zero.
fn bytes(sam_pixels: &[f32], frame: &SamFrame) -> Vec<u8> {
    let area = (frame.size as usize).pow(2);
    let mut rgb = vec![0_u8; 3 * area.min(sam_pixels.len() / 3)];
    for (channel, plane) in sam_pixels.chunks_exact(area.max(1)).take(3).enumerate() {
        for (pixel, value) in plane.iter().enumerate() {
            let byte = value * SAM_STD[channel] + SAM_MEAN[channel];
            rgb[3 * pixel + channel] = byte.round().clamp(0.0, 255.0) as u8;
        }
    }
    rgb
}

/// Cells stay 8 pixels at 256, so that the grid and the cost do not grow with the input.
fn config(frame: &SamFrame) -> SimilarityConfig {
    SimilarityConfig {
        cell: (frame.size as usize / 32).max(1),
        ..SimilarityConfig::default()
    }
}

/// Width and height of the photograph within the square.
fn valid(frame: &SamFrame) -> (usize, usize) {
    (frame.resized.0 as usize, frame.resized.1 as usize)
}

/// Two neighbouring cells and how far between them a sample lies.
struct LinearTap {
    low: usize,
    high: usize,
    share: f32,
}

/// Bilinear taps of `side` samples over `n` cells. `place` moves a share of the output to a share
/// of the cells, or outside of them.
fn axis(side: usize, n: usize, place: impl Fn(f32) -> Option<f32>) -> Vec<Option<LinearTap>> {
    (0..side)
        .map(|i| {
            let share = place((i as f32 + 0.5) / side as f32)?;
            let last = n.checked_sub(1)?;
            let at = (share * n as f32 - 0.5).clamp(0.0, last as f32);
            let low = at as usize;
            Some(LinearTap {
                low,
                high: (low + 1).min(last),
                share: at - low as f32,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::sam_pixels;
    use image::{Rgb, RgbImage};

    /// A fine checkerboard with a red spot at (48, 16) of 64 × 32 pixels.
    fn photo() -> RgbImage {
        RgbImage::from_fn(64, 32, |x, y| {
            if x.abs_diff(48) < 4 && y.abs_diff(16) < 4 {
                Rgb([250, 10, 10])
            } else if (x / 2 + y / 2) % 2 == 0 {
                Rgb([90, 90, 90])
            } else {
                Rgb([140, 140, 140])
            }
        })
    }

    fn peak(map: &[f32], side: usize) -> (usize, usize) {
        let highest = (0..map.len()).max_by(|a, b| map[*a].total_cmp(&map[*b]));
        highest.map_or((0, 0), |at| (at % side, at / side))
    }

    fn prior() -> Prior {
        let (pixels, frame) = sam_pixels(&photo(), 256);
        Prior::new(&pixels, &frame)
    }

    #[test]
    fn both_branches_see_the_spot_where_the_photograph_lies() {
        let prior = prior();
        // SAM: top left of the square. CLIP: centred, so a quarter lower.
        let (x, y) = peak(&prior.for_sam(64), 64);
        assert!(x.abs_diff(48) <= 2 && y.abs_diff(16) <= 2, "{x}, {y}");
        let fused = &prior.for_clip(64, ClipMode::Pad)[3 * 64 * 64..];
        let (x, y) = peak(fused, 64);
        assert!(x.abs_diff(48) <= 2 && y.abs_diff(32) <= 2, "{x}, {y}");
        assert!(fused[..64 * 15].iter().all(|v| *v == 0.0));
        // The centre square begins at x = 16.
        let cropped = &prior.for_clip(64, ClipMode::Crop)[3 * 64 * 64..];
        let (x, y) = peak(cropped, 64);
        assert!(x.abs_diff(62) <= 3 && y.abs_diff(32) <= 4, "{x}, {y}");
    }

    #[test]
    fn pixels_that_are_missing_give_zeros() {
        let frame = SamFrame::new(64, 32, 256);
        let prior = Prior::new(&[], &frame);
        assert!(prior.for_sam(8).iter().all(|v| *v == 0.0));
        assert_eq!(prior.for_clip(4, ClipMode::Pad).len(), 4 * 16);
    }

    #[test]
    fn what_a_reference_shows_is_excused() {
        let (pixels, frame) = sam_pixels(&photo(), 256);
        let bank = ReferenceBank::new(&[Reference::of_photo(&pixels, &frame)]);
        let bank = bank.unwrap_or_else(|| panic!("a photograph has cells"));
        let alone = prior().for_sam(64);
        let against = Prior::against(&pixels, &frame, &bank).for_sam(64);
        let spot = 64 * 16 + 48;
        assert!(
            against[spot] < 0.0 && alone[spot] > 0.5,
            "{}",
            against[spot]
        );
        assert!(ReferenceBank::new(&[Reference::of_photo(&[], &frame)]).is_none());
    }
}
