//! Numbers in and out of tensors, and work shared among threads.

use burn::tensor::{Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};

/// Multiply-adds below which waking other threads costs more than it saves.
#[cfg(not(target_family = "wasm"))]
pub(super) const PARALLEL_WORK: usize = 1 << 19;

/// Calls `run` with each chunk of `n` numbers of `out` and its index, on several threads where all of them together take
/// enough multiply-adds (`work`).
pub(super) fn chunks(
    out: &mut [f32],
    n: usize,
    work: usize,
    run: impl Fn(usize, &mut [f32]) + Sync + Send,
) {
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

/// A tensor of these numbers.
pub(super) fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}

/// Numbers per thread in an elementwise loop.
pub(super) const SHARE: usize = 1 << 14;

/// The numbers of a tensor that went through `to_contiguous`, which reduces the storage to them.
pub(super) fn numbers(x: &FlexTensor) -> &[f32] {
    x.storage()
}
