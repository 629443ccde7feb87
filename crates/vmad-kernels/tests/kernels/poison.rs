//! Recycled memory that shows what an operation leaves unwritten.

use burn::tensor::{Device, Tensor};

/// Elements of the tensors that are filled: the allocator has a pool for each magnitude.
const SIZES: [usize; 5] = [16, 1 << 10, 1 << 14, 1 << 17, 1 << 20];

/// Fills memory with NaN and frees it, so that the next results lie there. An element that an operation does not write,
/// or a padded one that it reads, then fails a comparison.
pub fn poison(device: &Device) {
    let filled = SIZES.map(|n| Tensor::<1>::full([n], f32::NAN, device));
    drop(filled);
}
