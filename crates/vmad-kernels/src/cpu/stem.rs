//! The operations of a convolutional stem on the CPU backend.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use burn_flex::FlexTensor;
use vmad_quant::BLOCK;

use super::lanes::{activate, scale_and_shift};
use super::tensors::{SHARE, chunks, numbers, tensor};
use crate::backend::StemOps;
use crate::types::Activation;

impl StemOps for Flex {
    fn batch_norm(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        eps: f32,
        activation: Option<Activation>,
    ) -> FlexTensor {
        let parts = [weight, bias, mean, variance].map(|part| part.to_contiguous());
        let [weight, bias, mean, variance] = parts.each_ref().map(numbers);
        let scales = weight.iter().zip(variance);
        let scales: Vec<f32> = scales.map(|(w, v)| w / (v + eps).sqrt()).collect();
        let shifts = bias.iter().zip(mean.iter().zip(&scales));
        let shifts: Vec<f32> = shifts.map(|(b, (m, scale))| b - m * scale).collect();
        let (x, shape) = (x.to_contiguous(), x.shape());
        let mut out = numbers(&x).to_vec();
        let channels = scales.len().max(1);
        let work = if activation.is_some() {
            BLOCK * out.len()
        } else {
            out.len()
        };
        chunks(
            &mut out,
            SHARE.div_ceil(channels) * channels,
            work,
            |_, out| {
                for row in out.chunks_exact_mut(channels) {
                    scale_and_shift(row, &scales, &shifts);
                }
                if let Some(activation) = activation {
                    activate(out, activation);
                }
            },
        );
        tensor(out, shape)
    }

    fn overlapping_cells(x: FlexTensor, stride: usize) -> FlexTensor {
        let (x, shape) = (x.to_contiguous(), x.shape());
        let [batch, height, width, d] = [shape[0], shape[1], shape[2], shape[3]];
        let (rows, columns) = (height / stride, width / stride);
        let x = numbers(&x);
        let size = 4 * stride * stride * d;
        let mut out = vec![0.0; batch * rows * columns * size];
        let work = out.len();
        // One row of cells at a time; a cell consists of runs of `stride` pixels.
        chunks(&mut out, columns * size, work, |at, out| {
            let (image, top) = (&x[at / rows * height * width * d..], at % rows * stride);
            for (i, out) in out.chunks_exact_mut(stride * d).enumerate() {
                let (column, block, row_in) = (i / (4 * stride), i / stride % 4, i % stride);
                let row = top + block / 2 * stride + row_in;
                let first = column * stride + block % 2 * stride;
                copy_run(image, out, [row, first], [height, width, d], stride / 2);
            }
        });
        tensor(out, Shape::new([batch, rows, columns, size]))
    }
}

/// Copies the pixels of a run that lie inside the image. `row` and `first` are positions in the padded image.
fn copy_run(
    image: &[f32],
    out: &mut [f32],
    [row, first]: [usize; 2],
    [height, width, d]: [usize; 3],
    border: usize,
) {
    if row < border || row - border >= height {
        return;
    }
    let n = out.len() / d;
    let from = first.max(border);
    let to = (first + n).min(border + width);
    if from < to {
        let pixels = &image[((row - border) * width + from - border) * d..][..(to - from) * d];
        out[(from - first) * d..][..pixels.len()].copy_from_slice(pixels);
    }
}
