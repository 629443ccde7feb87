//! The token embedding.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use vmad_kernels::{Epilogue, gather_quant};

use super::weight::Weight;
use crate::ModelError;
use crate::weights::{Builder, Init};

/// A table of vectors, one for each token id.
#[derive(Module, Debug)]
pub struct Embedding {
    weight: Weight,
    /// Rows of the table.
    pub vocab_size: usize,
    d_model: usize,
}

impl Embedding {
    /// A table `[vocab_size, d_model]`.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, vocab_size: usize, d_model: usize) -> Result<Self, ModelError> {
        let matrix = b.matrix("weight", &[vocab_size, d_model], Init::Normal(0.02))?;
        Ok(Self {
            weight: Weight::new(matrix),
            vocab_size,
            d_model,
        })
    }

    /// # Shapes
    /// - ids: `[n]`
    /// - output: `[n, d_model]`
    pub fn forward(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        match (&self.weight.dense, &self.weight.quant) {
            (Some(dense), _) => dense.val().select(0, ids),
            (None, Some(quant)) => gather_quant(quant, ids),
            (None, None) => unreachable!("a weight is dense or quantised by construction"),
        }
    }

    /// The table as an output head: `[m, d_model]` to logits `[m, vocab_size]`.
    pub fn as_head(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.weight.matmul(hidden, Epilogue::default())
    }
}
