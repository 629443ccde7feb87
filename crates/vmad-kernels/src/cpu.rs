//! The operations on the CPU backend.
//!
//! A few tokens: each row is decoded in registers inside its dot products. Many tokens: a tile of
//! rows that fits the second-level cache is decoded and multiplied. Either way the decoded matrix
//! never exists. Machines with fused multiply-add compute in floats, WebAssembly in integers.

mod attention;
mod fixed;
mod float;
mod gemm;
mod lanes;
#[cfg(any(target_family = "wasm", test))]
mod panels;
mod product;
mod stem;

use burn::backend::{DispatchDevice, TensorMetadata};
use burn::tensor::{Bytes, DType, Shape, Tensor};
use burn_flex::{FlexTensor, Layout};
use vmad_quant::BLOCK;

use crate::QuantKind;

/// Multiply-adds below which waking other threads costs more than it saves.
#[cfg(not(target_family = "wasm"))]
const PARALLEL_WORK: usize = 1 << 19;

/// Whether the operations here can take a tensor: on the CPU backend, in single precision, without a graph.
pub(crate) fn fits<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.device().as_dispatch(), DispatchDevice::Flex(_)) && x.dtype() == DType::F32
}

/// Hands out `out` in chunks of `n` numbers, which together take `work` multiply-adds, with their index.
fn chunks(out: &mut [f32], n: usize, work: usize, run: impl Fn(usize, &mut [f32]) + Sync + Send) {
    let run = |(at, out): (usize, &mut [f32])| run(at, out);
    #[cfg(not(target_family = "wasm"))]
    if work >= PARALLEL_WORK {
        use rayon::prelude::*;
        out.par_chunks_mut(n.max(1)).enumerate().for_each(run);
        return;
    }
    #[cfg(target_family = "wasm")]
    let _ = work;
    out.chunks_mut(n.max(1)).enumerate().for_each(run);
}

/// See [`crate::matmul_quant`].
pub(crate) fn flex_matmul(
    kind: QuantKind,
    x: &FlexTensor,
    packed: &FlexTensor,
    scales: &FlexTensor,
    rows: usize,
    cols: usize,
) -> FlexTensor {
    let x = x.to_contiguous();
    let weight = Packed::new(kind, packed, scales, rows, cols);
    tensor(weight.times(x.storage()), Shape::new([x.shape()[0], rows]))
}

/// See [`crate::gather_quant`].
pub(crate) fn flex_gather(
    kind: QuantKind,
    packed: &FlexTensor,
    scales: &FlexTensor,
    ids: &FlexTensor,
    rows: usize,
    cols: usize,
) -> FlexTensor {
    let ids = ids.to_contiguous();
    let weight = Packed::new(kind, packed, scales, rows, cols);
    let ids: &[i32] = ids.storage();
    let mut out = vec![0.0; ids.len() * cols];
    for (&id, row) in ids.iter().zip(out.chunks_exact_mut(cols)) {
        // As in the shader: a negative id is a large one, a large one is the last.
        weight.decode_plain((id.cast_unsigned() as usize).min(rows - 1), row);
    }
    tensor(out, Shape::new([ids.len(), cols]))
}

fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}

/// A packed matrix in host memory.
#[derive(Clone, Copy)]
struct Packed<'a> {
    kind: QuantKind,
    words: &'a [u32],
    scales: &'a [u32],
    rows: usize,
    cols: usize,
    blocks: usize,
}

impl<'a> Packed<'a> {
    /// The tensors of a `QuantWeight` are contiguous i32 buffers by construction.
    fn new(
        kind: QuantKind,
        packed: &'a FlexTensor,
        scales: &'a FlexTensor,
        rows: usize,
        cols: usize,
    ) -> Self {
        Self {
            kind,
            words: bytemuck::cast_slice(packed.bytes()),
            scales: bytemuck::cast_slice(scales.bytes()),
            rows,
            cols,
            blocks: cols.div_ceil(BLOCK),
        }
    }

    /// The words of one row.
    #[inline(always)]
    fn row(&self, row: usize) -> &'a [u32] {
        let width = self.blocks * self.kind.words_per_block();
        &self.words[row * width..][..width]
    }

    /// The scale of a block, counted row after row.
    ///
    /// Moving the f16 bits into place and multiplying by 2¹¹² is exact for every finite value,
    /// subnormal ones included, and needs no conversion instruction.
    #[inline(always)]
    fn scale(&self, block: usize) -> f32 {
        let half = self.scales[block / 2] >> (16 * (block % 2));
        let bits = (half & 0x8000) << 16 | (half & 0x7fff) << 13;
        f32::from_bits(bits) * f32::from_bits((127 + 112) << 23)
    }

    /// x · Wᵀ of activations `[tokens, cols]`: `[tokens, rows]`.
    fn times(&self, x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len() / self.cols * self.rows];
        if cfg!(target_family = "wasm") {
            fixed::matmul(self, x, &mut out);
        } else {
            float::matmul(self, x, &mut out);
        }
        out
    }

    /// One row in the order of its columns.
    fn decode_plain(&self, row: usize, out: &mut [f32]) {
        let words = self.row(row);
        for (col, value) in out.iter_mut().enumerate() {
            let q = match self.kind {
                QuantKind::Q8 => i32::from((words[col / 4] >> (8 * (col % 4))) as u8 as i8),
                QuantKind::Q4 => ((words[col / 8] >> (4 * (col % 8))) & 15) as i32 - 8,
            };
            *value = q as f32 * self.scale(row * self.blocks + col / BLOCK);
        }
    }
}
