//! Small helpers for tensors.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// A vector of integers.
pub fn ints(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}

/// Square images `[n, channels, side, side]`.
pub fn images(values: Vec<f32>, channels: usize, side: usize, device: &Device) -> Tensor<4> {
    let n = values.len() / (channels * side * side).max(1);
    Tensor::from_data(TensorData::new(values, [n, channels, side, side]), device)
}
