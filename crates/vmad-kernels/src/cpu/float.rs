//! Products in floats, with the widest registers that the machine has.

use std::borrow::Cow;

use vmad_quant::BLOCK;

use super::packed::Packed;
#[cfg(not(target_family = "wasm"))]
use super::tensors::PARALLEL_WORK;
use crate::weight::QuantKind;

/// Decoded rows that are alive at a time on one thread, in bytes: a share of a second-level cache.
const TILE_BYTES: usize = 256 * 1024;

/// Rows of a tile below which packing the activations again costs more than the cache saves.
const MIN_TILE_ROWS: usize = 16;

/// Up to this many tokens, decoding a row once per token is cheaper than writing it out.
const DOT_TOKENS: usize = 3;

/// x · Wᵀ of activations `[tokens, cols]` into `out`, `[tokens, rows]`.
pub(super) fn matmul(weight: &Packed, x: &[f32], out: &mut [f32]) {
    let tokens = x.len() / weight.cols;
    let x = arrange(weight, x);
    if tokens <= DOT_TOKENS {
        matmul_dot(weight, &x, out);
    } else {
        matmul_tiled(weight, &x, tokens, out);
    }
}

/// Activations in the order in which [`decode_rows`] and [`dot_rows`] decode the weights, padded with zeros to whole
/// blocks.
///
/// Nibble `n` of all four words of a block is decoded with one shift, so it belongs to activation `4 n + word` here, not
/// `8 word + n`.
fn arrange<'x>(weight: &Packed, x: &'x [f32]) -> Cow<'x, [f32]> {
    let width = weight.blocks * BLOCK;
    if weight.kind == QuantKind::Q8 && weight.cols == width {
        return Cow::Borrowed(x);
    }
    let tokens = x.len() / weight.cols;
    let mut arranged = vec![0.0; tokens * width];
    for (from, to) in x
        .chunks_exact(weight.cols)
        .zip(arranged.chunks_exact_mut(width))
    {
        to[..weight.cols].copy_from_slice(from);
        if weight.kind == QuantKind::Q4 {
            for block in to.as_chunks_mut::<BLOCK>().0 {
                let plain = *block;
                for (i, value) in block.iter_mut().enumerate() {
                    *value = plain[8 * (i % 4) + i / 4];
                }
            }
        }
    }
    Cow::Owned(arranged)
}

/// A few tokens: one dot product per row and token.
fn matmul_dot(weight: &Packed, x: &[f32], out: &mut [f32]) {
    let width = weight.blocks * BLOCK;
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(weight.rows)) {
        let run = |(chunk, out): (usize, &mut [f32])| {
            dot_rows(weight, chunk * DOT_ROWS, x, out);
        };
        #[cfg(not(target_family = "wasm"))]
        if weight.rows * width >= PARALLEL_WORK {
            use rayon::prelude::*;
            out.par_chunks_mut(DOT_ROWS).enumerate().for_each(run);
            continue;
        }
        out.chunks_mut(DOT_ROWS).enumerate().for_each(run);
    }
}

/// Many tokens: decodes a tile of rows, multiplies it, and decodes the next in its place.
fn matmul_tiled(weight: &Packed, x: &[f32], tokens: usize, out: &mut [f32]) {
    let width = weight.blocks * BLOCK;
    let most = (TILE_BYTES / size_of::<f32>() / width).max(MIN_TILE_ROWS);
    let columns = Columns(out.as_mut_ptr());
    let run = |tile: &mut Vec<f32>, first: usize, n_rows: usize| {
        tile.resize(n_rows * width, 0.0);
        decode_rows(weight, first, tile);
        // SAFETY: `x` holds `tokens * width` values and `tile` `n_rows * width`; `out` holds
        // `tokens * rows`, and this call writes only columns `first..first + n_rows`, which no
        // other call does.
        unsafe {
            gemm::gemm(
                tokens,
                n_rows,
                width,
                columns.at(first),
                1,
                weight.rows as isize,
                false,
                x.as_ptr(),
                1,
                width as isize,
                tile.as_ptr(),
                width as isize,
                1,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    };
    #[cfg(not(target_family = "wasm"))]
    if tokens * weight.rows * width >= PARALLEL_WORK {
        use rayon::prelude::*;
        // Several tiles per thread, so that one slow thread does not delay all.
        let share = weight.rows.div_ceil(4 * rayon::current_num_threads());
        let step = most.min(share.max(MIN_TILE_ROWS));
        (0..weight.rows.div_ceil(step))
            .into_par_iter()
            .for_each_init(Vec::new, |tile, i| {
                run(tile, i * step, step.min(weight.rows - i * step));
            });
        return;
    }
    let mut tile = Vec::new();
    for first in (0..weight.rows).step_by(most) {
        run(&mut tile, first, most.min(weight.rows - first));
    }
}

/// The result, of which each tile writes its own columns.
#[derive(Clone, Copy)]
struct Columns(*mut f32);

// SAFETY: tiles are disjoint ranges of columns, so no element is written by two threads.
unsafe impl Send for Columns {}
// SAFETY: as above; nothing reads through the pointer.
unsafe impl Sync for Columns {}

impl Columns {
    /// The first element of column `col`, which must exist.
    unsafe fn at(self, col: usize) -> *mut f32 {
        // SAFETY: promised by the caller.
        unsafe { self.0.add(col) }
    }
}

/// Rows that one thread takes at a time in `matmul_dot`.
const DOT_ROWS: usize = 32;

/// `out[i] = W[first + i] · x`, with the widest registers of this machine.
fn dot_rows(weight: &Packed, first: usize, x: &[f32], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the features are there.
        return unsafe { dot_rows_avx2(weight, first, x, out) };
    }
    dot_rows_in::<false>(weight, first, x, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn dot_rows_avx2(weight: &Packed, first: usize, x: &[f32], out: &mut [f32]) {
    dot_rows_in::<true>(weight, first, x, out);
}

#[inline(always)]
fn dot_rows_in<const FMA: bool>(weight: &Packed, first: usize, x: &[f32], out: &mut [f32]) {
    let (x, _) = x.as_chunks::<BLOCK>();
    for (row, out) in (first..).zip(out) {
        let words = weight.row(row);
        let first_block = row * weight.blocks;
        let mut total = [0.0f32; LANES];
        match weight.kind {
            QuantKind::Q8 => {
                for (i, (words, x)) in words.as_chunks::<8>().0.iter().zip(x).enumerate() {
                    let part = dot_block::<FMA>(x, |p| lanes_q8(words, p));
                    add_scaled::<FMA>(&mut total, weight.scale(first_block + i), &part);
                }
            }
            QuantKind::Q4 => {
                for (i, (words, x)) in words.as_chunks::<4>().0.iter().zip(x).enumerate() {
                    let spread = spread_q4(words);
                    let part = dot_block::<FMA>(x, |p| lanes_q4(&spread, p));
                    add_scaled::<FMA>(&mut total, weight.scale(first_block + i), &part);
                }
            }
        }
        *out = total.iter().sum();
    }
}

/// Decodes consecutive rows from `first` on, in the order of [`arrange`].
fn decode_rows(weight: &Packed, first: usize, tile: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the feature is there.
        return unsafe { decode_rows_avx2(weight, first, tile) };
    }
    decode_rows_in(weight, first, tile);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn decode_rows_avx2(weight: &Packed, first: usize, tile: &mut [f32]) {
    decode_rows_in(weight, first, tile);
}

#[inline(always)]
fn decode_rows_in(weight: &Packed, first: usize, tile: &mut [f32]) {
    let width = weight.blocks * BLOCK;
    for (row, out) in (first..).zip(tile.chunks_exact_mut(width)) {
        let words = weight.row(row);
        let first_block = row * weight.blocks;
        let (out, _) = out.as_chunks_mut::<BLOCK>();
        match weight.kind {
            QuantKind::Q8 => {
                for (i, (words, out)) in words.as_chunks::<8>().0.iter().zip(out).enumerate() {
                    let scale = weight.scale(first_block + i);
                    decode_block(out, scale, |p| lanes_q8(words, p));
                }
            }
            QuantKind::Q4 => {
                for (i, (words, out)) in words.as_chunks::<4>().0.iter().zip(out).enumerate() {
                    let spread = spread_q4(words);
                    let scale = weight.scale(first_block + i);
                    decode_block(out, scale, |p| lanes_q4(&spread, p));
                }
            }
        }
    }
}

/// Values that are decoded together: one register of AVX2, two of SIMD128.
const LANES: usize = 8;

/// Bytes `8 p .. 8 p + 8` of a block.
#[inline(always)]
fn lanes_q8(words: &[u32; 8], p: usize) -> [i32; LANES] {
    let bytes: &[i8; BLOCK] = bytemuck::cast_ref(words);
    std::array::from_fn(|lane| i32::from(bytes[p * LANES + lane]))
}

/// The four words of a block, and again with their odd nibbles moved down.
#[inline(always)]
fn spread_q4(words: &[u32; 4]) -> [u32; LANES] {
    std::array::from_fn(|lane| words[lane % 4] >> (4 * (lane / 4)))
}

/// Nibbles `2 p` of the four words, then nibbles `2 p + 1`: one shift for all lanes.
#[inline(always)]
fn lanes_q4(spread: &[u32; LANES], p: usize) -> [i32; LANES] {
    std::array::from_fn(|lane| ((spread[lane] >> (8 * p)) & 15) as i32 - 8)
}

#[inline(always)]
fn dot_block<const FMA: bool>(
    x: &[f32; BLOCK],
    lanes: impl Fn(usize) -> [i32; LANES],
) -> [f32; LANES] {
    let mut part = [0.0; LANES];
    for p in 0..BLOCK / LANES {
        let q = lanes(p);
        for lane in 0..LANES {
            part[lane] = madd::<FMA>(q[lane] as f32, x[p * LANES + lane], part[lane]);
        }
    }
    part
}

#[inline(always)]
fn add_scaled<const FMA: bool>(total: &mut [f32; LANES], scale: f32, part: &[f32; LANES]) {
    for lane in 0..LANES {
        total[lane] = madd::<FMA>(scale, part[lane], total[lane]);
    }
}

#[inline(always)]
fn decode_block(out: &mut [f32; BLOCK], scale: f32, lanes: impl Fn(usize) -> [i32; LANES]) {
    for p in 0..BLOCK / LANES {
        let q = lanes(p);
        for lane in 0..LANES {
            out[p * LANES + lane] = q[lane] as f32 * scale;
        }
    }
}

/// `a * b + c`, fused only where the machine does it in one instruction: elsewhere `mul_add` is a
/// call into a library.
#[inline(always)]
fn madd<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}
