//! Deformable attention on one level, equation (20); reference: transformers' Deformable DETR.

use burn::module::Module;
use burn::tensor::Tensor;
use vmad_kernels::{Points, deformable_attention};

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
        })
    }

    /// # Shapes
    /// - query: `[batch, n, d]`, position already added
    /// - reference: `[n, 2]`, (x, y) in cells, so that (0.5, 0.5) is the first cell's centre
    /// - value: `[batch, grid², d]`
    /// - output: `[batch, n, d]`
    pub fn forward(&self, query: Tensor<3>, reference: Tensor<2>, value: Tensor<3>) -> Tensor<3> {
        let points = Points {
            offsets: self.offsets.forward(query.clone()),
            weights: self.weights.forward(query),
            centres: reference,
            n_heads: self.n_heads,
        };
        let mixed = deformable_attention(self.value.forward(value), points);
        self.output.forward(mixed)
    }
}
