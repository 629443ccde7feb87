//! Norms, sampling, and the operations of projector and stem.

use super::run::Run;
use crate::error::KernelError;
use crate::ops::{
    ChannelNorm, Points, SampledTokens, batch_norm, deformable_attention, layer_norm,
    overlapping_cells, region_attention, rms_norm,
};
use crate::reference::{self, DeformableSizes};
use crate::types::{Activation, Draw};

const EPS: f64 = 1e-5;

pub(super) async fn norms(run: &mut Run<'_>) -> Result<(), KernelError> {
    let (rows, d) = (3, 70);
    let (x, weight, bias) = (run.values(rows * d), run.values(d), run.values(d));
    let (w, b) = (run.tensor(&weight, [d]), run.tensor(&bias, [d]));
    let y = layer_norm(run.tensor(&x, [rows, d]), w.clone(), b, EPS);
    let expected = reference::layer_norm(&x, &weight, &bias, EPS);
    run.compare("layer_norm", y, &expected).await?;
    let x = run.values(rows * d);
    let y = rms_norm(run.tensor(&x, [rows, d]), w, EPS);
    run.compare("rms_norm", y, &reference::rms_norm(&x, &weight, EPS))
        .await
}

/// The likeliest token, then two random ones under a repetition penalty.
pub(super) async fn sampling(run: &mut Run<'_>) -> Result<(), KernelError> {
    let random = |uniform| Draw {
        temperature: 0.7,
        top_k: 40,
        top_p: 0.8,
        repetition_penalty: 1.5,
        uniform,
    };
    let mut tokens = SampledTokens::new(3, run.device);
    let mut sampled = Vec::new();
    for draw in [Draw::GREEDY, random(0.0), random(0.73)] {
        let logits = run.values(300);
        let token = tokens.next(run.tensor(&logits, [1, 300]), draw);
        let expected = reference::sample(&logits, &sampled, &draw);
        sampled.push(i32::try_from(expected).unwrap_or(-1));
        run.compare_token("sample", token, expected).await?;
    }
    Ok(())
}

/// LTC's deformable and region attention.
pub(super) async fn projector(run: &mut Run<'_>) -> Result<(), KernelError> {
    let sizes = DeformableSizes {
        batch: 1,
        n: 9,
        n_heads: 2,
        n_points: 3,
        d_head: 5,
        side: 4,
    };
    let (d, samples) = (10, 6);
    let value = run.values(16 * d);
    let (offsets, weights) = (run.values(9 * samples * 2), run.values(9 * samples));
    // From one side of the grid to the other, and beyond both.
    let centres: Vec<f32> = run.values(9 * 2).iter().map(|c| 2.0 + 3.0 * c).collect();
    let points = Points {
        offsets: run.tensor(&offsets, [1, 9, samples * 2]),
        weights: run.tensor(&weights, [1, 9, samples]),
        centres: run.tensor(&centres, [9, 2]),
        n_heads: 2,
    };
    let y = deformable_attention(run.tensor(&value, [1, 16, d]), points);
    let all = [&value[..], &offsets, &weights, &centres];
    let expected = reference::deformable_attention(all, sizes);
    run.compare("deformable_attention", y, &expected).await?;

    let (side, stride) = (6, 3);
    let (q, k, v) = (run.values(4 * d), run.values(36 * d), run.values(36 * d));
    let qkv = [
        run.tensor(&q, [1, 4, d]),
        run.tensor(&k, [1, 36, d]),
        run.tensor(&v, [1, 36, d]),
    ];
    let y = region_attention(qkv, 2, stride);
    let expected = reference::region_attention([&q, &k, &v], [side, stride], [2, 5]);
    run.compare("region_attention", y, &expected).await
}

pub(super) async fn stem(run: &mut Run<'_>) -> Result<(), KernelError> {
    let (rows, d) = (23, 7);
    let x = run.values(rows * d);
    let (weight, bias, mean) = (run.values(d), run.values(d), run.values(d));
    let variance: Vec<f32> = run.values(d).iter().map(|v| v + 1.5).collect();
    let norm = ChannelNorm {
        weight: run.tensor(&weight, [d]),
        bias: run.tensor(&bias, [d]),
        mean: run.tensor(&mean, [d]),
        variance: run.tensor(&variance, [d]),
        eps: EPS,
    };
    let activation = Activation::QuickGelu;
    let y = batch_norm(run.tensor(&x, [rows, d]), norm, Some(activation));
    let normed = reference::batch_norm(&x, [&weight, &bias, &mean, &variance], EPS);
    let activated = normed.iter().map(|y| reference::activated(activation, *y));
    let expected: Vec<f32> = activated.collect();
    run.compare("batch_norm", y, &expected).await?;

    let (sizes, stride) = ([4, 6, 5], 2);
    let [height, width, d] = sizes;
    let x = run.values(height * width * d);
    let y = overlapping_cells(run.tensor(&x, [1, height, width, d]), stride);
    let expected = reference::overlapping_cells(&x, sizes, stride);
    run.compare("overlapping_cells", y, &expected).await
}
