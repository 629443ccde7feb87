//! Deformable attention on one level (Zhu et al. 2021); reference: transformers' Deformable DETR.

#[cfg(feature = "wgpu")]
use burn::backend::Dispatch;
use burn::tensor::{Int, Tensor, TensorData, activation};

#[cfg(feature = "wgpu")]
use crate::backend::DeformableOps;
use crate::route::Route;

/// The sampling points of each query.
#[derive(Clone, Debug)]
pub struct Points {
    /// Offsets from the query's centre, (x, y) in cells, `[batch, n, n_heads · n_points · 2]`.
    pub offsets: Tensor<3>,
    /// Logits of the points, before the softmax over the points of a head, `[batch, n, n_heads · n_points]`.
    pub weights: Tensor<3>,
    /// The centre (x, y) of each query in cells; (0.5, 0.5) is the centre of the first cell, `[n, 2]`.
    pub centres: Tensor<2>,
    /// Heads; each has an equal share of a value's channels.
    pub n_heads: usize,
}

/// The weighted sum of the values at the points of each query and head. Bilinear between the centres of cells, zero
/// outside the grid.
///
/// On GPUs one launch (`shaders/deformable_attention.wgsl`); elsewhere burn's operations, which can be
/// differentiated.
///
/// # Shapes
/// - value: `[batch, side², d]`
/// - output: `[batch, n, d]`
///
/// # Panics
/// Like every operation in burn, when the shapes do not fit.
#[must_use]
pub fn deformable_attention(value: Tensor<3>, points: Points) -> Tensor<3> {
    match Route::deformable_attention(&value, &points.offsets) {
        #[cfg(feature = "wgpu")]
        Route::Tile => {
            let Points {
                offsets,
                weights,
                centres,
                n_heads,
            } = points;
            Tensor::from_dispatch(<Dispatch as DeformableOps>::deformable_attention(
                value.into_dispatch(),
                offsets.into_dispatch(),
                weights.into_dispatch(),
                centres.into_dispatch(),
                n_heads,
            ))
        }
        _ => composed(value, points),
    }
}

fn composed(value: Tensor<3>, points: Points) -> Tensor<3> {
    let [batch, n_cells, d] = value.dims();
    let Points {
        offsets,
        weights,
        centres,
        n_heads,
    } = points;
    let [_, n, samples] = weights.dims();
    let (n_points, d_head, side) = (samples / n_heads, d / n_heads, n_cells.isqrt());
    let weights = activation::softmax(weights.reshape([batch, n, n_heads, n_points]), 3);
    // Half-pixel convention: a location in cells minus ½ is an index.
    let at = offsets.reshape([batch, n, samples, 2]) + centres.reshape([1, n, 1, 2]) - 0.5;
    let coordinate = |axis| {
        at.clone()
            .narrow(3, axis, 1)
            .reshape([batch, n, n_heads, n_points])
            .swap_dims(1, 2) // [batch, n_heads, n, n_points]
    };
    let (x, y) = (coordinate(0), coordinate(1));
    let value = value
        .reshape([batch, n_cells, n_heads, d_head])
        .swap_dims(1, 2)
        .reshape([batch * n_heads * n_cells, d_head]);
    let sampled = sample_bilinear(value, x, y, side); // [batch, n_heads, n, n_points, d_head]
    let weights = weights
        .swap_dims(1, 2)
        .reshape([batch, n_heads, n, n_points, 1]);
    (sampled * weights)
        .sum_dim(3)
        .reshape([batch, n_heads, n, d_head])
        .swap_dims(1, 2)
        .reshape([batch, n, d])
}

/// Bilinear samples at fractional indices, zero outside the grid.
///
/// # Shapes
/// - value: `[batch·n_heads·grid², d_head]`
/// - x, y: `[batch, n_heads, n, n_points]`, indices of cells
/// - output: `[batch, n_heads, n, n_points, d_head]`
fn sample_bilinear(value: Tensor<2>, x: Tensor<4>, y: Tensor<4>, grid: usize) -> Tensor<5> {
    let [batch, n_heads, n, n_points] = x.dims();
    let [_, d_head] = value.dims();
    let n_samples = batch * n_heads * n * n_points;
    // Gradients flow through the fractions, not through the choice of cells.
    let x0 = x.clone().detach().floor();
    let y0 = y.clone().detach().floor();
    let bases: Vec<f32> = (0..batch * n_heads)
        .map(|i| (i * grid * grid) as f32)
        .collect();
    let base = Tensor::<1>::from_data(TensorData::new(bases, [batch * n_heads]), &value.device())
        .reshape([batch, n_heads, 1, 1]);
    let last = (grid - 1) as f64;
    let mut sum: Option<Tensor<5>> = None;
    for (dx, dy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
        let (cx, cy) = (x0.clone() + dx, y0.clone() + dy);
        let inside = |c: &Tensor<4>| {
            c.clone().greater_equal_elem(0.0).float() * c.clone().lower_equal_elem(last).float()
        };
        let share = |c: &Tensor<4>, at: &Tensor<4>| (at.clone() - c.clone()).abs().neg() + 1.0;
        let weight = share(&cx, &x) * share(&cy, &y) * inside(&cx) * inside(&cy);
        let index = cy.clamp(0.0, last) * grid as f64 + cx.clamp(0.0, last) + base.clone();
        let index: Tensor<1, Int> = index.reshape([n_samples]).int();
        let corner = value
            .clone()
            .select(0, index)
            .reshape([batch, n_heads, n, n_points, d_head]);
        let term = corner * weight.reshape([batch, n_heads, n, n_points, 1]);
        sum = Some(match sum {
            Some(sum) => sum + term,
            None => term,
        });
    }
    sum.unwrap_or_else(|| unreachable!("four corners were summed"))
}
