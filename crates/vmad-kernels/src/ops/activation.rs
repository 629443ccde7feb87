//! Activations.

use burn::backend::Dispatch;
use burn::tensor::{Tensor, activation};

use crate::backend::ActivationOps;
use crate::route::Route;
use crate::types::Activation;

impl Activation {
    /// The activation of every element.
    #[must_use]
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        if Route::activation(&x) == Route::CpuLoop {
            let activated = <Dispatch as ActivationOps>::activate(x.into_dispatch(), self);
            return Tensor::from_dispatch(activated);
        }
        match self {
            Self::Gelu => activation::gelu(x),
            Self::QuickGelu => x.clone() * activation::sigmoid(x * 1.702),
            Self::Relu => activation::relu(x),
        }
    }
}
