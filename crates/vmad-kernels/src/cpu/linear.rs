//! Products with weights, linear layers and embedding look-ups on the CPU backend.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use vmad_quant::BLOCK;
use wide::f32x4;

use super::gemm::gemm;
use super::lanes::{activate, each, gate, squares};
use super::packed::Packed;
use super::tensors::{SHARE, chunks, numbers, tensor};
use super::{fixed, float};
use crate::backend::{ActivationOps, LinearOps};
use crate::types::{Activation, EpilogueFlags, Fusion, OutputLayout, QuantLayout};

/// Parts of the tokens that threads multiply.
const SHARES: usize = 16;

/// x · Wᵀ of activations `[tokens, cols]`: `[tokens, rows]`.
fn times(weight: &Packed, x: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; x.len() / weight.cols * weight.rows];
    if cfg!(target_family = "wasm") {
        fixed::matmul(weight, x, &mut out);
    } else {
        float::matmul(weight, x, &mut out);
    }
    out
}

impl LinearOps for Flex {
    fn matvec_quant(
        x: FlexTensor,
        packed: FlexTensor,
        scales: FlexTensor,
        weight: QuantLayout,
    ) -> FlexTensor {
        let x = x.to_contiguous();
        let shape = Shape::new([x.shape()[0], weight.rows]);
        let weight = Packed::new(weight, &packed, &scales);
        tensor(times(&weight, numbers(&x)), shape)
    }

    fn matvec_fused(
        x: FlexTensor,
        packed: FlexTensor,
        scales: FlexTensor,
        extra: FlexTensor,
        fusion: Fusion,
        weight: QuantLayout,
    ) -> FlexTensor {
        let (x, extra) = (x.to_contiguous(), extra.to_contiguous());
        let (tokens, rows) = (x.shape()[0], weight.rows);
        let weight = Packed::new(weight, &packed, &scales);
        let (x, extra) = (numbers(&x), numbers(&extra));
        let shape = Shape::new([tokens, rows]);
        match fusion {
            Fusion::Residual => {
                let mut out = times(&weight, x);
                each(&mut out, extra, |y, x| y + x);
                tensor(out, shape)
            }
            Fusion::Norm(eps) => tensor(times(&weight, &normed(x, extra, eps)), shape),
            Fusion::NormGated(eps) => gated(times(&weight, &normed(x, extra, eps)), [tokens, rows]),
        }
    }

    fn linear_quant(
        x: FlexTensor,
        packed: FlexTensor,
        scales: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        flags: EpilogueFlags,
        weight: QuantLayout,
    ) -> FlexTensor {
        let [x, bias, residual] = [x, bias, residual].map(|part| part.to_contiguous());
        debug_assert_eq!(flags.layout, OutputLayout::Whole, "see OutputLayout");
        let rows = weight.rows;
        let weight = Packed::new(weight, &packed, &scales);
        let mut out = times(&weight, numbers(&x));
        let tokens = out.len() / rows;
        apply_epilogue(&mut out, rows, flags, [&bias, &residual]);
        tensor(out, Shape::new([tokens, rows]))
    }

    fn linear_f32(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        flags: EpilogueFlags,
    ) -> FlexTensor {
        let parts = [x, weight, bias, residual].map(|part| part.to_contiguous());
        let [x, weight, bias, residual] = parts.each_ref();
        let (tokens, rows, cols) = (x.shape()[0], weight.shape()[0], x.shape()[1]);
        let mut out = vec![0.0; tokens * rows];
        let share = tokens.div_ceil(SHARES).max(1);
        let (x, weight) = (numbers(x), numbers(weight));
        chunks(&mut out, share * rows, tokens * rows * cols, |at, out| {
            let x = &x[at * share * cols..];
            let sizes = [out.len() / rows, rows, cols];
            gemm(sizes, 1.0, (x, cols), (weight, [1, cols]), (out, rows));
        });
        apply_epilogue(&mut out, rows, flags, [bias, residual]);
        tensor(out, Shape::new([tokens, rows]))
    }

    fn gather_quant(
        packed: FlexTensor,
        scales: FlexTensor,
        ids: FlexTensor,
        weight: QuantLayout,
    ) -> FlexTensor {
        let QuantLayout { rows, cols, .. } = weight;
        let ids = ids.to_contiguous();
        let weight = Packed::new(weight, &packed, &scales);
        let ids: &[i32] = ids.storage();
        let mut out = vec![0.0; ids.len() * cols];
        for (&id, row) in ids.iter().zip(out.chunks_exact_mut(cols)) {
            // As in the shader: a negative id is a large one, and a large one reads the last row.
            weight.decode_plain((id.cast_unsigned() as usize).min(rows - 1), row);
        }
        tensor(out, Shape::new([ids.len(), cols]))
    }
}

/// SiLU of the first half of each row times the second.
fn gated(mut both: Vec<f32>, [tokens, width]: [usize; 2]) -> FlexTensor {
    let half = width / 2;
    for both in both.chunks_exact_mut(width) {
        let (gates, values) = both.split_at_mut(half);
        gate(gates, values);
    }
    let gated = both.chunks_exact(width).flat_map(|both| &both[..half]);
    tensor(gated.copied().collect(), Shape::new([tokens, half]))
}

impl ActivationOps for Flex {
    fn activate(x: FlexTensor, activation: Activation) -> FlexTensor {
        let mut activated = x.to_contiguous();
        // A shared storage would be copied.
        drop(x);
        let out: &mut [f32] = activated.storage_mut();
        let work = BLOCK * out.len();
        chunks(out, SHARE, work, |_, out| activate(out, activation));
        activated
    }
}

/// Applies the epilogue to a product with `rows` results per token. Bias and residual are contiguous.
fn apply_epilogue(
    out: &mut [f32],
    rows: usize,
    flags: EpilogueFlags,
    [bias, residual]: [&FlexTensor; 2],
) {
    let bias = flags.has_bias.then(|| numbers(bias));
    let residual = flags.has_residual.then(|| numbers(residual));
    let share = SHARE.div_ceil(rows);
    let work = match flags.activation {
        Some(_) => BLOCK * out.len(),
        None => out.len(),
    };
    chunks(out, share * rows, work, |at, out| {
        if let Some(bias) = bias {
            for out in out.chunks_exact_mut(rows) {
                each(out, bias, |y, bias| y + bias);
            }
        }
        if let Some(activation) = flags.activation {
            activate(out, activation);
        }
        if let Some(residual) = residual {
            each(out, &residual[at * share * rows..][..out.len()], |y, x| {
                y + x
            });
        }
    });
}

/// [`crate::rms_norm`] of rows of `weight.len()` numbers.
fn normed(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    let mut normed = x.to_vec();
    for row in normed.chunks_exact_mut(weight.len()) {
        let mean = squares(row) / row.len() as f32;
        let scale = f32x4::splat((mean + eps).sqrt().recip());
        each(row, weight, |x, weight| x * scale * weight);
    }
    normed
}
