//! Products in 16-bit integers, for WebAssembly: registers of 128 bits, no fused multiply-add.
//!
//! A block's weights are integers. Its activations are rounded to 16-bit integers with a scale of their own, an error of
//! 2⁻¹⁶ of the largest of the 32 (int8 weights have 2⁻⁸). One instruction then multiplies eight pairs and adds neighbours
//! exactly, where floats need four: twice the rate.

use vmad_quant::BLOCK;
use wide::{f32x4, i16x8, i32x4, i32x8};

use super::packed::Packed;
use crate::weight::QuantKind;

/// Up to this many tokens, decoding a row once per token is cheaper than writing it out.
const DOT_TOKENS: usize = 3;

/// Tokens that [`multiply`] takes together.
const TOKENS: usize = 4;

/// Rows that [`multiply`] takes together: two registers of results for each token.
const ROWS: usize = 8;

/// Neighbouring columns of a block, which one lane of 32 bits holds.
const PAIRS: usize = BLOCK / 2;

/// Decoded rows that are alive at a time, in bytes: a share of a second-level cache.
const TILE_BYTES: usize = 128 * 1024;

/// The largest integer that an activation becomes.
const LARGEST: f32 = i16::MAX as f32;

/// Blocks without a larger activation count as zero: the inverse of their scale would overflow.
const NOTHING: f32 = 1e-30;

/// x · Wᵀ of activations `[tokens, cols]` into `out`, `[tokens, rows]`.
pub(super) fn matmul(weight: &Packed, x: &[f32], out: &mut [f32]) {
    if x.len() / weight.cols <= DOT_TOKENS {
        few(weight, x, out);
    } else {
        many(weight, x, out);
    }
}

/// Rounds a block to integers and a scale. With a value that is not finite the scale is NaN, so that results are NaN.
#[inline]
fn round(x: &[f32; BLOCK]) -> ([i16; BLOCK], f32) {
    let x: [f32x4; BLOCK / 4] = bytemuck::cast(*x);
    // Without their sign, floats order like their bits; infinity and NaN are the largest.
    let bits = x.map(|x| bytemuck::cast::<f32x4, i32x4>(x.abs()));
    let most = bits.into_iter().fold(i32x4::ZERO, i32x4::max).to_array();
    let most = most.into_iter().fold(0, i32::max);
    let largest = f32::from_bits(most.cast_unsigned());
    if !largest.is_finite() {
        return ([0; BLOCK], f32::NAN);
    }
    if largest < NOTHING {
        return ([0; BLOCK], 0.0);
    }
    let inverse = f32x4::splat(LARGEST / largest);
    let integers: [i32x8; BLOCK / 8] = bytemuck::cast(x.map(|x| (x * inverse).fast_round_int()));
    let integers = bytemuck::cast(integers.map(i16x8::from_i32x8_saturate));
    (integers, largest / LARGEST)
}

/// The blocks of one token; the last one is padded with zeros.
fn blocks(x: &[f32]) -> impl Iterator<Item = ([i16; BLOCK], f32)> {
    let (whole, rest) = x.as_chunks::<BLOCK>();
    let mut padded = [0.0; BLOCK];
    padded[..rest.len()].copy_from_slice(rest);
    let last = (!rest.is_empty()).then(|| round(&padded));
    whole.iter().map(round).chain(last)
}

/// A few tokens: one dot product per row and token.
fn few(weight: &Packed, x: &[f32], out: &mut [f32]) {
    let tokens = x.chunks_exact(weight.cols);
    for (x, out) in tokens.zip(out.chunks_exact_mut(weight.rows)) {
        let registers = |x| bytemuck::cast::<_, [i16x8; 4]>(arranged(weight.kind, &x));
        let (x, scales): (Vec<_>, Vec<_>) =
            blocks(x).map(|(x, scale)| (registers(x), scale)).unzip();
        match weight.kind {
            QuantKind::Q8 => dot_rows(weight, &x, &scales, out, spread_q8),
            QuantKind::Q4 => dot_rows(weight, &x, &scales, out, spread_q4),
        }
    }
}

/// A block in the order in which [`spread_q8`] or [`spread_q4`] returns the weights.
fn arranged(kind: QuantKind, x: &[i16; BLOCK]) -> [i16; BLOCK] {
    match kind {
        QuantKind::Q8 => std::array::from_fn(|i| x[16 * (i / 16) + 2 * (i % 8) + i / 8 % 2]),
        QuantKind::Q4 => std::array::from_fn(|i| x[4 * (i % 8) + i / 8]),
    }
}

#[inline(always)]
fn dot_rows<const WORDS: usize>(
    weight: &Packed,
    x: &[[i16x8; 4]],
    scales: &[f32],
    out: &mut [f32],
    spread: impl Fn(&[u32; WORDS]) -> [i16x8; 4],
) {
    for (row, out) in out.iter_mut().enumerate() {
        let mut total = f32x4::ZERO;
        let words = weight.row(row).as_chunks::<WORDS>().0;
        for (i, ((words, x), scale)) in words.iter().zip(x).zip(scales).enumerate() {
            let w = spread(words);
            let sum = (w[0].dot(x[0]) + w[1].dot(x[1])) + (w[2].dot(x[2]) + w[3].dot(x[3]));
            let scale = scale * weight.scale(row * weight.blocks + i);
            total += sum.round_float() * f32x4::splat(scale);
        }
        *out = total.reduce_add();
    }
}

/// The even columns, then the odd ones, of each half of a block.
#[inline(always)]
fn spread_q8(words: &[u32; 8]) -> [i16x8; 4] {
    let [low, high]: [i16x8; 2] = bytemuck::cast(*words);
    [(low << 8) >> 8, low >> 8, (high << 8) >> 8, high >> 8]
}

/// Columns 0, 4, 8, …, then 1, 5, 9, …, and so on.
#[inline(always)]
fn spread_q4(words: &[u32; 4]) -> [i16x8; 4] {
    let nibbles: i16x8 = bytemuck::cast(*words);
    let of = |shift: u32| ((nibbles >> shift) & i16x8::splat(15)) - i16x8::splat(8);
    [of(0), of(4), of(8), of(12)]
}

/// Many tokens: decodes a tile of rows, multiplies it, and decodes the next in its place.
fn many(weight: &Packed, x: &[f32], out: &mut [f32]) {
    let tokens = x.len() / weight.cols;
    let (n_blocks, n_pairs) = (weight.blocks, weight.blocks * PAIRS);
    let mut x_pairs = vec![[0i32; TOKENS]; tokens.div_ceil(TOKENS) * n_pairs];
    let mut x_scales = vec![[0f32; TOKENS]; tokens.div_ceil(TOKENS) * n_blocks];
    for (token, x) in x.chunks_exact(weight.cols).enumerate() {
        let (group, lane) = (token / TOKENS, token % TOKENS);
        let pairs = x_pairs[group * n_pairs..].as_chunks_mut::<PAIRS>().0;
        let scales = &mut x_scales[group * n_blocks..];
        for (((x, scale), to), scale_to) in blocks(x).zip(pairs).zip(scales) {
            let x: [i32; PAIRS] = bytemuck::cast(x);
            for (pair, to) in x.into_iter().zip(to) {
                to[lane] = pair;
            }
            scale_to[lane] = scale;
        }
    }

    let bytes_per_panel = n_pairs * size_of::<[i32; ROWS]>();
    let most = (TILE_BYTES / bytes_per_panel).max(1) * ROWS;
    let n_panels = most.min(weight.rows).div_ceil(ROWS);
    let mut w_pairs = vec![[i16x8::ZERO; 2]; n_panels * n_pairs];
    let mut w_scales = vec![[f32x4::ZERO; 2]; n_panels * n_blocks];
    for first in (0..weight.rows).step_by(most) {
        let n_rows = most.min(weight.rows - first);
        for row in 0..n_rows {
            let (panel, lane) = (row / ROWS, row % ROWS);
            let pairs = bytemuck::cast_slice_mut(&mut w_pairs[panel * n_pairs..][..n_pairs]);
            let scales = bytemuck::cast_slice_mut(&mut w_scales[panel * n_blocks..][..n_blocks]);
            decode(weight, first + row, pairs, scales, lane);
        }
        let groups = x_pairs
            .chunks_exact(n_pairs)
            .zip(x_scales.chunks_exact(n_blocks));
        for ((x, x_scales), out) in groups.zip(out.chunks_mut(TOKENS * weight.rows)) {
            let panels = w_pairs
                .chunks_exact(n_pairs)
                .zip(w_scales.chunks_exact(n_blocks));
            for (panel, (w, w_scales)) in panels.take(n_rows.div_ceil(ROWS)).enumerate() {
                let made: [[f32; ROWS]; TOKENS] =
                    bytemuck::cast(multiply(x, x_scales, w, w_scales));
                let n = ROWS.min(n_rows - panel * ROWS);
                for (made, out) in made.iter().zip(out.chunks_exact_mut(weight.rows)) {
                    out[first + panel * ROWS..][..n].copy_from_slice(&made[..n]);
                }
            }
        }
    }
}

/// Decodes one row into one lane of its panel.
fn decode(
    weight: &Packed,
    row: usize,
    pairs: &mut [[i32; ROWS]],
    scales: &mut [[f32; ROWS]],
    lane: usize,
) {
    let words = weight.row(row);
    let pairs = pairs.as_chunks_mut::<PAIRS>().0;
    match weight.kind {
        QuantKind::Q8 => {
            for (words, to) in words.as_chunks().0.iter().zip(pairs) {
                put_q8(words, to, lane);
            }
        }
        QuantKind::Q4 => {
            for (words, to) in words.as_chunks().0.iter().zip(pairs) {
                put_q4(words, to, lane);
            }
        }
    }
    for (i, scale) in scales.iter_mut().enumerate() {
        scale[lane] = weight.scale(row * weight.blocks + i);
    }
}

/// Writes the pairs of an int8 block to one lane. A word of 32 bits has two.
#[inline(always)]
fn put_q8(words: &[u32; 8], to: &mut [[i32; ROWS]; PAIRS], lane: usize) {
    let words: [i32x4; 2] = bytemuck::cast(*words);
    for (words, to) in words.into_iter().zip(to.as_chunks_mut::<{ PAIRS / 2 }>().0) {
        let first = pair((words << 24) >> 24, (words << 16) >> 24).to_array();
        let second = pair((words << 8) >> 24, words >> 24).to_array();
        for i in 0..4 {
            to[2 * i][lane] = first[i];
            to[2 * i + 1][lane] = second[i];
        }
    }
}

/// Writes the pairs of an int4 block to one lane. A word has four.
#[inline(always)]
fn put_q4(words: &[u32; 4], to: &mut [[i32; ROWS]; PAIRS], lane: usize) {
    let words: i32x4 = bytemuck::cast(*words);
    let nibble = |shift: u32| (words >> shift) & i32x4::splat(15);
    let of = |shift| {
        let both: i16x8 = bytemuck::cast(pair(nibble(shift), nibble(shift + 4)));
        bytemuck::cast::<i16x8, [i32; 4]>(both - i16x8::splat(8))
    };
    let pairs = [of(0), of(8), of(16), of(24)];
    for (i, to) in to.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        for (to, pairs) in to.iter_mut().zip(&pairs) {
            to[lane] = pairs[i];
        }
    }
}

/// Two 16-bit integers in a lane of 32 bits, the second in the upper half.
#[inline(always)]
fn pair(low: i32x4, high: i32x4) -> i32x4 {
    (low & i32x4::splat(0xffff)) | (high << 16)
}

/// Four tokens times eight rows. Sums of a block are exact: 32 · 128 · 32767 is less than 2³¹.
#[inline(never)]
fn multiply(
    x: &[[i32; TOKENS]],
    x_scales: &[[f32; TOKENS]],
    w: &[[i16x8; 2]],
    w_scales: &[[f32x4; 2]],
) -> [[f32x4; 2]; TOKENS] {
    let mut total = [[f32x4::ZERO; 2]; TOKENS];
    let (x, w) = (x.as_chunks::<PAIRS>().0, w.as_chunks::<PAIRS>().0);
    for (((x, w), x_scale), w_scale) in x.iter().zip(w).zip(x_scales).zip(w_scales) {
        let mut sum = [[i32x4::ZERO; 2]; TOKENS];
        for (x, w) in x.iter().zip(w) {
            for (x, sum) in x.iter().zip(&mut sum) {
                let x: i16x8 = bytemuck::cast(i32x4::splat(*x));
                sum[0] += x.dot(w[0]);
                sum[1] += x.dot(w[1]);
            }
        }
        for ((total, sum), scale) in total.iter_mut().zip(sum).zip(x_scale) {
            for ((total, sum), w_scale) in total.iter_mut().zip(sum).zip(w_scale) {
                *total += sum.round_float() * (f32x4::splat(*scale) * *w_scale);
            }
        }
    }
    total
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use half::f16;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use vmad_quant::{matmul_q4, matmul_q8, quantize_q4, quantize_q8};

    use super::*;

    /// Rows, columns, tokens: around the sizes of panels, tiles and blocks, and the switch to row by row.
    const SHAPES: &[[usize; 3]] = &[
        [1, 1, 1],
        [7, 31, 2],
        [9, 33, 3],
        [8, 32, 4],
        [17, 100, 5],
        [130, 257, 9],
        [66, 96, 131],
        [40, 4096, 6],
    ];

    /// Relative to the root of the sum of squares of the terms: activations are rounded at random by up to 2⁻¹⁶ of the
    /// largest of a block, and the error of a sum stays below six standard deviations.
    const TOLERANCE: f32 = 6.0 / 65536.0;

    fn halves(scales: &[f16]) -> Vec<u32> {
        let half = |s: &f16| u32::from(s.to_bits());
        let word = |pair: &[f16]| half(&pair[0]) | pair.get(1).map_or(0, half) << 16;
        scales.chunks(2).map(word).collect()
    }

    fn product(
        kind: QuantKind,
        [rows, cols]: [usize; 2],
        values: &[f32],
        x: &[f32],
    ) -> [Vec<f32>; 2] {
        let (words, scales, expected) = match kind {
            QuantKind::Q8 => {
                let w = quantize_q8(values, rows, cols).unwrap();
                let words = bytemuck::pod_collect_to_vec(w.values());
                (words, halves(w.scales()), matmul_q8(x, &w).unwrap())
            }
            QuantKind::Q4 => {
                let w = quantize_q4(values, rows, cols).unwrap();
                (
                    w.words().to_vec(),
                    halves(w.scales()),
                    matmul_q4(x, &w).unwrap(),
                )
            }
        };
        let weight = Packed {
            kind,
            words: &words,
            scales: &scales,
            rows,
            cols,
            blocks: cols.div_ceil(BLOCK),
        };
        let mut made = vec![f32::NAN; x.len() / cols * rows];
        matmul(&weight, x, &mut made);
        [made, expected]
    }

    #[test]
    fn integers_multiply_as_floats_do() {
        let mut rng = StdRng::seed_from_u64(11);
        for &[rows, cols, tokens] in SHAPES {
            for kind in [QuantKind::Q8, QuantKind::Q4] {
                let mut numbers = |n: usize| -> Vec<f32> {
                    (0..n).map(|_| rng.random_range(-2.0..2.0)).collect()
                };
                let (w, x) = (numbers(rows * cols), numbers(tokens * cols));
                let [made, expected] = product(kind, [rows, cols], &w, &x);
                let spread = 2.0 * 2.0 * (cols as f32).sqrt();
                for (i, (made, expected)) in made.iter().zip(&expected).enumerate() {
                    let close = (made - expected).abs() <= TOLERANCE * spread;
                    assert!(
                        close,
                        "{rows}×{cols}, {tokens} tokens, {kind:?}: element {i} is {made}, should be {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_largest_integers_do_not_overflow() {
        let (w, x) = (vec![1.0; 8 * 64], vec![-3e4; 5 * 64]);
        let [made, expected] = product(QuantKind::Q8, [8, 64], &w, &x);
        for (made, expected) in made.iter().zip(&expected) {
            assert!((made / expected - 1.0).abs() < 1e-6, "{made}, {expected}");
        }
    }

    #[test]
    fn blocks_of_tiny_values_give_zero() {
        for value in [0.0, 1e-40, -1e-38] {
            for tokens in [1, 5] {
                let [made, _] = product(
                    QuantKind::Q8,
                    [3, 40],
                    &[1.0; 120],
                    &vec![value; tokens * 40],
                );
                assert!(made.iter().all(|y| y.abs() < 1e-36), "{made:?}");
            }
        }
    }

    #[test]
    fn values_that_are_not_finite_make_nan() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for tokens in [1, 5] {
                let mut x = vec![0.5; tokens * 40];
                x[35] = value;
                let [made, _] = product(QuantKind::Q4, [3, 40], &[1.0; 120], &x);
                assert!(made[..3].iter().all(|y| !y.is_finite()), "{made:?}");
                assert!(made[3..].iter().all(|y| y.is_finite()), "{made:?}");
            }
        }
    }
}
