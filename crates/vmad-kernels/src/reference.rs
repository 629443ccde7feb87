//! The operations in plain, slow, double-precision Rust: the reference of every backend. Those on packed weights are in
//! `vmad_quant`. Compiled for size (`#[cold]`): they run once, in the self-test.

use std::cmp::Ordering;

use crate::types::{Activation, Conv2dOptions, Draw};

/// [`crate::layer_norm`] of rows of `weight.len()` numbers.
#[must_use]
#[cold]
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f64) -> Vec<f32> {
    let d = weight.len();
    let normed = |row: &[f32]| {
        let mean = row.iter().copied().map(f64::from).sum::<f64>() / d as f64;
        let off = |x: &f32| f64::from(*x) - mean;
        let variance = row.iter().map(|x| off(x).powi(2)).sum::<f64>() / d as f64;
        let scale = (variance + eps).sqrt().recip();
        let columns = row.iter().zip(weight.iter().zip(bias));
        let value = |(x, (w, b)): (&f32, (&f32, &f32))| {
            (off(x) * scale * f64::from(*w) + f64::from(*b)) as f32
        };
        columns.map(value).collect::<Vec<f32>>()
    };
    x.chunks(d).flat_map(normed).collect()
}

/// [`crate::batch_norm`] without an activation, of rows of `weight.len()` numbers.
#[must_use]
#[cold]
pub fn batch_norm(x: &[f32], parts: [&[f32]; 4], eps: f64) -> Vec<f32> {
    let [weight, bias, mean, variance] = parts;
    let normed = |(i, x): (usize, &f32)| {
        let of = |part: &[f32]| f64::from(part[i % part.len()]);
        let scale = of(weight) / (of(variance) + eps).sqrt();
        ((f64::from(*x) - of(mean)) * scale + of(bias)) as f32
    };
    x.iter().enumerate().map(normed).collect()
}

/// [`crate::overlapping_cells`] of one image `[height, width, d]`.
#[must_use]
#[cold]
pub fn overlapping_cells(x: &[f32], [height, width, d]: [usize; 3], stride: usize) -> Vec<f32> {
    let pixel = |row: usize, column: usize, channel: usize| {
        let (row, column) = (
            row.checked_sub(stride / 2)?,
            column.checked_sub(stride / 2)?,
        );
        (row < height && column < width).then(|| x[(row * width + column) * d + channel])
    };
    let mut cells = Vec::new();
    for top in (0..height).step_by(stride) {
        for left in (0..width).step_by(stride) {
            for (down, right) in [(0, 0), (0, stride), (stride, 0), (stride, stride)] {
                for i in 0..stride * stride * d {
                    let (row, column) = (i / (stride * d), i / d % stride);
                    let found = pixel(top + down + row, left + right + column, i % d);
                    cells.push(found.unwrap_or(0.0));
                }
            }
        }
    }
    cells
}

/// [`crate::rms_norm`] of rows of `weight.len()` numbers.
#[must_use]
#[cold]
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f64) -> Vec<f32> {
    let d = weight.len();
    let normed = |row: &[f32]| {
        let mean = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / d as f64;
        let scale = (mean + eps).sqrt().recip();
        let columns = row.iter().zip(weight);
        let value = |(x, w): (&f32, &f32)| (f64::from(*x) * scale * f64::from(*w)) as f32;
        columns.map(value).collect::<Vec<f32>>()
    };
    x.chunks(d).flat_map(normed).collect()
}

/// SiLU of gates times values, [`crate::matmul_gated`]'s end.
#[must_use]
#[cold]
pub fn gated(gates: &[f32], values: &[f32]) -> Vec<f32> {
    let through = |(gate, value): (&f32, &f32)| {
        let gate = f64::from(*gate);
        (gate / (1.0 + (-gate).exp()) * f64::from(*value)) as f32
    };
    gates.iter().zip(values).map(through).collect()
}

/// An activation, with the error function by its series.
#[must_use]
#[cold]
pub fn activated(activation: Activation, x: f32) -> f32 {
    let x = f64::from(x);
    let y = match activation {
        Activation::Gelu => x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)) / 2.0,
        Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        Activation::Relu => x.max(0.0),
    };
    y as f32
}

/// 2/√π · exp(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1·3·…·(2n + 1)), whose terms have one sign; ±1 where that is so in double
/// precision.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / (2.0 * f64::from(n) + 1.0);
        sum += term;
    }
    sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
}

/// Rotary position embedding of one head's columns, half layout.
#[must_use]
#[cold]
pub fn rope(x: &[f32], position: usize, theta: f64) -> Vec<f32> {
    let half = x.len() / 2;
    let turned = |i: usize| {
        let angle = position as f64 * theta.powf(-((2 * (i % half)) as f64) / x.len() as f64);
        let (low, high) = (f64::from(x[i % half]), f64::from(x[i % half + half]));
        let value = match i < half {
            true => low * angle.cos() - high * angle.sin(),
            false => high * angle.cos() + low * angle.sin(),
        };
        value as f32
    };
    (0..x.len()).map(turned).collect()
}

/// Sizes of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionSizes {
    /// Independent pictures or windows.
    pub batch: usize,
    /// Heads of queries.
    pub n_heads: usize,
    /// Heads of keys and values; consecutive query heads share one.
    pub n_kv_heads: usize,
    /// Queries.
    pub n_q: usize,
    /// Keys.
    pub n_k: usize,
    /// Width of queries and keys.
    pub d_head: usize,
    /// Width of values.
    pub d_value: usize,
}

/// [`crate::attention`] on contiguous numbers. `bias` returns what is added to the score of batch, head, query and key;
/// `None` hides the key from the query.
#[must_use]
#[cold]
pub fn attention(
    [q, k, v]: [&[f32]; 3],
    sizes: AttentionSizes,
    bias: &dyn Fn([usize; 4]) -> Option<f64>,
) -> Vec<f32> {
    let AttentionSizes {
        batch,
        n_heads,
        n_kv_heads,
        n_q,
        n_k,
        d_head,
        d_value,
    } = sizes;
    let mut out = Vec::with_capacity(batch * n_heads * n_q * d_value);
    for (b, head) in (0..batch).flat_map(|b| (0..n_heads).map(move |head| (b, head))) {
        let kv_head = b * n_kv_heads + head / (n_heads / n_kv_heads);
        for i in 0..n_q {
            let query = &q[((b * n_heads + head) * n_q + i) * d_head..][..d_head];
            let score = |j: usize| {
                let key = &k[(kv_head * n_k + j) * d_head..][..d_head];
                let pairs = query.iter().zip(key);
                let product: f64 = pairs.map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
                Some(product / (d_head as f64).sqrt() + bias([b, head, i, j])?)
            };
            let scores: Vec<Option<f64>> = (0..n_k).map(score).collect();
            let most = scores.iter().flatten().copied().fold(f64::MIN, f64::max);
            let weights = scores
                .iter()
                .map(|score| score.map_or(0.0, |score| (score - most).exp()));
            let weights: Vec<f64> = weights.collect();
            let total: f64 = weights.iter().sum();
            out.extend((0..d_value).map(|column| {
                let value = |j: usize| f64::from(v[(kv_head * n_k + j) * d_value + column]);
                let sum: f64 = weights.iter().enumerate().map(|(j, w)| w * value(j)).sum();
                (sum / total) as f32
            }));
        }
    }
    out
}

/// [`crate::relative_positions`] of one head.
#[must_use]
#[cold]
pub fn relative_positions(q: &[f32], tables: [&[f32]; 2], side: usize) -> Vec<f32> {
    let d = q.len() / (side * side);
    let number = |query: usize, along: usize, key: usize| {
        let place = [query / side, query % side][along];
        let vector = &tables[along][(place + side - 1 - key) * d..][..d];
        let pairs = q[query * d..][..d].iter().zip(vector);
        pairs
            .map(|(q, r)| f64::from(*q) * f64::from(*r))
            .sum::<f64>() as f32
    };
    let of_query = |i: usize| number(i / (2 * side), i / side % 2, i % side);
    (0..side * side * 2 * side).map(of_query).collect()
}

/// a · b for one `m` × `k` and one `k` × `n` matrix.
#[must_use]
#[cold]
pub fn matmul(a: &[f32], b: &[f32], [m, k, n]: [usize; 3]) -> Vec<f32> {
    let result = |at: usize| {
        let (row, column) = (at / n, at % n);
        let term = |i: usize| f64::from(a[row * k + i]) * f64::from(b[i * n + column]);
        (0..k).map(term).sum::<f64>() as f32
    };
    (0..m * n).map(result).collect()
}

/// Sizes of a [`crate::conv2d`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvSizes {
    /// Images.
    pub batch: usize,
    /// Channels of an image, all groups together.
    pub c_in: usize,
    /// Channels of a result, all groups together.
    pub c_out: usize,
    /// Height and width of an image.
    pub size: [usize; 2],
    /// Side of the kernel.
    pub kernel: usize,
}

/// [`crate::conv2d`] on contiguous numbers; no bias where it is empty.
#[must_use]
#[cold]
pub fn conv2d(
    [x, weight, bias]: [&[f32]; 3],
    sizes: ConvSizes,
    options: Conv2dOptions,
) -> Vec<f32> {
    let ConvSizes {
        batch,
        c_in,
        c_out,
        size: [height, width],
        kernel,
    } = sizes;
    let Conv2dOptions {
        stride,
        padding,
        groups,
    } = options;
    let along = |size: usize| (size + 2 * padding - kernel) / stride + 1;
    let (per_group, n_down, n_across) = (c_in / groups, along(height), along(width));
    let mut out = Vec::with_capacity(batch * c_out * n_down * n_across);
    for (b, channel) in (0..batch).flat_map(|b| (0..c_out).map(move |channel| (b, channel))) {
        let group = channel / (c_out / groups);
        let start = bias.get(channel).copied().map_or(0.0, f64::from);
        for pixel in 0..n_down * n_across {
            let mut sum = start;
            for i in 0..per_group * kernel * kernel {
                let (c, down, across) = (i / kernel / kernel, i / kernel % kernel, i % kernel);
                let row = (pixel / n_across * stride + down).checked_sub(padding);
                let column = (pixel % n_across * stride + across).checked_sub(padding);
                let (Some(row), Some(column)) = (row, column) else {
                    continue;
                };
                if row < height && column < width {
                    let plane = b * c_in + group * per_group + c;
                    let value = x[(plane * height + row) * width + column];
                    let weight = weight[channel * per_group * kernel * kernel + i];
                    sum += f64::from(value) * f64::from(weight);
                }
            }
            out.push(sum as f32);
        }
    }
    out
}

/// Sizes of a [`crate::deformable_attention`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeformableSizes {
    /// Independent pictures.
    pub batch: usize,
    /// Queries of each.
    pub n: usize,
    /// Heads.
    pub n_heads: usize,
    /// Points of a query and head.
    pub n_points: usize,
    /// Channels of a head.
    pub d_head: usize,
    /// Cells along a side of the values' grid.
    pub side: usize,
}

/// [`crate::deformable_attention`] on contiguous numbers: value, offsets, weights, centres.
#[must_use]
#[cold]
pub fn deformable_attention(
    [value, offsets, weights, centres]: [&[f32]; 4],
    sizes: DeformableSizes,
) -> Vec<f32> {
    let DeformableSizes {
        batch,
        n,
        n_heads,
        n_points,
        d_head,
        side,
    } = sizes;
    let d = n_heads * d_head;
    let mut out = Vec::with_capacity(batch * n * d);
    for (query, head) in (0..batch * n).flat_map(|query| (0..n_heads).map(move |h| (query, h))) {
        let first = (query * n_heads + head) * n_points;
        let scores: Vec<f64> = weights[first..first + n_points]
            .iter()
            .map(|weight| f64::from(*weight).exp())
            .collect();
        let total: f64 = scores.iter().sum();
        for channel in head * d_head..(head + 1) * d_head {
            let cell = |x: f64, y: f64| {
                let inside = |c: f64| c >= 0.0 && c < side as f64;
                if !inside(x) || !inside(y) {
                    return 0.0;
                }
                let at = query / n * side * side + y as usize * side + x as usize;
                f64::from(value[at * d + channel])
            };
            let sampled = |point: usize| {
                let place = |axis: usize| {
                    let offset = offsets[(first + point) * 2 + axis];
                    f64::from(centres[query % n * 2 + axis]) + f64::from(offset) - 0.5
                };
                let (x, y) = (place(0), place(1));
                let (left, top) = (x.floor(), y.floor());
                let (right, low) = (x - left, y - top);
                (1.0 - low) * ((1.0 - right) * cell(left, top) + right * cell(left + 1.0, top))
                    + low
                        * ((1.0 - right) * cell(left, top + 1.0)
                            + right * cell(left + 1.0, top + 1.0))
            };
            let sum: f64 = (0..n_points)
                .map(|point| scores[point] * sampled(point))
                .sum();
            out.push((sum / total) as f32);
        }
    }
    out
}

/// [`crate::region_attention`] on contiguous numbers of one picture whose fine grid has `side`² cells.
#[must_use]
#[cold]
pub fn region_attention(
    [q, k, v]: [&[f32]; 3],
    [side, stride]: [usize; 2],
    [n_heads, d_head]: [usize; 2],
) -> Vec<f32> {
    let (across, d) = (side / stride, n_heads * d_head);
    let one = AttentionSizes {
        batch: 1,
        n_heads: 1,
        n_kv_heads: 1,
        n_q: 1,
        n_k: stride * stride,
        d_head,
        d_value: d_head,
    };
    let mut out = Vec::with_capacity(q.len());
    for (region, head) in (0..across * across).flat_map(|r| (0..n_heads).map(move |h| (r, h))) {
        let cells = (0..stride * stride).map(|key| {
            let row = region / across * stride + key / stride;
            row * side + region % across * stride + key % stride
        });
        let of = |x: &[f32]| -> Vec<f32> {
            let columns = |cell: usize| x[cell * d + head * d_head..][..d_head].to_vec();
            cells.clone().flat_map(columns).collect()
        };
        let query = &q[region * d + head * d_head..][..d_head];
        out.extend(attention([query, &of(k), &of(v)], one, &|_| Some(0.0)));
    }
    out
}

/// [`crate::SampledTokens::next`] from one row of scores, after the ids `sampled`; 0 where there are no scores.
#[must_use]
pub fn sample(logits: &[f32], sampled: &[i32], draw: &Draw) -> usize {
    let mut ranked: Vec<(usize, f32)> = logits.iter().copied().enumerate().collect();
    if draw.repetition_penalty != 1.0 {
        penalise(&mut ranked, sampled, draw.repetition_penalty);
    }
    if draw.temperature <= 0.0 {
        let better = |best: (usize, f32), next: (usize, f32)| match next.1.total_cmp(&best.1) {
            Ordering::Greater => next,
            _ => best,
        };
        return ranked.into_iter().reduce(better).map_or(0, |(id, _)| id);
    }
    // Stable, so that equal scores stay in the order of their ids.
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    if draw.top_k > 0 {
        ranked.truncate(draw.top_k);
    }
    let Some(&(first, highest)) = ranked.first() else {
        return 0;
    };
    let weight = |score: f32| f64::from((score - highest) / draw.temperature).exp();
    let total: f64 = ranked.iter().map(|(_, score)| weight(*score)).sum();
    let mut nucleus = 0.0;
    let mut n_kept = 0;
    for (_, score) in &ranked {
        nucleus += weight(*score);
        n_kept += 1;
        if nucleus >= total * f64::from(draw.top_p) {
            break;
        }
    }
    let mut left = f64::from(draw.uniform) * nucleus;
    for (id, score) in &ranked[..n_kept] {
        left -= weight(*score);
        if left <= 0.0 {
            return *id;
        }
    }
    first
}

/// Keskar et al. 2019 (CTRL); a token that was sampled twice is penalised once.
fn penalise(scores: &mut [(usize, f32)], sampled: &[i32], penalty: f32) {
    let mut sampled = sampled.to_vec();
    sampled.sort_unstable();
    sampled.dedup();
    for id in sampled {
        let score = usize::try_from(id).ok().and_then(|id| scores.get_mut(id));
        if let Some((_, score)) = score {
            *score = match *score > 0.0 {
                true => *score / penalty,
                false => *score * penalty,
            };
        }
    }
}
