//! Connected regions of a mask.

/// Label of a pixel outside every region.
pub(crate) const NO_REGION: u32 = u32::MAX;

/// 8-connected regions of a mask.
pub(crate) struct Regions {
    /// Region of each pixel, counted from 0, or [`NO_REGION`].
    pub labels: Vec<u32>,
    /// Pixels in each region.
    pub areas: Vec<u32>,
}

impl Regions {
    pub fn of(mask: &[bool], width: usize, height: usize) -> Self {
        let mut labels = vec![NO_REGION; mask.len()];
        let mut areas = Vec::new();
        let mut open = Vec::new();
        for start in 0..mask.len() {
            if !mask[start] || labels[start] != NO_REGION {
                continue;
            }
            let region = areas.len() as u32;
            let mut area = 0_u32;
            labels[start] = region;
            open.push(start);
            while let Some(pixel) = open.pop() {
                area += 1;
                let (x, y) = (pixel % width, pixel / width);
                for ny in y.saturating_sub(1)..(y + 2).min(height) {
                    for nx in x.saturating_sub(1)..(x + 2).min(width) {
                        let neighbour = ny * width + nx;
                        if mask[neighbour] && labels[neighbour] == NO_REGION {
                            labels[neighbour] = region;
                            open.push(neighbour);
                        }
                    }
                }
            }
            areas.push(area);
        }
        Self { labels, areas }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_8_connected() {
        let rows = ["#..#", ".#.#", "....", "#.##"];
        let mask: Vec<bool> = rows
            .iter()
            .flat_map(|row| row.chars().map(|c| c == '#'))
            .collect();
        let regions = Regions::of(&mask, 4, 4);
        assert_eq!(regions.areas, [2, 2, 1, 2]);
        assert_eq!(regions.labels[5], 0, "diagonal neighbours are one region");
    }
}
