//! Deformable attention on one level, equation (20); reference: transformers' Deformable DETR.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData, activation};

use crate::ModelError;
use crate::nn::Linear;
use crate::weights::{Builder, Init};

/// Each query samples a few points around its reference, per head.
#[derive(Module, Debug)]
pub struct DeformableAttention {
    offsets: Linear,
    weights: Linear,
    value: Linear,
    output: Linear,
    n_heads: usize,
    n_points: usize,
}

impl DeformableAttention {
    /// # Errors
    /// As the weight source's.
    pub fn new(
        b: &mut Builder,
        d: usize,
        n_heads: usize,
        n_points: usize,
    ) -> Result<Self, ModelError> {
        let samples = n_heads * n_points;
        // The offsets start from fixed directions and a zero matrix, the weights from uniform.
        let offsets = Linear::with_inits(
            &mut b.at("sampling_offsets"),
            d,
            samples * 2,
            Init::Zeros,
            Init::Directions { n_heads, n_points },
        )?;
        let weights = Linear::new(&mut b.at("attention_weights"), d, samples, Init::Zeros)?;
        let value = Linear::new(&mut b.at("value_proj"), d, d, Init::Xavier)?;
        let output = Linear::new(&mut b.at("output_proj"), d, d, Init::Xavier)?;
        Ok(Self {
            offsets,
            weights,
            value,
            output,
            n_heads,
            n_points,
        })
    }

    /// # Shapes
    /// - query: `[batch, n, d]`, position already added
    /// - reference: `[n, 2]`, (x, y) in cells, so that (0.5, 0.5) is the first cell's centre
    /// - value: `[batch, grid², d]`
    /// - output: `[batch, n, d]`
    pub fn forward(&self, query: Tensor<3>, reference: Tensor<2>, value: Tensor<3>) -> Tensor<3> {
        let [batch, n, d] = query.dims();
        let [_, n_cells, _] = value.dims();
        let (n_heads, n_points) = (self.n_heads, self.n_points);
        let d_head = d / n_heads;
        let grid = n_cells.isqrt();

        let weights = self.weights.forward(query.clone());
        let weights = activation::softmax(weights.reshape([batch, n, n_heads, n_points]), 3);
        let offsets = self
            .offsets
            .forward(query)
            .reshape([batch, n, n_heads * n_points, 2]);
        // Half-pixel convention: a location in cells minus ½ is an index.
        let at = offsets + reference.reshape([1, n, 1, 2]) - 0.5;
        let coordinate = |axis| {
            at.clone()
                .narrow(3, axis, 1)
                .reshape([batch, n, n_heads, n_points])
                .swap_dims(1, 2) // [batch, n_heads, n, n_points]
        };
        let (x, y) = (coordinate(0), coordinate(1));

        let value = self
            .value
            .forward(value)
            .reshape([batch, n_cells, n_heads, d_head])
            .swap_dims(1, 2)
            .reshape([batch * n_heads * n_cells, d_head]);
        let sampled = sample_bilinear(value, x, y, grid); // [batch, n_heads, n, n_points, d_head]
        let weights = weights
            .swap_dims(1, 2)
            .reshape([batch, n_heads, n, n_points, 1]);
        let mixed = (sampled * weights)
            .sum_dim(3)
            .reshape([batch, n_heads, n, d_head])
            .swap_dims(1, 2)
            .reshape([batch, n, d]);
        self.output.forward(mixed)
    }
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
