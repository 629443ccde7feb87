//! Every operation once, against the CPU truth.

mod attention;

use burn::tensor::{Device, Int, Tensor, TensorData};
use vmad_quant::{Q4Matrix, Q8Matrix, quantize_q4, quantize_q8};

use crate::cost::MATVEC_TOKENS;
use crate::reference::{self, AttentionSizes, ConvSizes, DeformableSizes};
use crate::{
    Activation, Answer, ChannelNorm, Draw, Features, KernelError, KvLayer, LinearEnd, Points,
    QuantWeight, Rehearsal, RmsScale, Rotary, Stepping, batch_norm, conv2d, deformable_attention,
    gather_quant, layer_norm, linear_f32, matmul, matmul_gated, matmul_linear, matmul_normed,
    matmul_quant, overlapping_cells, region_attention, rms_norm,
};

/// Odd on purpose: a second tile that is nearly empty and a last block that is mostly padding.
const ROWS: usize = 67;
const COLS: usize = 70;

/// One token takes the matvec shader, nine the tiled one.
const TOKENS: [usize; 2] = [1, 9];

const IDS: [u32; 5] = [66, 0, 31, 31, 7];

/// Largest difference that a sum over `COLS` products of values below one may show: f32 rounds each
/// step by at most 2⁻²⁴ of a partial sum below `COLS`, and drivers may contract or reorder.
const TOLERANCE: f32 = 1e-4;

/// Runs every operation of this crate on `device` and compares with the plain CPU truth.
///
/// A browser reports a shader that failed to compile on its console only: the read answers `Ok`
/// with whatever the memory held. Every operation therefore gets inputs of its own, so that no
/// earlier result can pass for its answer. During a [`Rehearsal`] every result passes.
///
/// # Errors
/// [`KernelError::SelfTest`] with the first wrong element, or [`KernelError::Readback`].
pub async fn self_test(device: &Device) -> Result<(), KernelError> {
    let mut seed = 1;

    for tokens in TOKENS {
        let w = Q8Matrix::from_values(ROWS, &mut seed)?;
        let x = values(tokens * COLS, &mut seed);
        let y = matmul_quant(tensor(&x, tokens, COLS, device), &w.upload(device)?);
        let op = if tokens == 1 {
            "matvec_q8"
        } else {
            "matmul_q8"
        };
        compare_product(op, y, &vmad_quant::matmul_q8(&x, &w)?).await?;
    }
    for tokens in TOKENS {
        let w = Q4Matrix::from_values(ROWS, &mut seed)?;
        let x = values(tokens * COLS, &mut seed);
        let y = matmul_quant(tensor(&x, tokens, COLS, device), &w.upload(device)?);
        let op = if tokens == 1 {
            "matvec_q4"
        } else {
            "matmul_q4"
        };
        compare_product(op, y, &vmad_quant::matmul_q4(&x, &w)?).await?;
    }

    products::<Q8Matrix>(device, &mut seed).await?;
    products::<Q4Matrix>(device, &mut seed).await?;

    let ids = || {
        let ids = IDS.map(u32::cast_signed);
        Tensor::<1, Int>::from_data(TensorData::from(ids), device)
    };
    let w = Q8Matrix::from_values(ROWS, &mut seed)?;
    let y = gather_quant(&w.upload(device)?, ids());
    compare("gather_q8", y, &vmad_quant::gather_q8(&IDS, &w)?).await?;
    let w = Q4Matrix::from_values(ROWS, &mut seed)?;
    let y = gather_quant(&w.upload(device)?, ids());
    compare("gather_q4", y, &vmad_quant::gather_q4(&IDS, &w)?).await?;

    attention::attentions(device, &mut seed).await?;
    cache(device, &mut seed).await?;
    norms(device, &mut seed).await?;
    draws(device, &mut seed).await?;
    projector(device, &mut seed).await?;
    stem(device, &mut seed).await?;

    dense(device, &mut seed).await
}

/// A product of floats, one side of it turned around, and two convolutions.
async fn dense(device: &Device, seed: &mut u32) -> Result<(), KernelError> {
    let [m, k, n] = [35, 33, 5];
    let (a, b) = (values(m * k, seed), values(k * n, seed));
    let columns: Vec<f32> = (0..k * n).map(|i| b[i % k * n + i / k]).collect();
    let y = matmul(
        tensor(&a, m, k, device),
        tensor(&columns, n, k, device).transpose(),
    );
    compare("matmul_f32", y, &reference::matmul(&a, &b, [m, k, n])).await?;

    let [tokens, rows] = [37, ROWS];
    let (x, w) = (values(tokens * COLS, seed), values(rows * COLS, seed));
    let more = values(tokens * rows, seed);
    let end = LinearEnd {
        residual: Some(tensor(&more, tokens, rows, device)),
        ..LinearEnd::default()
    };
    let y = linear_f32(
        tensor(&x, tokens, COLS, device),
        tensor(&w, rows, COLS, device),
        end,
    );
    let columns: Vec<f32> = (0..rows * COLS)
        .map(|i| w[i % rows * COLS + i / rows])
        .collect();
    let product = reference::matmul(&x, &columns, [tokens, COLS, rows]);
    let expected: Vec<f32> = product
        .iter()
        .zip(&more)
        .map(|(y, more)| y + more)
        .collect();
    compare_product("linear_f32", y, &expected).await?;

    for (groups, with_bias) in [(1, true), (6, false)] {
        let (c, side, kernel) = (6, 9, 3);
        let stepping = Stepping {
            stride: 2,
            padding: 1,
            groups,
        };
        let sizes = ConvSizes {
            batch: 1,
            c_in: c,
            c_out: c,
            size: [side; 2],
            kernel,
        };
        let x = values(c * side * side, seed);
        let weight = values(c * c / groups * kernel * kernel, seed);
        let bias = values(if with_bias { c } else { 0 }, seed);
        let four = |x: &[f32], shape: [usize; 4]| {
            Tensor::<4>::from_data(TensorData::new(x.to_vec(), shape), device)
        };
        let y = conv2d(
            four(&x, [1, c, side, side]),
            four(&weight, [c, c / groups, kernel, kernel]),
            with_bias.then(|| Tensor::from_data(TensorData::new(bias.clone(), [c]), device)),
            stepping,
        );
        let expected = reference::conv2d([&x, &weight, &bias], sizes, stepping);
        compare("conv2d", y.reshape([c, 25]), &expected).await?;
    }
    Ok(())
}

/// Products with what comes before or after them, one token each but for a whole linear layer.
async fn products<M: Packed>(device: &Device, seed: &mut u32) -> Result<(), KernelError> {
    const EPS: f64 = 1e-5;
    let w = M::from_values(ROWS, seed)?;
    let packed = w.upload(device)?;
    let (x, more) = (values(COLS, seed), values(ROWS, seed));
    let y = matmul_linear(
        tensor(&x, 1, COLS, device),
        &packed,
        LinearEnd {
            residual: Some(tensor(&more, 1, ROWS, device)),
            ..LinearEnd::default()
        },
    );
    let product = w.times(&x)?.into_iter().zip(&more);
    let expected: Vec<f32> = product.map(|(y, more)| y + more).collect();
    compare(M::ADDED, y, &expected).await?;

    let tokens = TOKENS[1];
    let (x, more) = (values(tokens * COLS, seed), values(tokens * ROWS, seed));
    let bias = values(ROWS, seed);
    let end = LinearEnd {
        bias: Some(Tensor::from_data(
            TensorData::new(bias.clone(), [ROWS]),
            device,
        )),
        activation: Some(Activation::Gelu),
        residual: Some(tensor(&more, tokens, ROWS, device)),
    };
    let y = matmul_linear(tensor(&x, tokens, COLS, device), &packed, end);
    let finish =
        |(i, y): (usize, f32)| reference::activated(Activation::Gelu, y + bias[i % ROWS]) + more[i];
    let expected: Vec<f32> = w.times(&x)?.into_iter().enumerate().map(finish).collect();
    compare_product(M::LINEAR, y, &expected).await?;

    let norm = values(COLS, seed);
    let scale = || RmsScale {
        weight: Tensor::from_data(TensorData::new(norm.clone(), [COLS]), device),
        eps: EPS,
    };
    let x = values(COLS, seed);
    let y = matmul_normed(tensor(&x, 1, COLS, device), scale(), &packed);
    let expected = w.times(&reference::rms_norm(&x, &norm, EPS))?;
    compare(M::NORMED, y, &expected).await?;

    let x = values(COLS, seed);
    // Only matrices of an even number of blocks can lie one below the other.
    let (gates, ups) = (
        M::from_values(ROWS - 1, seed)?,
        M::from_values(ROWS - 1, seed)?,
    );
    let both = QuantWeight::stacked(&[&gates.upload(device)?, &ups.upload(device)?]);
    let both = both.unwrap_or_else(|| unreachable!("two matrices of one size and kind"));
    let y = matmul_gated(tensor(&x, 1, COLS, device), scale(), &both);
    let h = reference::rms_norm(&x, &norm, EPS);
    let expected = reference::gated(&gates.times(&h)?, &ups.times(&h)?);
    compare(M::GATED, y, &expected).await?;

    let x = values(tokens * COLS, seed);
    let y = matmul_gated(tensor(&x, tokens, COLS, device), scale(), &both);
    let h = reference::rms_norm(&x, &norm, EPS);
    let expected = reference::gated(&gates.times(&h)?, &ups.times(&h)?);
    compare_product(M::LINEAR, y, &expected).await
}

/// Two tokens one after the other: the second sees both, turned by their positions.
async fn cache(device: &Device, seed: &mut u32) -> Result<(), KernelError> {
    const D: usize = 6;
    const THETA: f64 = 100.0;
    let (mut layer, mut rotary) = (KvLayer::default(), Rotary::new(THETA, D));
    let tokens = [0, 1].map(|_| [0, 1, 2].map(|_| values(D, seed)));
    let mut last = Tensor::<3>::zeros([1, 1, D], device);
    for (start, token) in tokens.iter().enumerate() {
        let qkv = token
            .each_ref()
            .map(|x| Tensor::from_data(TensorData::new(x.clone(), [1, 1, 1, D]), device));
        last = layer.attend(qkv, &mut rotary, start);
    }
    let sizes = AttentionSizes {
        batch: 1,
        n_heads: 1,
        n_kv_heads: 1,
        n_q: 1,
        n_k: 2,
        d_head: D,
        d_value: D,
    };
    let q = reference::rope(&tokens[1][0], 1, THETA);
    let keys = [0, 1].map(|at| reference::rope(&tokens[at][1], at, THETA));
    let all = [tokens[0][2].clone(), tokens[1][2].clone()].concat();
    let expected = reference::attention([&q, &keys.concat(), &all], sizes, &|_| Some(0.0));
    compare("rope_append", last.reshape([1, D]), &expected).await
}

async fn norms(device: &Device, seed: &mut u32) -> Result<(), KernelError> {
    const EPS: f64 = 1e-5;
    let (rows, d) = (3, 70);
    let (x, weight, bias) = (values(rows * d, seed), values(d, seed), values(d, seed));
    let row = |x: &[f32]| Tensor::<1>::from_data(TensorData::new(x.to_vec(), [d]), device);
    let y = layer_norm(tensor(&x, rows, d, device), row(&weight), row(&bias), EPS);
    let expected = reference::layer_norm(&x, &weight, &bias, EPS);
    compare("layer_norm", y, &expected).await?;
    let x = values(rows * d, seed);
    let y = rms_norm(tensor(&x, rows, d, device), row(&weight), EPS);
    compare("rms_norm", y, &reference::rms_norm(&x, &weight, EPS)).await
}

/// What LTC looks at: points around a cell, and the cells below a coarser one.
async fn projector(device: &Device, seed: &mut u32) -> Result<(), KernelError> {
    let sizes = DeformableSizes {
        batch: 1,
        n: 9,
        n_heads: 2,
        n_points: 3,
        d_head: 5,
        side: 4,
    };
    let (d, samples) = (10, 6);
    let value = values(16 * d, seed);
    let (offsets, weights) = (values(9 * samples * 2, seed), values(9 * samples, seed));
    // From outside the grid to outside it on the other side.
    let centres: Vec<f32> = values(9 * 2, seed).iter().map(|c| 2.0 + 3.0 * c).collect();
    let part = |x: &[f32], n: usize| {
        Tensor::<3>::from_data(TensorData::new(x.to_vec(), [1, n, x.len() / n]), device)
    };
    let points = Points {
        offsets: part(&offsets, 9),
        weights: part(&weights, 9),
        centres: tensor(&centres, 9, 2, device),
        n_heads: 2,
    };
    let y = deformable_attention(part(&value, 16), points).reshape([9, d]);
    let all = [&value[..], &offsets, &weights, &centres];
    let expected = reference::deformable_attention(all, sizes);
    compare("deformable_attention", y, &expected).await?;

    let (side, stride) = (6, 3);
    let (q, k, v) = (
        values(4 * d, seed),
        values(36 * d, seed),
        values(36 * d, seed),
    );
    let y = region_attention([part(&q, 4), part(&k, 36), part(&v, 36)], 2, stride);
    let expected = reference::region_attention([&q, &k, &v], [side, stride], [2, 5]);
    compare("region_attention", y.reshape([4, d]), &expected).await
}

/// What an encoder's stem does between its products.
async fn stem(device: &Device, seed: &mut u32) -> Result<(), KernelError> {
    const EPS: f64 = 1e-5;
    let (rows, d) = (23, 7);
    let (x, weight, bias, mean) = (
        values(rows * d, seed),
        values(d, seed),
        values(d, seed),
        values(d, seed),
    );
    let variance: Vec<f32> = values(d, seed).iter().map(|v| v + 1.5).collect();
    let part = |x: &[f32]| Tensor::<1>::from_data(TensorData::new(x.to_vec(), [d]), device);
    let norm = ChannelNorm {
        weight: part(&weight),
        bias: part(&bias),
        mean: part(&mean),
        variance: part(&variance),
        eps: EPS,
    };
    let y = batch_norm(
        tensor(&x, rows, d, device),
        norm,
        Some(Activation::QuickGelu),
    );
    let normed = reference::batch_norm(&x, [&weight, &bias, &mean, &variance], EPS);
    let expected: Vec<f32> = normed
        .into_iter()
        .map(|y| reference::activated(Activation::QuickGelu, y))
        .collect();
    compare("batch_norm", y, &expected).await?;

    let (sizes, stride) = ([4, 6, 5], 2);
    let [height, width, d] = sizes;
    let x = values(height * width * d, seed);
    let image = Tensor::<4>::from_data(TensorData::new(x.clone(), [1, height, width, d]), device);
    let cells = [height * width / (stride * stride), 4 * stride * stride * d];
    let y = overlapping_cells(image, stride).reshape(cells);
    let expected = reference::overlapping_cells(&x, sizes, stride);
    compare("overlapping_cells", y, &expected).await
}

/// The likeliest token, then tokens that are drawn, of which one was said before.
async fn draws(device: &Device, seed: &mut u32) -> Result<(), KernelError> {
    const OP: &str = "sample";
    let drawn = |uniform| Draw {
        temperature: 0.7,
        top_k: 40,
        top_p: 0.8,
        repetition_penalty: 1.5,
        uniform,
    };
    let mut answer = Answer::new(3, device);
    let mut said = Vec::new();
    for draw in [Draw::GREEDY, drawn(0.0), drawn(0.73)] {
        let scores = values(300, seed);
        let token = answer.next(tensor(&scores, 1, scores.len(), device), draw);
        let data = token.into_data_async().await;
        let data = data.map_err(|error| readback(OP, error.to_string()))?;
        let actual = data.convert::<f32>().try_to_vec::<f32>();
        let actual = actual.map_err(|error| readback(OP, format!("{error:?}")))?;
        let expected = reference::sample(&scores, &said, &draw);
        said.push(i32::try_from(expected).unwrap_or(-1));
        check(OP, &actual, &[expected as f32, 0.0], TOLERANCE)?;
    }
    Ok(())
}

/// The two kinds of matrix, made from numbers and sent to a device.
trait Packed: Sized {
    fn from_values(rows: usize, seed: &mut u32) -> Result<Self, KernelError>;
    fn upload(&self, device: &Device) -> Result<QuantWeight, KernelError>;
    /// The product with some tokens.
    fn times(&self, x: &[f32]) -> Result<Vec<f32>, KernelError>;
    const ADDED: &str;
    const LINEAR: &str;
    const NORMED: &str;
    const GATED: &str;
}

impl Packed for Q8Matrix {
    const ADDED: &str = "matvec_q8_added";
    const LINEAR: &str = "matmul_q8, a linear layer's";
    const NORMED: &str = "matvec_q8_normed";
    const GATED: &str = "matvec_q8_gated";

    fn times(&self, x: &[f32]) -> Result<Vec<f32>, KernelError> {
        Ok(vmad_quant::matmul_q8(x, self)?)
    }

    fn from_values(rows: usize, seed: &mut u32) -> Result<Self, KernelError> {
        Ok(quantize_q8(&values(rows * COLS, seed), rows, COLS)?)
    }

    fn upload(&self, device: &Device) -> Result<QuantWeight, KernelError> {
        QuantWeight::from_q8(
            self.rows(),
            self.cols(),
            self.values(),
            self.scales(),
            device,
        )
    }
}

impl Packed for Q4Matrix {
    const ADDED: &str = "matvec_q4_added";
    const LINEAR: &str = "matmul_q4, a linear layer's";
    const NORMED: &str = "matvec_q4_normed";
    const GATED: &str = "matvec_q4_gated";

    fn times(&self, x: &[f32]) -> Result<Vec<f32>, KernelError> {
        Ok(vmad_quant::matmul_q4(x, self)?)
    }

    fn from_values(rows: usize, seed: &mut u32) -> Result<Self, KernelError> {
        Ok(quantize_q4(&values(rows * COLS, seed), rows, COLS)?)
    }

    fn upload(&self, device: &Device) -> Result<QuantWeight, KernelError> {
        QuantWeight::from_q4(
            self.rows(),
            self.cols(),
            self.words(),
            self.scales(),
            device,
        )
    }
}

/// Numbers in -1..1 that repeat from run to run.
fn values(n_values: usize, seed: &mut u32) -> Vec<f32> {
    (0..n_values)
        .map(|_| {
            // Numerical Recipes' generator; the low bits are poor, so the high ones are used.
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (*seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn tensor(values: &[f32], rows: usize, cols: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, cols]), device)
}

async fn compare(op: &'static str, actual: Tensor<2>, expected: &[f32]) -> Result<(), KernelError> {
    check(op, &read(op, actual).await?, expected, TOLERANCE)
}

async fn read(op: &'static str, actual: Tensor<2>) -> Result<Vec<f32>, KernelError> {
    let data = actual.into_data_async().await;
    let data = data.map_err(|error| readback(op, error.to_string()))?;
    let actual = data.try_to_vec::<f32>();
    actual.map_err(|error| readback(op, format!("{error:?}")))
}

/// [`compare`] for a product, whose inputs an optional feature may round where it is of more tokens than a step has.
async fn compare_product(
    op: &'static str,
    actual: Tensor<2>,
    expected: &[f32],
) -> Result<(), KernelError> {
    let rounding = match actual.dims()[0] > MATVEC_TOKENS {
        true => Features::used().rounding(),
        false => 0.0,
    };
    let tolerance = TOLERANCE + COLS as f32 * rounding;
    check(op, &read(op, actual).await?, expected, tolerance)
}

fn readback(op: &'static str, reason: String) -> KernelError {
    KernelError::Readback { op, reason }
}

fn check(
    op: &'static str,
    actual: &[f32],
    expected: &[f32],
    tolerance: f32,
) -> Result<(), KernelError> {
    if Rehearsal::is_on() {
        return Ok(());
    }
    if actual.len() != expected.len() {
        return Err(KernelError::SelfTestLength {
            op,
            actual: actual.len(),
            expected: expected.len(),
        });
    }
    for (index, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        // Written so that a NaN fails.
        let close = (actual - expected).abs() <= tolerance;
        if !close {
            return Err(KernelError::SelfTest {
                op,
                index,
                actual,
                expected,
            });
        }
    }
    Ok(())
}
