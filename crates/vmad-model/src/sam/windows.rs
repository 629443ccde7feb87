//! Windows of a feature map, which both image encoders attend in.

use burn::tensor::Tensor;

/// Cuts the map into windows, calls `each` on all of them at once and puts the map together again.
///
/// Where the window does not divide the side, zeros are added below and right and cut off after.
///
/// # Shapes
/// - x, output: `[batch, side, side, d]`
/// - in and out of `each`: `[batch·n_windows², window, window, d]`
pub fn in_windows(
    x: Tensor<4>,
    window: usize,
    each: impl FnOnce(Tensor<4>) -> Tensor<4>,
) -> Tensor<4> {
    let [batch, side, _, d] = x.dims();
    let n_windows = side.div_ceil(window);
    let padded = n_windows * window;
    let x = if padded > side {
        let device = x.device();
        let below = Tensor::zeros([batch, padded - side, side, d], &device);
        let x = Tensor::cat(vec![x, below], 1);
        let right = Tensor::zeros([batch, padded, padded - side, d], &device);
        Tensor::cat(vec![x, right], 2)
    } else {
        x
    };
    let windows = x
        .reshape([batch, n_windows, window, n_windows, window, d])
        .swap_dims(2, 3) // [batch, window row, window col, window, window, d]
        .reshape([batch * n_windows * n_windows, window, window, d]);
    each(windows)
        .reshape([batch, n_windows, n_windows, window, window, d])
        .swap_dims(2, 3)
        .reshape([batch, padded, padded, d])
        .narrow(1, 0, side)
        .narrow(2, 0, side)
}
