//! COCO run lengths: column-major, starting with a run of zeros.

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
    /// The compressed form cannot be read.
    #[error("compressed run lengths: {what} at character {at}")]
    Text {
        /// What is wrong.
        what: &'static str,
        /// Where, counted in bytes from 0.
        at: usize,
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

    /// Reads the compressed form, in which pycocotools writes run lengths as a string.
    ///
    /// A character less 48 holds five bits of a number, lowest first, and in bit 5 whether more
    /// follow; bit 4 of the last is the sign. From the fourth on a number is the difference to the
    /// run two before (`rleFrString` in the COCO API's `maskApi.c`).
    pub fn from_compressed(text: &str, size: [u32; 2]) -> Result<Self, RleError> {
        let mut counts: Vec<u32> = Vec::new();
        let (mut value, mut n_bits) = (0i64, 0u32);
        for (at, byte) in text.bytes().enumerate() {
            let wrong = |what| RleError::Text { what, at };
            let group = match byte.checked_sub(48) {
                Some(group) if group < 64 => i64::from(group),
                _ => return Err(wrong("a foreign character")),
            };
            // Seven groups hold 34 bits and a sign, more than any difference of two runs needs.
            if n_bits == 35 {
                return Err(wrong("a number without end"));
            }
            value |= (group & 0x1f) << n_bits;
            n_bits += 5;
            if group & 0x20 != 0 {
                continue;
            }
            if group & 0x10 != 0 {
                value -= 1 << n_bits;
            }
            if counts.len() > 2
                && let Some(before) = counts.iter().nth_back(1)
            {
                value += i64::from(*before);
            }
            let run = u32::try_from(value).map_err(|_| wrong("a run below 0 or above 2³²"))?;
            counts.push(run);
            (value, n_bits) = (0, 0);
        }
        if n_bits > 0 {
            return Err(RleError::Text {
                what: "a number is cut off",
                at: text.len(),
            });
        }
        Ok(Self { counts, size })
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
