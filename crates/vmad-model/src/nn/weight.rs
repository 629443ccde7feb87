//! A weight matrix, dense or quantised.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use vmad_kernels::{Epilogue, QuantWeight, linear_f32, matmul_linear};

use crate::weights::Matrix;

/// A weight matrix `[rows, cols]`, in floating point or quantised.
///
/// Exactly one of the two is present; `Module` cannot be derived for an enum over a type that is
/// not itself a module, hence the pair.
#[derive(Module, Debug)]
pub(super) struct Weight {
    pub(super) dense: Option<Param<Tensor<2>>>,
    #[module(skip)]
    pub(super) quant: Option<QuantWeight>,
}

impl Weight {
    pub fn new(matrix: Matrix) -> Self {
        match matrix {
            Matrix::Dense(param) => Self {
                dense: Some(param),
                quant: None,
            },
            Matrix::Quant(quant) => Self {
                dense: None,
                quant: Some(quant),
            },
        }
    }

    /// `x · weightᵀ` with `end` (bias, activation, residual) applied to it.
    ///
    /// # Shapes
    /// - x: `[m, cols]`
    /// - output: `[m, rows]`
    pub fn matmul(&self, x: Tensor<2>, end: Epilogue) -> Tensor<2> {
        match (&self.dense, &self.quant) {
            (Some(dense), _) => linear_f32(x, dense.val(), end),
            (None, Some(quant)) => matmul_linear(x, quant, end),
            (None, None) => unreachable!("a weight is dense or quantised by construction"),
        }
    }
}
