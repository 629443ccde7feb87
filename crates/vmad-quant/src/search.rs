//! The scale of one block, searched for least squared error.

use half::f16;

use crate::BLOCK;

/// One block in quantised form.
pub(crate) struct QuantBlock {
    pub scale: f16,
    pub values: [i8; BLOCK],
}

/// Starting scales are `max / q_max / ratio`. Above 1 the largest values are
/// clipped so that the many small ones get finer steps.
const RATIOS: std::ops::RangeInclusive<u8> = 0..=20;
fn ratio(step: u8) -> f32 {
    0.8 + 0.03 * f32::from(step)
}

/// Rounds of "integers for this scale, then scale for these integers" from each start.
const REFITS: usize = 2;

/// Quantises one block; `None` when its scale would be beyond `f16`.
///
/// Every candidate is judged with the scale as stored (rounded to `f16`) and
/// the integers nearest under that scale. The plain `max / q_max` is among the
/// candidates, so the result is never worse than scaling by the maximum.
pub(crate) fn quantize_block(x: &[f32; BLOCK], q_max: i8) -> Option<QuantBlock> {
    let q_max = f32::from(q_max);
    let max_abs = x.iter().fold(0.0f32, |max, v| max.max(v.abs()));
    if max_abs == 0.0 {
        return Some(QuantBlock {
            scale: f16::ZERO,
            values: [0; BLOCK],
        });
    }
    let plain = f16::from_f32(max_abs / q_max);
    if !plain.is_finite() {
        return None;
    }
    let mut best = Candidate::new(x, plain, q_max);
    for step in RATIOS {
        let mut q = nearest(x, max_abs / q_max / ratio(step), q_max);
        for _ in 0..REFITS {
            let Some(scale) = least_squares_scale(x, &q) else {
                break;
            };
            let candidate = Candidate::new(x, scale, q_max);
            q = candidate.q;
            if candidate.error < best.error {
                best = candidate;
            }
        }
    }
    Some(QuantBlock {
        scale: best.scale,
        // The values are whole numbers within ±127, so the cast is exact.
        values: best.q.map(|q| q as i8),
    })
}

struct Candidate {
    scale: f16,
    q: [f32; BLOCK],
    error: f32,
}

impl Candidate {
    fn new(x: &[f32; BLOCK], scale: f16, q_max: f32) -> Self {
        let scale_f32 = scale.to_f32();
        let q = nearest(x, scale_f32, q_max);
        let error = lane_sum(|i| {
            let difference = x[i] - q[i] * scale_f32;
            difference * difference
        });
        Self { scale, q, error }
    }
}

/// The integers nearest to `x / scale`, clipped to ±`q_max`.
fn nearest(x: &[f32; BLOCK], scale: f32, q_max: f32) -> [f32; BLOCK] {
    // 1.5 * 2^23: adding it leaves no bits for a fraction, which rounds to
    // nearest-even. Unlike `f32::round` this vectorises on every target.
    const ROUND: f32 = 12_582_912.0;
    if scale == 0.0 {
        return [0.0; BLOCK];
    }
    x.map(|v| ((v / scale).clamp(-q_max, q_max) + ROUND) - ROUND)
}

/// The scale that minimises `Σ (x - q·scale)²`, as stored; `None` when all `q`
/// are zero or the scale is beyond `f16`.
fn least_squares_scale(x: &[f32; BLOCK], q: &[f32; BLOCK]) -> Option<f16> {
    let xq = lane_sum(|i| x[i] * q[i]);
    let qq = lane_sum(|i| q[i] * q[i]);
    if qq == 0.0 {
        return None;
    }
    let scale = f16::from_f32(xq / qq);
    scale.is_finite().then_some(scale)
}

/// `Σ term(i)` over a block, in eight independent lanes and a fixed order.
fn lane_sum(term: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0f32; 8];
    for i in 0..BLOCK {
        lanes[i % 8] += term(i);
    }
    lanes.iter().sum()
}
