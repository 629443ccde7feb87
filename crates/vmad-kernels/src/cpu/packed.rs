//! Packed weights in host memory.

use burn_flex::FlexTensor;
use vmad_quant::BLOCK;

use crate::types::QuantLayout;
use crate::weight::QuantKind;

/// A packed matrix in host memory.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a> {
    pub kind: QuantKind,
    pub words: &'a [u32],
    pub scales: &'a [u32],
    pub rows: usize,
    pub cols: usize,
    pub blocks: usize,
}

impl<'a> Packed<'a> {
    /// The tensors of a `QuantWeight` are contiguous i32 buffers by construction.
    pub fn new(
        QuantLayout { kind, rows, cols }: QuantLayout,
        packed: &'a FlexTensor,
        scales: &'a FlexTensor,
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
    pub fn row(&self, row: usize) -> &'a [u32] {
        let width = self.blocks * self.kind.words_per_block();
        &self.words[row * width..][..width]
    }

    /// The scale of a block, counted row after row.
    ///
    /// Moving the f16 bits into place and multiplying by 2¹¹² is exact for every finite value,
    /// subnormal ones included, and needs no conversion instruction.
    #[inline(always)]
    pub fn scale(&self, block: usize) -> f32 {
        let half = self.scales[block / 2] >> (16 * (block % 2));
        let bits = (half & 0x8000) << 16 | (half & 0x7fff) << 13;
        f32::from_bits(bits) * f32::from_bits((127 + 112) << 23)
    }

    /// One row in the order of its columns.
    pub fn decode_plain(&self, row: usize, out: &mut [f32]) {
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
