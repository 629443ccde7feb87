//! The arithmetic and memory cost of a launch, counted from its sizes: it limits the length of a submission, and shows how
//! far a shader is from the roofline.

use crate::reference::AttentionSizes;
use crate::weight::QuantKind;

/// Operations on floats, a multiply-add being two, and bytes of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Additions, multiplications and the like.
    pub operations: f64,
    /// Bytes read or written.
    pub bytes: f64,
}

/// A weak integrated GPU: operations and bytes per second.
const WEAK: Cost = Cost {
    operations: 1e12,
    bytes: 50e9,
};

/// The longest submission on a weak GPU, milliseconds. An operating system resets a device that does not respond for about
/// two seconds, and a page is drawn between two submissions.
pub const SUBMISSION_MS: f64 = 200.0;

impl Cost {
    /// Milliseconds on a weak GPU (1 TFLOP/s, 50 GB/s) that overlaps arithmetic and memory.
    #[must_use]
    pub fn weak_ms(self) -> f64 {
        let by_operations = self.operations / WEAK.operations;
        by_operations.max(self.bytes / WEAK.bytes) * 1e3
    }

    /// Whether memory limits a weak GPU.
    #[must_use]
    pub fn is_memory_bound(self) -> bool {
        self.bytes / WEAK.bytes > self.operations / WEAK.operations
    }
}

/// The two costs of a launch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// The lower bound: each input read once, each result written once, no padding.
    pub roofline_min: Cost,
    /// What the shader's threads compute and load, without caches: with the padding of tiles and the inputs that several
    /// workgroups load.
    pub actual: Cost,
}

const F32: f64 = 4.0;

/// Up to this many tokens a product takes `matvec_*`; the tile of `matmul_*` would be mostly empty.
pub(crate) const MATVEC_TOKENS: usize = 4;

/// Up to this many queries attention takes `attention_decode`.
pub(crate) const DECODE_QUERIES: usize = 4;

// From the shaders: MATMUL_TILE, tokens and rows of a tile of `matmul_*`; MATVEC_ROWS, rows of a workgroup of `matvec_*`;
// ATTENTION_TILE, queries and keys of a tile of attention, and the columns of a chunk.
include!(concat!(env!("OUT_DIR"), "/tiles.rs"));

/// A product with a packed weight, by the shader that takes this many tokens.
#[must_use]
pub fn product(kind: QuantKind, [tokens, rows, cols]: [usize; 3]) -> Work {
    let of = |a: usize, b: usize| a as f64 * b as f64;
    // A scale of two bytes for each block.
    let row_bytes = cols.div_ceil(32) as f64 * (4.0 * kind.words_per_block() as f64 + 2.0);
    let results = of(tokens, rows);
    let roofline_min = Cost {
        operations: 2.0 * results * cols as f64,
        bytes: rows as f64 * row_bytes + F32 * (of(tokens, cols) + results),
    };
    let actual = if tokens <= MATVEC_TOKENS {
        let groups = rows.div_ceil(MATVEC_ROWS);
        Cost {
            operations: roofline_min.operations,
            bytes: tokens as f64 * (rows as f64 * row_bytes + F32 * of(groups, cols))
                + F32 * results,
        }
    } else {
        let tiles = |n: usize| n.div_ceil(MATMUL_TILE);
        let side = MATMUL_TILE as f64;
        let padded = of(tiles(tokens), tiles(rows)) * side * side;
        Cost {
            operations: 2.0 * padded * (cols.div_ceil(32) * 32) as f64,
            bytes: of(tiles(tokens), tiles(rows)) * side * (row_bytes + F32 * cols as f64)
                + F32 * results,
        }
    };
    Work {
        roofline_min,
        actual,
    }
}

/// Attention, of which a mask leaves the fraction `share` of all pairs of query and key visible.
#[must_use]
pub fn attention(sizes: AttentionSizes, share: f64) -> Work {
    let of = |numbers: [usize; 3]| numbers.iter().map(|n| *n as f64).product::<f64>();
    let AttentionSizes {
        batch,
        n_heads,
        n_kv_heads,
        n_q,
        n_k,
        d_head,
        d_value,
    } = sizes;
    let pairs = of([n_heads, n_q, n_k]) * batch as f64 * share;
    let queries = of([batch, n_heads, n_q]) * (d_head + d_value) as f64;
    let keys = of([batch, n_kv_heads, n_k]) * (d_head + d_value) as f64;
    let roofline_min = Cost {
        operations: 2.0 * pairs * (d_head + d_value) as f64,
        bytes: F32 * (queries + keys),
    };
    let padded = |n: usize| n.next_multiple_of(ATTENTION_TILE) as f64;
    let actual = if n_q <= DECODE_QUERIES {
        Cost {
            operations: roofline_min.operations,
            bytes: F32 * (queries + pairs * (d_head + d_value) as f64),
        }
    } else {
        let tiles = of([batch, n_heads, n_q.div_ceil(ATTENTION_TILE)]);
        let scores = tiles * ATTENTION_TILE as f64 * padded(n_k) * share;
        Cost {
            operations: 2.0 * scores * (padded(d_head) + padded(d_value)),
            bytes: F32 * (queries + tiles * n_k as f64 * share * (d_head + d_value) as f64),
        }
    };
    Work {
        roofline_min,
        actual,
    }
}

/// The most tokens of a product in one launch that stays below [`SUBMISSION_MS`].
#[cfg(any(feature = "wgpu", test))]
pub(crate) fn max_tokens(kind: QuantKind, rows: usize, cols: usize) -> usize {
    let tile = product(kind, [MATMUL_TILE, rows, cols]).actual.weak_ms();
    MATMUL_TILE * ((SUBMISSION_MS / tile) as usize).max(1)
}

/// The length of what was launched since the last submission.
#[cfg(any(feature = "wgpu", test))]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SubmissionMeter {
    pub ms: f64,
}

#[cfg(any(feature = "wgpu", test))]
impl SubmissionMeter {
    /// Counts a launch; returns whether the launches before it have to be submitted first.
    pub fn add(&mut self, cost: Cost) -> bool {
        let ms = cost.weak_ms();
        let is_full = self.ms > 0.0 && self.ms + ms > SUBMISSION_MS;
        self.ms = if is_full { ms } else { self.ms + ms };
        is_full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Launches of up to the longest submission, in random order: no submission is longer.
    #[test]
    fn submissions_stay_short() {
        let mut seed: u32 = 7;
        let (mut meter, mut submission) = (SubmissionMeter::default(), 0.0);
        for _ in 0..10_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let cost = Cost {
                operations: f64::from(seed >> 8) / f64::from(1 << 24) * 2e11,
                bytes: 1e6,
            };
            if meter.add(cost) {
                submission = 0.0;
            }
            submission += cost.weak_ms();
            assert!(submission <= SUBMISSION_MS, "{submission} ms");
        }
    }

    #[test]
    fn a_launch_that_is_too_long_is_divided() {
        // The largest matrix of LLaMA-7B, gate and values, over a full context.
        let (rows, cols) = (22_016, 4096);
        let most = max_tokens(QuantKind::Q4, rows, cols);
        assert!(most.is_multiple_of(MATMUL_TILE) && most < 2048, "{most}");
        let ms = |tokens| {
            product(QuantKind::Q4, [tokens, rows, cols])
                .actual
                .weak_ms()
        };
        assert!(ms(most) <= SUBMISSION_MS);
        assert!(ms(most + MATMUL_TILE) > SUBMISSION_MS);
        // One that is small is not.
        assert!(max_tokens(QuantKind::Q8, 128, 128) > 1 << 20);
    }

    #[test]
    fn the_roofline_is_a_lower_bound() {
        for sizes in [
            [1, 4096, 4096],
            [3, 70, 33],
            [5, 70, 33],
            [4096, 5120, 1280],
        ] {
            for kind in [QuantKind::Q4, QuantKind::Q8] {
                let Work {
                    roofline_min,
                    actual,
                } = product(kind, sizes);
                assert!(roofline_min.operations <= actual.operations, "{sizes:?}");
                assert!(roofline_min.bytes <= actual.bytes, "{sizes:?}");
            }
        }
        let Work { roofline_min, .. } = product(QuantKind::Q4, [1, 4096, 4096]);
        assert_eq!(roofline_min.operations, 2.0 * 4096.0 * 4096.0);
        assert_eq!(
            roofline_min.bytes,
            4096.0 * 4096.0 * 0.5625 + 2.0 * 4096.0 * 4.0
        );
    }
}
