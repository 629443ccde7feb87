//! The operations of a convolutional stem between its products.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::backend::StemOps;
use crate::route::Route;
use crate::types::Activation;

/// Scale, offset and statistics of each channel, `[d]` each.
#[derive(Clone, Debug)]
pub struct ChannelNorm {
    /// Scale.
    pub weight: Tensor<1>,
    /// Offset.
    pub bias: Tensor<1>,
    /// Mean.
    pub mean: Tensor<1>,
    /// Variance.
    pub variance: Tensor<1>,
    /// Added to the variance.
    pub eps: f64,
}

/// `activation((x − mean) / √(variance + ε) · weight + bias)` of each channel, the last dimension (Ioffe & Szegedy
/// 2015).
///
/// # Shapes
/// - x, output: `[…, d]`
///
/// # Panics
/// Like every operation in burn, when the shapes do not fit.
#[must_use]
pub fn batch_norm<const D: usize>(
    x: Tensor<D>,
    norm: ChannelNorm,
    activation: Option<Activation>,
) -> Tensor<D> {
    let ChannelNorm {
        weight,
        bias,
        mean,
        variance,
        eps,
    } = norm;
    let (d, sizes) = (x.dims()[D - 1], [&weight, &bias, &mean, &variance]);
    assert!(
        sizes.iter().all(|part| part.dims() == [d]),
        "batch_norm: {d} channels, {sizes:?}",
        sizes = sizes.map(Tensor::dims)
    );
    if Route::stem(&x) != Route::Composed {
        return Tensor::from_dispatch(<Dispatch as StemOps>::batch_norm(
            x.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            mean.into_dispatch(),
            variance.into_dispatch(),
            eps as f32,
            activation,
        ));
    }
    let scale = weight / (variance + eps).sqrt();
    let offset = bias - mean * scale.clone();
    let y = x * scale.unsqueeze() + offset.unsqueeze();
    match activation {
        Some(activation) => activation.apply(y),
        None => y,
    }
}

/// For each cell of `stride`² pixels the four blocks that cover the cell and half a cell around it, upper before lower,
/// left before right. Pixels outside the image are zero.
///
/// # Shapes
/// - x: `[batch, height, width, d]`, sides a multiple of `stride`
/// - output: `[batch, height / stride, width / stride, 4·stride²·d]`
///
/// # Panics
/// Like every operation in burn, when the shapes do not fit.
#[must_use]
pub fn overlapping_cells(x: Tensor<4>, stride: usize) -> Tensor<4> {
    let [batch, height, width, d] = x.dims();
    assert!(
        stride > 0
            && stride.is_multiple_of(2)
            && height.is_multiple_of(stride)
            && width.is_multiple_of(stride),
        "overlapping_cells: {height}×{width} pixels in cells of {stride}"
    );
    if Route::stem(&x) != Route::Composed {
        let cells = <Dispatch as StemOps>::overlapping_cells(x.into_dispatch(), stride);
        return Tensor::from_dispatch(cells);
    }
    let (rows, columns) = (height / stride, width / stride);
    let device = x.device();
    let border = stride / 2;
    let above = || Tensor::zeros([batch, border, width, d], &device);
    let x = Tensor::cat(vec![above(), x, above()], 1);
    let beside = || Tensor::zeros([batch, height + stride, border, d], &device);
    let x = Tensor::cat(vec![beside(), x, beside()], 2);
    let blocks = x
        .reshape([batch, rows + 1, stride, columns + 1, stride, d])
        .permute([0, 1, 3, 2, 4, 5]) // [batch, rows + 1, columns + 1, stride, stride, d]
        .reshape([batch, rows + 1, columns + 1, stride * stride * d]);
    let corner = |row: usize, column: usize| {
        blocks
            .clone()
            .narrow(1, row, rows)
            .narrow(2, column, columns)
    };
    Tensor::cat(
        vec![corner(0, 0), corner(0, 1), corner(1, 0), corner(1, 1)],
        3,
    )
}
