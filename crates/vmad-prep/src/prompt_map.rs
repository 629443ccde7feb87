//! The patch-similarity prior as SAM's dense mask prompt: what training and inference share.

use crate::pixels::{SAM_MEAN, SAM_STD, SamFrame};
use crate::similarity::{Channel, SimilarityConfig, self_similarity};

/// Brings the prior's range to about ±3, where a network's first layer is comfortable.
const SCALE: f32 = 0.25;

/// The fused similarity map of a picture, bilinearly brought to the prompt's size.
///
/// # Shapes
/// - sam_pixels: `[3, frame.size, frame.size]`, as [`crate::sam_pixels`] gives them
/// - output: `[side, side]`, row-major; zero means as usual as the picture's typical cell
pub fn prompt_map(sam_pixels: &[f32], frame: &SamFrame, side: u32) -> Vec<f32> {
    let size = frame.size as usize;
    let area = size * size;
    let side = side as usize;
    if sam_pixels.len() != 3 * area || side == 0 {
        return vec![0.0; side * side];
    }
    let mut rgb = vec![0_u8; 3 * area];
    for (channel, plane) in sam_pixels.chunks_exact(area).enumerate() {
        for (pixel, value) in plane.iter().enumerate() {
            let byte = value * SAM_STD[channel] + SAM_MEAN[channel];
            rgb[3 * pixel + channel] = byte.round().clamp(0.0, 255.0) as u8;
        }
    }
    // Cells stay 8 pixels at 256, so that the grid and the cost do not grow with the input.
    let config = SimilarityConfig {
        cell: (size / 32).max(1),
        ..SimilarityConfig::default()
    };
    let valid = (frame.resized.0 as usize, frame.resized.1 as usize);
    let map = self_similarity(&rgb, size, size, valid, &config);
    let (width, height) = (map.width, map.height);
    let cells = map.channel(Channel::Fused);
    let axis = |i: usize, n: usize| {
        let at = ((i as f32 + 0.5) * n as f32 / side as f32 - 0.5).clamp(0.0, (n - 1) as f32);
        let low = at as usize;
        (low, (low + 1).min(n - 1), at - low as f32)
    };
    let mut prompt = Vec::with_capacity(side * side);
    for row in 0..side {
        let (top, bottom, down) = axis(row, height);
        for column in 0..side {
            let (left, right, along) = axis(column, width);
            let mix = |y: usize| {
                let (a, b) = (cells[y * width + left], cells[y * width + right]);
                a + (b - a) * along
            };
            let value = mix(top) + (mix(bottom) - mix(top)) * down;
            prompt.push(SCALE * value);
        }
    }
    prompt
}
