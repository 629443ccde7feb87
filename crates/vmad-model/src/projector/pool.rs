//! Average pooling in front of LLaVA-1.5's perceptron.

use burn::module::Module;
use burn::tensor::{Tensor, module};
use vmad_kernels::Activation;

use crate::ModelError;
use crate::config::PoolConfig;
use crate::nn::Mlp;
use crate::weights::{Builder, Init};

/// The projector. Its layers have the names of `mlp2x_gelu`'s: `0` and `2`.
#[derive(Module, Debug)]
pub struct AvgPool {
    mlp: Mlp,
    grid: usize,
    side: usize,
}

impl AvgPool {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &PoolConfig) -> Result<Self, ModelError> {
        let widths = [c.d_vision, c.d_text, c.d_text];
        Ok(Self {
            mlp: Mlp::new(b, ("0", "2"), widths, Init::Torch)?,
            grid: c.grid,
            side: c.side,
        })
    }

    /// # Shapes
    /// - features: `[batch, grid², d_vision]`
    /// - output: `[batch, side², d_text]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        let [batch, _, d] = features.dims();
        let pooled = pool(features, self.grid, self.side);
        let pooled = pooled.reshape([batch, d, self.side * self.side]);
        self.mlp.forward(pooled.swap_dims(1, 2), Activation::Gelu)
    }
}

/// Adaptive average pooling of cells to `side` × `side`, as an image.
///
/// # Shapes
/// - features: `[batch, grid², d]`
/// - output: `[batch, d, side, side]`
pub(super) fn pool(features: Tensor<3>, grid: usize, side: usize) -> Tensor<4> {
    let [batch, _, d] = features.dims();
    let image = features.swap_dims(1, 2).reshape([batch, d, grid, grid]);
    module::adaptive_avg_pool2d(image, [side, side])
}
