//! Mask logits → anomaly map, image score, regions.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::PrepError;
use crate::photo_frame::PhotoFrame;

pub(crate) fn expect_len(
    what: &'static str,
    values: &[f32],
    width: u32,
    height: u32,
) -> Result<(), PrepError> {
    let expected = width as usize * height as usize;
    if values.len() == expected {
        return Ok(());
    }
    Err(PrepError::MapSize {
        what,
        expected,
        actual: values.len(),
    })
}

/// Source positions of one axis of a bilinear resize with half-pixel centres
/// (`align_corners=False`), in f32 as PyTorch computes them.
struct Axis {
    /// Per output: lower source index, upper source index, weight of the upper.
    taps: Vec<(usize, usize, f32)>,
}

impl Axis {
    fn new(len_in: usize, len_out: usize, wanted: usize) -> Self {
        let scale = len_in as f32 / len_out as f32;
        let last = len_in.saturating_sub(1);
        let taps = (0..wanted)
            .map(|output| {
                let position = ((output as f32 + 0.5) * scale - 0.5).max(0.0);
                let below = (position as usize).min(last);
                (below, (below + 1).min(last), position - below as f32)
            })
            .collect();
        Self { taps }
    }
}

/// Bilinear resize of `[height_in, width_in]` along both axes.
fn resize_bilinear(map: &[f32], width_in: usize, rows: &Axis, columns: &Axis) -> Vec<f32> {
    let width = columns.taps.len();
    let mut out = vec![0.0; rows.taps.len() * width];
    if out.is_empty() || width_in == 0 {
        return out;
    }
    // Neighbouring outputs mostly share their two source rows, widened once each.
    let widen = |row: usize, into: &mut Vec<f32>| {
        let source = &map[row * width_in..(row + 1) * width_in];
        into.clear();
        into.extend(
            columns
                .taps
                .iter()
                .map(|&(left, right, t)| source[left] * (1.0 - t) + source[right] * t),
        );
    };
    let (mut upper, mut lower) = (Vec::new(), Vec::new());
    let mut held: Option<(usize, usize)> = None;
    for (row_out, &(above, below, t)) in out.chunks_exact_mut(width).zip(&rows.taps) {
        if held != Some((above, below)) {
            if held.is_some_and(|(_, held_below)| held_below == above) {
                std::mem::swap(&mut upper, &mut lower);
            } else {
                widen(above, &mut upper);
            }
            widen(below, &mut lower);
            held = Some((above, below));
        }
        for ((value, &from), &to) in row_out.iter_mut().zip(&upper).zip(&lower) {
            *value = from * (1.0 - t) + to * t;
        }
    }
    out
}

/// Mask logits at the size of the photograph: to SAM's input size, cut to the part that the
/// photograph takes there, then to the photograph. All bilinear, in f32, without antialiasing.
///
/// # Shapes
/// - logits: `[side, side]`
/// - output: `[height, width]` of the photograph
pub fn upscale_logits(
    logits: &[f32],
    side: u32,
    frame: &PhotoFrame,
) -> Result<Vec<f32>, PrepError> {
    expect_len("mask logits", logits, side, side)?;
    let (width, height) = frame.photo_size;
    if side == 0 || width == 0 || height == 0 {
        return Err(PrepError::NoPixels { width, height });
    }
    let (side, size) = (side as usize, frame.sam_size as usize);
    let (resized_width, resized_height) = frame.sam_resized();
    let (resized_width, resized_height) = (resized_width as usize, resized_height as usize);
    let in_frame = resize_bilinear(
        logits,
        side,
        &Axis::new(side, size.max(1), resized_height),
        &Axis::new(side, size.max(1), resized_width),
    );
    let (width, height) = (width as usize, height as usize);
    if (width, height) == (resized_width, resized_height) {
        return Ok(in_frame);
    }
    Ok(resize_bilinear(
        &in_frame,
        resized_width,
        &Axis::new(resized_height, height, height),
        &Axis::new(resized_width, width, width),
    ))
}

/// Anomaly map σ(logit / `temperature`), 0–1. A temperature that is not positive counts as 1.
pub fn anomaly_map(logits: &[f32], temperature: f32) -> Vec<f32> {
    let inverse = if temperature > 0.0 {
        1.0 / temperature
    } else {
        1.0
    };
    logits
        .iter()
        .map(|&logit| 1.0 / (1.0 + exp(-logit * inverse)))
        .collect()
}

/// eˣ within 2 units in the last place, for |x| cut at 87.
///
/// The library's is a call per value, which on a 12-megapixel map takes longer than the model;
/// this one vectorises, on SSE2 and wasm alike.
fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5 · 2²³ rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts; the first is exact in few bits, so that its multiples are exact too.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 87.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let power = rounded - ROUND;
    let rest = (x - power * LN2_HIGH) - power * LN2_LOW;
    // Taylor's series suffices for |rest| ≤ ln 2 / 2.
    let series = [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    let value = series.iter().fold(0.0, |sum, factor| sum * rest + factor);
    // The low bits of `rounded` hold the integer itself.
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits());
    value * f32::from_bits(exponent.wrapping_add(127) << 23)
}

/// Union of the maps of several `[SEG]` tokens: the largest value at each pixel; empty for no maps.
///
/// Takes one map at a time, so that two of them are in memory at most.
///
/// # Errors
/// The first error among the maps, or a map whose length differs from the first one's.
pub fn union_max(
    maps: impl IntoIterator<Item = Result<Vec<f32>, PrepError>>,
) -> Result<Vec<f32>, PrepError> {
    let mut maps = maps.into_iter();
    let mut union = maps.next().transpose()?.unwrap_or_default();
    for map in maps {
        let map = map?;
        if map.len() != union.len() {
            return Err(PrepError::MapSize {
                what: "one of several masks",
                expected: union.len(),
                actual: map.len(),
            });
        }
        for (value, other) in union.iter_mut().zip(map) {
            *value = value.max(other);
        }
    }
    Ok(union)
}

/// How the smoothed map becomes one score.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreMode {
    /// Its largest value.
    #[default]
    Max,
    /// The mean of its largest values; the number is their share of all pixels (0.001 = 0.1 %).
    TopK(f32),
}

/// Side of the grid on which the score is taken, as the zero-shot baselines do.
pub const SCORE_SIDE: u32 = 518;
/// Standard deviation of the smoothing on that grid, in pixels.
const SIGMA: f64 = 4.0;
/// The Gaussian is cut at four standard deviations, like SciPy's.
const RADIUS: usize = 16;

/// Anomaly score of a whole image, 0–1.
///
/// The map is brought to 518×518 (bilinear), smoothed with a Gaussian of σ = 4 pixels (mirrored
/// at the edges) and reduced as `mode` says. Values that are not numbers count as 0.
///
/// # Shapes
/// - map: `[height, width]`
pub fn image_score(
    map: &[f32],
    width: u32,
    height: u32,
    mode: ScoreMode,
) -> Result<f32, PrepError> {
    expect_len("anomaly map", map, width, height)?;
    if map.is_empty() {
        return Err(PrepError::NoPixels { width, height });
    }
    let mut smooth = smoothed(map, width, height);
    for value in &mut smooth {
        if value.is_nan() {
            *value = 0.0;
        }
    }
    Ok(match mode {
        ScoreMode::Max => smooth.iter().copied().fold(f32::NEG_INFINITY, f32::max),
        ScoreMode::TopK(share) => {
            let wanted = (smooth.len() as f64 * f64::from(share)).round() as usize;
            let wanted = wanted.clamp(1, smooth.len());
            let (larger, last, _) =
                smooth.select_nth_unstable_by(wanted - 1, |a, b| b.total_cmp(a));
            let sum: f64 = larger.iter().map(|&value| f64::from(value)).sum();
            ((sum + f64::from(*last)) / wanted as f64) as f32
        }
    })
}

/// The map at 518×518, smoothed.
fn smoothed(map: &[f32], width: u32, height: u32) -> Vec<f32> {
    let side = SCORE_SIDE as usize;
    let grid = resize_bilinear(
        map,
        width as usize,
        &Axis::new(height as usize, side, side),
        &Axis::new(width as usize, side, side),
    );
    let kernel = gaussian();
    let mut across_rows = vec![0.0f32; side * side];
    for (y, row_out) in across_rows.chunks_exact_mut(side).enumerate() {
        for (k, &weight) in kernel.iter().enumerate() {
            let row = mirrored(y + k, side);
            let row_in = &grid[row * side..(row + 1) * side];
            for (value, &add) in row_out.iter_mut().zip(row_in) {
                *value += weight * add;
            }
        }
    }
    let mut out = vec![0.0f32; side * side];
    let mut extended = vec![0.0f32; side + 2 * RADIUS];
    let rows_in = across_rows.chunks_exact(side);
    for (row_out, row_in) in out.chunks_exact_mut(side).zip(rows_in) {
        for (x, value) in extended.iter_mut().enumerate() {
            *value = row_in[mirrored(x, side)];
        }
        for (k, &weight) in kernel.iter().enumerate() {
            for (value, &add) in row_out.iter_mut().zip(&extended[k..]) {
                *value += weight * add;
            }
        }
    }
    out
}

/// Index within `0..len` of place `shifted − RADIUS`, mirrored about the outer edges
/// (`b a | a b c | c b`: SciPy's "reflect").
fn mirrored(shifted: usize, len: usize) -> usize {
    match shifted.checked_sub(RADIUS) {
        None => RADIUS - shifted - 1,
        Some(index) if index < len => index,
        Some(index) => 2 * len - 1 - index,
    }
}

fn gaussian() -> Vec<f32> {
    let raw: Vec<f64> = (0..=2 * RADIUS)
        .map(|k| {
            let distance = k as f64 - RADIUS as f64;
            (-0.5 * distance * distance / (SIGMA * SIGMA)).exp()
        })
        .collect();
    let sum: f64 = raw.iter().sum();
    raw.iter().map(|value| (value / sum) as f32).collect()
}

/// A connected part of the photograph whose anomaly value exceeds the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Left edge in pixels of the photograph.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width of the bounding box.
    pub width: u32,
    /// Height of the bounding box.
    pub height: u32,
    /// Number of pixels above the threshold.
    pub area: u32,
    /// Largest anomaly value inside.
    pub score: f32,
}

/// Most regions that are reported.
pub const MAX_REGIONS: usize = 64;
/// A region smaller than one part in so many of the picture is a speck.
const SPECK_SHARE: u64 = 20_000;

/// Connected regions (diagonals count) where the map exceeds `threshold`, highest score first.
///
/// At most [`MAX_REGIONS`]; specks below 1/20,000 of the picture are left out.
///
/// # Shapes
/// - map: `[height, width]`
pub fn regions(
    map: &[f32],
    width: u32,
    height: u32,
    threshold: f32,
) -> Result<Vec<Region>, PrepError> {
    expect_len("anomaly map", map, width, height)?;
    if map.is_empty() {
        return Ok(Vec::new());
    }
    let exceeds = |value: &f32| *value > threshold;
    let mut blobs = Blobs::default();
    let mut previous: Vec<Run> = Vec::new();
    let mut current: Vec<Run> = Vec::new();
    for (y, row) in map.chunks_exact(width as usize).enumerate() {
        current.clear();
        let mut x = 0;
        while let Some(offset) = row[x..].iter().position(exceeds) {
            let start = x + offset;
            let len = row[start..]
                .iter()
                .position(|value| !exceeds(value))
                .unwrap_or(row.len() - start);
            x = start + len;
            let score = row[start..x].iter().copied().fold(f32::MIN, f32::max);
            let blob = blobs.add(start, y, len, score);
            current.push(Run {
                start,
                end: x,
                blob,
            });
        }
        // Two runs touch when they overlap after growing one of them by a pixel at both ends.
        let mut above = previous.iter().peekable();
        for run in &current {
            while above.next_if(|upper| upper.end < run.start).is_some() {}
            let mut touching = above.clone();
            while let Some(upper) = touching.next_if(|upper| upper.start <= run.end) {
                blobs.join(upper.blob, run.blob);
            }
        }
        std::mem::swap(&mut previous, &mut current);
    }
    let smallest = (u64::from(width) * u64::from(height) / SPECK_SHARE).max(1);
    let mut found: Vec<Region> = blobs
        .roots()
        .filter(|region| u64::from(region.area) >= smallest)
        .collect();
    found.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(b.area.cmp(&a.area))
            .then_with(|| match a.y.cmp(&b.y) {
                Ordering::Equal => a.x.cmp(&b.x),
                other => other,
            })
    });
    found.truncate(MAX_REGIONS);
    Ok(found)
}

/// Consecutive pixels of one row above the threshold.
struct Run {
    start: usize,
    end: usize,
    blob: usize,
}

/// Union-find over runs; a root's region covers all that was joined to it.
#[derive(Default)]
struct Blobs {
    parents: Vec<usize>,
    regions: Vec<Region>,
}

impl Blobs {
    fn add(&mut self, x: usize, y: usize, len: usize, score: f32) -> usize {
        self.parents.push(self.parents.len());
        self.regions.push(Region {
            x: x as u32,
            y: y as u32,
            width: len as u32,
            height: 1,
            area: len as u32,
            score,
        });
        self.parents.len() - 1
    }

    fn root(&mut self, mut blob: usize) -> usize {
        while self.parents[blob] != blob {
            self.parents[blob] = self.parents[self.parents[blob]];
            blob = self.parents[blob];
        }
        blob
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        let (keep, gone) = (a.min(b), a.max(b));
        self.parents[gone] = keep;
        let other = self.regions[gone];
        let region = &mut self.regions[keep];
        let right = (region.x + region.width).max(other.x + other.width);
        let bottom = (region.y + region.height).max(other.y + other.height);
        region.x = region.x.min(other.x);
        region.y = region.y.min(other.y);
        region.width = right - region.x;
        region.height = bottom - region.y;
        region.area += other.area;
        region.score = region.score.max(other.score);
    }

    fn roots(&self) -> impl Iterator<Item = Region> {
        self.regions
            .iter()
            .enumerate()
            .filter(|&(blob, _)| self.parents[blob] == blob)
            .map(|(_, &region)| region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(x: u32, y: u32, width: u32, height: u32, area: u32, score: f32) -> Region {
        Region {
            x,
            y,
            width,
            height,
            area,
            score,
        }
    }

    fn picture(rows: &[&str]) -> (Vec<f32>, u32, u32) {
        let map = rows
            .iter()
            .flat_map(|row| row.bytes())
            .map(|byte| f32::from(byte.saturating_sub(b'0')) / 10.0)
            .collect();
        (map, rows[0].len() as u32, rows.len() as u32)
    }

    #[test]
    fn regions_join_diagonals_and_arms() -> Result<(), PrepError> {
        for (rows, expected) in [
            // Two arms of a U meet in the last row.
            (
                vec!["60007", "60006", "66666"],
                vec![region(0, 0, 5, 3, 9, 0.7)],
            ),
            // Diagonal neighbours are one region, a gap of one column separates.
            (
                vec!["60009", "06009", "00600"],
                vec![region(4, 0, 1, 2, 2, 0.9), region(0, 0, 3, 3, 3, 0.6)],
            ),
            // One run below touches two above; one above touches two below.
            (vec!["6066", "0600"], vec![region(0, 0, 4, 2, 4, 0.6)]),
            (vec!["0600", "6066"], vec![region(0, 0, 4, 2, 4, 0.6)]),
            (vec!["555"], vec![]),
            (vec!["9"], vec![region(0, 0, 1, 1, 1, 0.9)]),
        ] {
            let (map, width, height) = picture(&rows);
            assert_eq!(regions(&map, width, height, 0.5)?, expected, "{rows:?}");
        }
        Ok(())
    }

    #[test]
    fn regions_drop_specks_and_stop_at_the_cap() -> Result<(), PrepError> {
        let mut map = vec![0.0f32; 500 * 400];
        map[40_000] = 1.0;
        assert_eq!(regions(&map, 500, 400, 0.5)?, vec![], "1 of 200,000 pixels");
        for y in (0..400).step_by(20) {
            for x in (0..500).step_by(20) {
                for dy in 0..4 {
                    for dx in 0..4 {
                        map[(y + dy) * 500 + x + dx] = 0.9;
                    }
                }
            }
        }
        assert_eq!(regions(&map, 500, 400, 0.5)?.len(), MAX_REGIONS);
        Ok(())
    }

    #[test]
    fn anomaly_map_is_a_sigmoid() {
        for (logit, temperature, expected) in [
            (0.0, 1.0, 0.5),
            (2.0, 2.0, 0.731_058_6),
            (1000.0, 1.0, 1.0),
            (-1000.0, 1.0, 0.0),
            (2.0, 0.0, 0.880_797),
        ] {
            let actual = anomaly_map(&[logit], temperature)[0];
            assert!(
                (actual - expected).abs() < 1e-6,
                "{logit}/{temperature}: {actual}"
            );
        }
    }

    #[test]
    fn exp_follows_the_library() {
        for step in -8700..=8700 {
            let x = step as f32 / 100.0;
            let (actual, expected) = (f64::from(exp(x)), f64::from(x).exp());
            let off = (actual / expected - 1.0).abs();
            assert!(off < 4e-7, "exp({x}) = {actual}, expected {expected}");
        }
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn union_takes_the_largest_and_refuses_unequal_sizes() -> Result<(), PrepError> {
        let maps = [vec![0.1, 0.9], vec![0.4, 0.2]];
        assert_eq!(union_max(maps.map(Ok))?, vec![0.4, 0.9]);
        assert_eq!(union_max([])?, Vec::<f32>::new());
        assert!(union_max([Ok(vec![0.1]), Ok(vec![0.1, 0.2])]).is_err());
        assert!(
            union_max([
                Ok(vec![0.1]),
                Err(PrepError::NoPixels {
                    width: 0,
                    height: 1
                })
            ])
            .is_err()
        );
        Ok(())
    }

    #[test]
    fn scores_of_constant_and_tiny_maps() -> Result<(), PrepError> {
        for (width, height) in [(1, 1), (3, 2), (518, 518), (1, 700)] {
            let map = vec![0.25; (width * height) as usize];
            for mode in [ScoreMode::Max, ScoreMode::TopK(0.001), ScoreMode::TopK(0.0)] {
                let score = image_score(&map, width, height, mode)?;
                assert!(
                    (score - 0.25).abs() < 1e-5,
                    "{width}×{height} {mode:?}: {score}"
                );
            }
        }
        assert!(image_score(&[], 0, 0, ScoreMode::Max).is_err());
        assert_eq!(image_score(&[f32::NAN], 1, 1, ScoreMode::Max)?, 0.0);
        Ok(())
    }
}
