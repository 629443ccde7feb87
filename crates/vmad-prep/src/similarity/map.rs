//! The maps of a picture.

/// One map of a [`SimilarityMap`]; the discriminant is its index in `data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// ln(distance / the image's median distance), in [-2, 4]; 0 is typical of this image.
    Relative = 0,
    /// ln(distance per √axis) in whitened units, in [-3, 3]; comparable across images.
    Absolute = 1,
    /// ln of the outlier factor, in [-2, 3]; 0 is as rare as its nearest cells.
    Factor = 2,
    /// Absolute + weight · Factor, smoothed over 3×3 cells: the map to use on its own.
    Fused = 3,
}

impl Channel {
    /// All channels in the order of [`SimilarityMap::data`].
    pub const ALL: [Self; 4] = [Self::Relative, Self::Absolute, Self::Factor, Self::Fused];
}

/// The prior of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct SimilarityMap {
    /// Columns of cells: image width / cell, rounded up, padding included.
    pub width: usize,
    /// Rows of cells: image height / cell, rounded up, padding included.
    pub height: usize,
    /// `[Channel::ALL.len(), height, width]`, row-major and always finite. Cells of padding hold
    /// the median of their channel's other cells.
    pub data: Vec<f32>,
    /// Columns and rows of cells that hold image, not padding.
    pub valid: (usize, usize),
}

impl SimilarityMap {
    /// Number of channels in `data`.
    pub const CHANNELS: usize = Channel::ALL.len();

    /// One channel, `[height, width]` row-major.
    pub fn channel(&self, channel: Channel) -> &[f32] {
        let n = self.width * self.height;
        self.data
            .get(channel as usize * n..(channel as usize + 1) * n)
            .unwrap_or(&[])
    }

    /// Image score: mean of [`Channel::Fused`] over its top 1 % of cells (at least one), less half
    /// the 90th percentile of [`Channel::Absolute`], a measure of how textured the whole picture is.
    /// Higher is more anomalous; 0 for an empty map.
    pub fn score(&self) -> f32 {
        let mut top = self.descending(Channel::Fused);
        let absolute = self.descending(Channel::Absolute);
        top.truncate((top.len() / 100).max(1));
        let busy = absolute.get(absolute.len() / 10).unwrap_or(&0.0);
        top.iter().sum::<f32>() / top.len().max(1) as f32 - 0.5 * busy
    }

    /// The cells of a channel that are not padding, highest first.
    fn descending(&self, channel: Channel) -> Vec<f32> {
        let (columns, rows) = self.valid;
        let lines = self.channel(channel).chunks(self.width.max(1)).take(rows);
        let mut cells: Vec<f32> = lines
            .flat_map(|line| line.iter().take(columns).copied())
            .collect();
        cells.sort_unstable_by(|a, b| b.total_cmp(a));
        cells
    }
}
