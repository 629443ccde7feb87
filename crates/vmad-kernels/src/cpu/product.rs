//! Products with what comes before or after them, on the CPU backend.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use vmad_quant::BLOCK;
use wide::f32x4;

use super::gemm::gemm;
use super::lanes::{activate, each, gate, squares};
use super::{Packed, chunks, tensor};
use crate::QuantKind;
use crate::product::{Activation, ActivationOps, Around, Ends, ProductOps, Results};

/// Numbers that a thread takes at a time.
pub(super) const SHARE: usize = 1 << 14;

/// Parts of the tokens that threads multiply.
const SHARES: usize = 16;

impl ProductOps for Flex {
    fn linear(
        x: FlexTensor,
        packed: FlexTensor,
        scales: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        ends: Ends,
        (kind, rows): (QuantKind, usize),
    ) -> FlexTensor {
        let (x, bias, residual) = (
            x.to_contiguous(),
            bias.to_contiguous(),
            residual.to_contiguous(),
        );
        debug_assert_eq!(ends.results, Results::Whole, "views do here");
        let weight = Packed::new(kind, &packed, &scales, rows, x.shape()[1]);
        let mut out = weight.times(numbers(&x));
        let tokens = out.len() / rows;
        finish(&mut out, rows, ends, [&bias, &residual]);
        tensor(out, Shape::new([tokens, rows]))
    }

    fn linear_f32(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        ends: Ends,
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
        finish(&mut out, rows, ends, [bias, residual]);
        tensor(out, Shape::new([tokens, rows]))
    }

    fn product(
        x: FlexTensor,
        packed: FlexTensor,
        scales: FlexTensor,
        extra: FlexTensor,
        around: Around,
        (kind, rows): (QuantKind, usize),
    ) -> FlexTensor {
        let (x, extra) = (x.to_contiguous(), extra.to_contiguous());
        let (tokens, cols) = (x.shape()[0], x.shape()[1]);
        let weight = Packed::new(kind, &packed, &scales, rows, cols);
        let (x, extra) = (numbers(&x), numbers(&extra));
        match around {
            Around::Added => {
                let mut out = weight.times(x);
                each(&mut out, extra, |y, x| y + x);
                tensor(out, Shape::new([tokens, rows]))
            }
            Around::Normed(eps) => tensor(
                weight.times(&normed(x, extra, eps)),
                Shape::new([tokens, rows]),
            ),
            Around::Gated(eps) => gated(weight.times(&normed(x, extra, eps)), [tokens, rows]),
        }
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
        // Otherwise the numbers would be shared, and copied.
        drop(x);
        let out: &mut [f32] = activated.storage_mut();
        let work = BLOCK * out.len();
        chunks(out, SHARE, work, |_, out| activate(out, activation));
        activated
    }
}

/// What a linear layer does with a product of `rows` results a token; bias and residual are contiguous.
fn finish(out: &mut [f32], rows: usize, ends: Ends, [bias, residual]: [&FlexTensor; 2]) {
    let bias = ends.has_bias.then(|| numbers(bias));
    let residual = ends.has_residual.then(|| numbers(residual));
    let share = SHARE.div_ceil(rows);
    let work = match ends.activation {
        Some(_) => BLOCK * out.len(),
        None => out.len(),
    };
    chunks(out, share * rows, work, |at, out| {
        if let Some(bias) = bias {
            for out in out.chunks_exact_mut(rows) {
                each(out, bias, |y, bias| y + bias);
            }
        }
        if let Some(activation) = ends.activation {
            activate(out, activation);
        }
        if let Some(residual) = residual {
            each(out, &residual[at * share * rows..][..out.len()], |y, x| {
                y + x
            });
        }
    });
}

/// The numbers of a tensor that went through `to_contiguous`, which cuts the storage to them.
pub(super) fn numbers(x: &FlexTensor) -> &[f32] {
    x.storage()
}

/// See [`crate::rms_norm`].
fn normed(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    let mut normed = x.to_vec();
    for row in normed.chunks_exact_mut(weight.len()) {
        let mean = squares(row) / row.len() as f32;
        let scale = f32x4::splat((mean + eps).sqrt().recip());
        each(row, weight, |x, weight| x * scale * weight);
    }
    normed
}
