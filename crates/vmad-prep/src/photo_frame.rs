//! Where a photograph lies in CLIP's and in SAM's square input, and the transforms between them.
//!
//! Coordinates in the photograph are pixels from its upper left corner. Coordinates in a square are
//! shares of its side, 0 to 1, so that they hold for the encoder's input, for its patches and for
//! every other grid over the same square. A transform `b_from_a` takes a place in `a` and returns
//! the same place in `b`; it does not clamp.
//!
//! CLIP's square is centred on the photograph: as large as its longer side ([`ClipMode::Pad`], with
//! padding on both sides of the shorter one) or as its shorter side ([`ClipMode::Crop`], the rest is
//! cut off). SAM's square is as large as the longer side and has the photograph in its upper left
//! corner.

use serde::{Deserialize, Serialize};

/// How a photograph that is not square becomes CLIP's square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClipMode {
    /// Centred on a square of the mean colour: nothing is lost. LLaVA-1.5's way.
    #[default]
    Pad,
    /// Shorter side to size, then the centre square: edges are lost. LISA's way.
    Crop,
}

/// One photograph in the square inputs of both encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhotoFrame {
    /// Width and height of the photograph in pixels.
    pub photo_size: (u32, u32),
    /// Side of CLIP's input in pixels.
    pub clip_size: u32,
    /// How the photograph is fitted to CLIP's square.
    pub clip_mode: ClipMode,
    /// Side of SAM's input in pixels.
    pub sam_size: u32,
}

/// One axis of a [`PhotoFrame`]. Sides of zero pixels count as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameAxis {
    /// Pixels of the photograph.
    photo: u32,
    /// Side of CLIP's square in pixels of the photograph.
    clip_square: u32,
    /// Side of SAM's square in pixels of the photograph.
    sam_square: u32,
    /// Pixels of SAM's input that the photograph takes.
    sam_resized: u32,
}

/// A box in whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelBox {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Number of columns.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
}

/// Two neighbouring cells of a grid axis and the weight of the upper one: a bilinear sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinearTap {
    /// Index of the lower cell.
    pub low: usize,
    /// Index of the upper cell; equal to `low` at the end of the axis.
    pub high: usize,
    /// Weight of the upper cell, 0 to 1; that of the lower one is the rest.
    pub high_weight: f32,
}

impl LinearTap {
    /// The sample at a share of an axis of `n` cells whose centres lie half a cell from their edges;
    /// beyond the first and the last centre it takes their value. `None` for no cells.
    #[must_use]
    pub fn at(share: f32, n: usize) -> Option<Self> {
        Some(Self::within(share, n, (0, n.checked_sub(1)?)))
    }

    /// As [`Self::at`], from the cells `first` to `last` only.
    fn within(share: f32, n: usize, (first, last): (usize, usize)) -> Self {
        let position = (share * n as f32 - 0.5).clamp(first as f32, last as f32);
        let low = position as usize;
        Self {
            low,
            high: (low + 1).min(last),
            high_weight: position.fract(),
        }
    }
}

impl PhotoFrame {
    /// The horizontal axis.
    #[must_use]
    pub fn x(&self) -> FrameAxis {
        self.axis(self.photo_size.0)
    }

    /// The vertical axis.
    #[must_use]
    pub fn y(&self) -> FrameAxis {
        self.axis(self.photo_size.1)
    }

    fn axis(&self, photo: u32) -> FrameAxis {
        let (width, height) = self.photo_size;
        let longer = width.max(height).max(1);
        FrameAxis {
            photo: photo.max(1),
            clip_square: match self.clip_mode {
                ClipMode::Pad => longer,
                ClipMode::Crop => width.min(height).max(1),
            },
            sam_square: longer,
            sam_resized: resized(photo, longer, self.sam_size),
        }
    }

    /// Width and height in pixels that the photograph takes in SAM's input, from the upper left
    /// corner, rounded as SAM's `ResizeLongestSide` does.
    ///
    /// A side that would round to nothing (20,000×1 within 256) keeps one pixel.
    #[must_use]
    pub fn sam_resized(&self) -> (u32, u32) {
        (self.x().sam_resized, self.y().sam_resized)
    }

    /// Pixel of the photograph → share of CLIP's square.
    #[must_use]
    pub fn clip_from_photo(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [self.x().clip_from_photo(x), self.y().clip_from_photo(y)]
    }

    /// Share of CLIP's square → pixel of the photograph.
    #[must_use]
    pub fn photo_from_clip(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [self.x().photo_from_clip(x), self.y().photo_from_clip(y)]
    }

    /// Pixel of the photograph → share of SAM's square.
    #[must_use]
    pub fn sam_from_photo(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [self.x().sam_from_photo(x), self.y().sam_from_photo(y)]
    }

    /// Share of SAM's square → pixel of the photograph.
    #[must_use]
    pub fn photo_from_sam(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [self.x().photo_from_sam(x), self.y().photo_from_sam(y)]
    }

    /// Pixels of SAM's input → pixels of the photograph: edges rounded to the nearest pixel, inside
    /// the photograph, and at least one pixel large.
    #[must_use]
    pub fn photo_from_sam_box(&self, sam: PixelBox) -> PixelBox {
        let (x, width) = self.x().photo_from_sam_span(sam.x, sam.width);
        let (y, height) = self.y().photo_from_sam_span(sam.y, sam.height);
        PixelBox {
            x,
            y,
            width,
            height,
        }
    }

    /// Left, upper, right and lower edge of the photograph in CLIP's input, pixels; all of the input
    /// where the photograph is cropped.
    #[must_use]
    pub fn photo_edges_in_clip(&self) -> [f64; 4] {
        let side = f64::from(self.clip_size);
        if self.clip_mode == ClipMode::Crop {
            return [0.0, 0.0, side, side];
        }
        let [(x0, x1), (y0, y1)] = [self.x(), self.y()].map(|axis| {
            let scale = side / f64::from(axis.clip_square);
            let start = f64::from(axis.clip_padding());
            (start * scale, (start + f64::from(axis.photo)) * scale)
        });
        [x0, y0, x1, y1]
    }

    /// Left, upper, right and lower edge of the photograph in SAM's input, pixels.
    #[must_use]
    pub fn photo_edges_in_sam(&self) -> [f64; 4] {
        let (width, height) = self.sam_resized();
        [0.0, 0.0, f64::from(width), f64::from(height)]
    }

    /// Row-major index of the cell, of a grid of `side`² over CLIP's square, that holds a pixel of
    /// the photograph; `None` for a pixel that is cropped away.
    #[must_use]
    pub fn clip_cell(&self, (x, y): (u32, u32), side: usize) -> Option<usize> {
        Some(self.y().clip_cell(y, side)? * side + self.x().clip_cell(x, side)?)
    }

    /// Row-major index of the cell, of a grid of `side`² over SAM's square, that holds a pixel of
    /// the photograph.
    #[must_use]
    pub fn sam_cell(&self, (x, y): (u32, u32), side: usize) -> usize {
        self.y().sam_cell(y, side) * side + self.x().sam_cell(x, side)
    }

    /// Pixels of the photograph, of which there may be fractions, that a cell of a grid of `side`²
    /// over CLIP's square covers.
    #[must_use]
    pub fn clip_cell_pixels(&self, side: usize) -> f32 {
        (self.x().clip_square as f32 / side as f32).powi(2)
    }

    /// As [`Self::clip_cell_pixels`], over SAM's square.
    #[must_use]
    pub fn sam_cell_pixels(&self, side: usize) -> f32 {
        (self.x().sam_square as f32 / side as f32).powi(2)
    }

    /// The photograph's area in cells of a grid of `n_cells` over SAM's square.
    #[must_use]
    pub fn photo_area_in_sam_cells(&self, n_cells: usize) -> f32 {
        let (width, height) = self.photo_size;
        n_cells as f32 * width.min(height) as f32 / self.x().sam_square as f32
    }

    /// For each cell of a grid of `side`² over CLIP's square, row-major: whether it shows any of the
    /// photograph.
    #[must_use]
    pub fn clip_cells_with_photo(&self, side: usize) -> Vec<bool> {
        let (x, y) = (self.x(), self.y());
        let columns: Vec<bool> = (0..side).map(|i| x.clip_cell_has_photo(i, side)).collect();
        (0..side)
            .map(|i| y.clip_cell_has_photo(i, side))
            .flat_map(|row| columns.iter().map(move |column| row && *column))
            .collect()
    }
}

impl FrameAxis {
    /// Pixel of the photograph at which CLIP's square begins; negative where padding comes first.
    fn clip_start(&self) -> f32 {
        (self.photo as f32 - self.clip_square as f32) / 2.0
    }

    /// Pixel of the photograph → share of CLIP's square.
    #[must_use]
    pub fn clip_from_photo(&self, pixel: f32) -> f32 {
        (pixel - self.clip_start()) / self.clip_square as f32
    }

    /// Share of CLIP's square → pixel of the photograph.
    #[must_use]
    pub fn photo_from_clip(&self, share: f32) -> f32 {
        share * self.clip_square as f32 + self.clip_start()
    }

    /// Pixel of the photograph → share of SAM's square.
    #[must_use]
    pub fn sam_from_photo(&self, pixel: f32) -> f32 {
        pixel / self.sam_square as f32
    }

    /// Share of SAM's square → pixel of the photograph.
    #[must_use]
    pub fn photo_from_sam(&self, share: f32) -> f32 {
        share * self.sam_square as f32
    }

    /// Pixel of the photograph → share of its side, 0 to 1; `None` outside of the photograph.
    #[must_use]
    pub fn photo_share(&self, pixel: f32) -> Option<f32> {
        let length = self.photo as f32;
        (0.0..length).contains(&pixel).then_some(pixel / length)
    }

    /// Start and length in pixels of SAM's input → start and length in pixels of the photograph.
    fn photo_from_sam_span(&self, start: u32, length: u32) -> (u32, u32) {
        let pixel = |edge: u32| {
            let edge = f64::from(edge) * f64::from(self.photo) / f64::from(self.sam_resized.max(1));
            (edge.round() as u32).min(self.photo)
        };
        let first = pixel(start).min(self.photo.saturating_sub(1));
        (first, pixel(start + length).max(first + 1) - first)
    }

    /// Whole pixels of padding before the photograph in CLIP's square; an odd margin is smaller at
    /// the left and at the top.
    fn clip_padding(&self) -> u32 {
        self.clip_square.saturating_sub(self.photo) / 2
    }

    /// Whole pixels of the photograph that are cropped away before CLIP's square.
    fn clip_cropped(&self) -> u32 {
        self.photo.saturating_sub(self.clip_square) / 2
    }

    /// Index of the cell, of `side` over CLIP's square, that holds a pixel; `None` for a pixel that
    /// is cropped away.
    fn clip_cell(&self, pixel: u32, side: usize) -> Option<usize> {
        let in_square = (pixel + self.clip_padding()).checked_sub(self.clip_cropped())?;
        let cell = in_square as usize * side / self.clip_square as usize;
        (cell < side).then_some(cell)
    }

    /// Index of the cell, of `side` over SAM's square, that holds a pixel.
    fn sam_cell(&self, pixel: u32, side: usize) -> usize {
        pixel as usize * side / self.sam_square as usize
    }

    /// Whether cell `index` of `side` over CLIP's square shows any of the photograph.
    fn clip_cell_has_photo(&self, index: usize, side: usize) -> bool {
        let edge = |i: usize| self.photo_from_clip(i as f32 / side as f32);
        edge(index) < self.photo as f32 && edge(index + 1) > 0.0
    }

    /// For the centre of each of `side` cells over SAM's square its share of the photograph, 0 to 1;
    /// `None` where the centre lies in the padding.
    pub fn photo_shares_of_sam_cells(&self, side: usize) -> impl Iterator<Item = Option<f32>> {
        let axis = *self;
        (0..side).map(move |i| axis.photo_share(axis.photo_from_sam(cell_centre(i, side))))
    }

    /// For the centre of each of `side` cells over CLIP's square its share of SAM's square; `None`
    /// where the centre lies in the padding.
    pub fn sam_shares_of_clip_cells(&self, side: usize) -> impl Iterator<Item = Option<f32>> {
        let axis = *self;
        (0..side).map(move |i| {
            let pixel = axis.photo_from_clip(cell_centre(i, side));
            axis.photo_share(pixel)?;
            Some(axis.sam_from_photo(pixel))
        })
    }

    /// Weights that resample `grid` cells over CLIP's square to `side` cells over SAM's, bilinearly.
    /// Cells of padding have none; samples outside of the photograph or of CLIP's square take none.
    ///
    /// # Shapes
    /// - output: `[side, grid]`; a row sums to 1 or to 0
    #[must_use]
    pub fn sam_from_clip_weights(&self, side: usize, grid: usize) -> Vec<f32> {
        let mut weights = vec![0.0; side * grid];
        let first = (0..grid).find(|cell| self.clip_cell_has_photo(*cell, grid));
        let last = (0..grid).rfind(|cell| self.clip_cell_has_photo(*cell, grid));
        let (Some(first), Some(last)) = (first, last) else {
            return weights;
        };
        for (i, weights) in weights.chunks_mut(grid).enumerate() {
            let pixel = self.photo_from_sam(cell_centre(i, side));
            let share = self.clip_from_photo(pixel);
            if self.photo_share(pixel).is_none() || !(0.0..1.0).contains(&share) {
                continue;
            }
            let tap = LinearTap::within(share, grid, (first, last));
            weights[tap.low] += 1.0 - tap.high_weight;
            weights[tap.high] += tap.high_weight;
        }
        weights
    }
}

/// The centre of cell `index` of `side`, as a share of the axis.
fn cell_centre(index: usize, side: usize) -> f32 {
    (index as f32 + 0.5) / side as f32
}

/// Pixels that `length` of a photograph whose longer side is `longer` takes in an input of `size`.
fn resized(length: u32, longer: u32, size: u32) -> u32 {
    let scale = f64::from(size) / f64::from(longer);
    ((f64::from(length) * scale + 0.5) as u32).clamp(1, size.max(1))
}

#[cfg(test)]
mod tests;
