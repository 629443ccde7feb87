//! The patch-similarity prior in the form of the model's inputs, for training and inference.

use crate::photo_frame::{LinearTap, PhotoFrame};
use crate::pixels::SamInput;
use crate::similarity::{
    Channel, Reference, ReferenceBank, SimilarityConfig, SimilarityMap, self_similarity,
    similarity_against,
};

/// Scales the prior to about ±3, a usual range for a network's input.
const SCALE: f32 = 0.25;

/// The prior of one photograph.
#[derive(Debug, Clone)]
pub struct Prior {
    map: SimilarityMap,
    frame: PhotoFrame,
}

impl Prior {
    /// Channels of [`Self::for_clip`].
    pub const CLIP_CHANNELS: usize = SimilarityMap::CHANNELS;

    /// Compares the cells of a photograph with each other.
    pub fn new(input: &SamInput) -> Self {
        let frame = input.frame;
        let size = frame.sam_size as usize;
        Self {
            map: self_similarity(&input.rgb, size, size, valid(&frame), &config(&frame)),
            frame,
        }
    }

    /// Compares the cells of a photograph with those of photographs of good parts and with each other
    /// ([`ReferenceBank`] says how the two are joined), on the scale of [`Self::new`].
    ///
    /// The references have the same `sam_size`.
    pub fn against(input: &SamInput, bank: &ReferenceBank) -> Self {
        let frame = input.frame;
        let size = frame.sam_size as usize;
        Self {
            map: similarity_against(&input.rgb, size, size, valid(&frame), bank),
            frame,
        }
    }

    /// The fused map over SAM's square: the dense mask prompt.
    ///
    /// # Shapes
    /// - output: `[side, side]`, row-major; zero is typical of the picture
    pub fn for_sam(&self, side: u32) -> Vec<f32> {
        let side = side as usize;
        let centres = || (0..side).map(|i| Some((i as f32 + 0.5) / side as f32));
        let columns = linear_taps(centres(), self.map.width);
        let rows = linear_taps(centres(), self.map.height);
        self.sample(Channel::Fused, &columns, &rows)
    }

    /// All channels over CLIP's square; zero outside of the photograph.
    ///
    /// # Shapes
    /// - output: `[CLIP_CHANNELS, side, side]`, row-major
    pub fn for_clip(&self, side: u32) -> Vec<f32> {
        let side = side as usize;
        let (x, y) = (self.frame.x(), self.frame.y());
        let columns = linear_taps(x.sam_shares_of_clip_cells(side), self.map.width);
        let rows = linear_taps(y.sam_shares_of_clip_cells(side), self.map.height);
        Channel::ALL
            .iter()
            .flat_map(|channel| self.sample(*channel, &columns, &rows))
            .collect()
    }

    /// One channel at `columns` × `rows`; zero where a tap is `None`.
    fn sample(
        &self,
        channel: Channel,
        columns: &[Option<LinearTap>],
        rows: &[Option<LinearTap>],
    ) -> Vec<f32> {
        let cells = self.map.channel(channel);
        let width = self.map.width;
        let value = |tap: &LinearTap, row: usize| {
            let (a, b) = (cells[row * width + tap.low], cells[row * width + tap.high]);
            a + (b - a) * tap.high_weight
        };
        let mut values = Vec::with_capacity(columns.len() * rows.len());
        for row in rows {
            values.extend(columns.iter().map(|column| match (column, row) {
                (Some(column), Some(row)) => {
                    let (top, bottom) = (value(column, row.low), value(column, row.high));
                    SCALE * (top + (bottom - top) * row.high_weight)
                }
                _ => 0.0,
            }));
        }
        values
    }
}

impl Reference {
    /// Describes a photograph of a good part for [`Prior::against`].
    pub fn of_photo(input: &SamInput) -> Self {
        let (frame, size) = (&input.frame, input.frame.sam_size as usize);
        Self::new(&input.rgb, size, size, valid(frame), &config(frame))
    }
}

/// 32 cells a side whatever the input's size, so that grid and cost do not grow with it.
fn config(frame: &PhotoFrame) -> SimilarityConfig {
    SimilarityConfig {
        cell: (frame.sam_size as usize / 32).max(1),
        ..SimilarityConfig::default()
    }
}

/// Width and height of the photograph within SAM's input, pixels.
fn valid(frame: &PhotoFrame) -> (usize, usize) {
    let (width, height) = frame.sam_resized();
    (width as usize, height as usize)
}

/// Taps of samples at shares of an axis of `n` cells.
fn linear_taps(shares: impl Iterator<Item = Option<f32>>, n: usize) -> Vec<Option<LinearTap>> {
    shares.map(|share| LinearTap::at(share?, n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo_frame::ClipMode;
    use crate::pixels::{SAM_MEAN, SAM_STD, sam_input};
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

    fn input(clip_mode: ClipMode) -> SamInput {
        let frame = PhotoFrame {
            photo_size: (64, 32),
            clip_size: 112,
            clip_mode,
            sam_size: 256,
        };
        sam_input(&photo(), &frame)
    }

    #[test]
    fn both_inputs_have_the_spot_where_the_photograph_lies() {
        let prior = Prior::new(&input(ClipMode::Pad));
        // SAM: top left of the square. CLIP: centred, so a quarter lower.
        let (x, y) = peak(&prior.for_sam(64), 64);
        assert!(x.abs_diff(48) <= 2 && y.abs_diff(16) <= 2, "{x}, {y}");
        let fused = &prior.for_clip(64)[3 * 64 * 64..];
        let (x, y) = peak(fused, 64);
        assert!(x.abs_diff(48) <= 2 && y.abs_diff(32) <= 2, "{x}, {y}");
        assert!(fused[..64 * 15].iter().all(|v| *v == 0.0));
        // The centre square begins at x = 16.
        let cropped = &Prior::new(&input(ClipMode::Crop)).for_clip(64)[3 * 64 * 64..];
        let (x, y) = peak(cropped, 64);
        assert!(x.abs_diff(62) <= 3 && y.abs_diff(32) <= 4, "{x}, {y}");
    }

    #[test]
    fn bytes_are_those_of_the_normalised_pixels() {
        let SamInput { rgb, pixels, frame } = input(ClipMode::Pad);
        let (width, height) = frame.sam_resized();
        let area = 256 * 256;
        for (i, byte) in rgb.iter().enumerate() {
            let (pixel, channel) = (i / 3, i % 3);
            let value = pixels[channel * area + pixel];
            let is_photo = pixel % 256 < width as usize && pixel / 256 < height as usize;
            let expected = match is_photo {
                true => (value * SAM_STD[channel] + SAM_MEAN[channel]).round(),
                false => value,
            };
            assert_eq!(
                f32::from(*byte),
                expected,
                "pixel {pixel}, channel {channel}"
            );
        }
    }

    #[test]
    fn pixels_that_are_missing_give_zeros() {
        let input = SamInput {
            rgb: Vec::new(),
            ..input(ClipMode::Pad)
        };
        let prior = Prior::new(&input);
        assert!(prior.for_sam(8).iter().all(|v| *v == 0.0));
        assert_eq!(prior.for_clip(4).len(), 4 * 16);
        assert!(ReferenceBank::new(&[Reference::of_photo(&input)]).is_none());
    }

    #[test]
    fn a_reference_lowers_what_it_shows() {
        let input = input(ClipMode::Pad);
        let bank = ReferenceBank::new(&[Reference::of_photo(&input)]);
        let bank = bank.unwrap_or_else(|| panic!("a photograph has cells"));
        let alone = Prior::new(&input).for_sam(64);
        let against = Prior::against(&input, &bank).for_sam(64);
        let spot = 64 * 16 + 48;
        assert!(
            against[spot] < 0.0 && alone[spot] > 0.5,
            "{}",
            against[spot]
        );
    }
}
