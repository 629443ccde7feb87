//! Uncompressed COCO run lengths: column-major, starting with a run of zeros.

use image::{GrayImage, Luma};
use serde::{Deserialize, Serialize};

/// A mask as alternating runs of zeros and ones down the columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rle {
    /// Run lengths, zeros first.
    pub counts: Vec<u32>,
    /// Height and width.
    pub size: [u32; 2],
}

/// Why run lengths cannot be a mask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RleError {
    /// Larger than any image this crate reads.
    #[error("mask of {height}×{width} is larger than 16384 a side")]
    TooLarge {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
    /// The runs do not fill the mask.
    #[error("runs add up to {sum}, the mask has {expected} pixels")]
    Length {
        /// Sum of the runs.
        sum: u64,
        /// Height times width.
        expected: u64,
    },
}

/// Largest side of a mask that is decoded.
const MAX_SIDE: u32 = 16_384;

impl Rle {
    /// Encodes the non-zero pixels of a mask.
    pub fn encode(mask: &GrayImage) -> Self {
        let (w, h) = mask.dimensions();
        let (mut counts, mut run, mut current) = (Vec::new(), 0u32, false);
        for x in 0..w {
            for y in 0..h {
                let on = mask.get_pixel(x, y).0[0] != 0;
                if on != current {
                    counts.push(run);
                    run = 0;
                    current = on;
                }
                run += 1;
            }
        }
        counts.push(run);
        Self {
            counts,
            size: [h, w],
        }
    }

    /// Checks the sizes without allocating the mask.
    pub fn validate(&self) -> Result<(), RleError> {
        let [height, width] = self.size;
        if height > MAX_SIDE || width > MAX_SIDE {
            return Err(RleError::TooLarge { height, width });
        }
        let sum: u64 = self.counts.iter().map(|c| u64::from(*c)).sum();
        let expected = u64::from(height) * u64::from(width);
        if sum != expected {
            return Err(RleError::Length { sum, expected });
        }
        Ok(())
    }

    /// Sets the covered pixels of `mask` to 255; pixels outside of `mask` are ignored.
    pub fn paint(&self, mask: &mut GrayImage) -> Result<(), RleError> {
        self.validate()?;
        let h = u64::from(self.size[0]);
        let (w_out, h_out) = mask.dimensions();
        let mut at = 0u64;
        for (k, run) in self.counts.iter().enumerate() {
            let end = at + u64::from(*run);
            if k % 2 == 1 {
                for p in at..end {
                    let (x, y) = ((p / h) as u32, (p % h) as u32);
                    if x < w_out && y < h_out {
                        mask.put_pixel(x, y, Luma([255]));
                    }
                }
            }
            at = end;
        }
        Ok(())
    }

    /// The mask, 0 or 255.
    pub fn decode(&self) -> Result<GrayImage, RleError> {
        self.validate()?;
        let mut mask = GrayImage::new(self.size[1], self.size[0]);
        self.paint(&mut mask)?;
        Ok(mask)
    }
}
