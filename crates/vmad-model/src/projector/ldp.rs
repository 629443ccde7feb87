//! LDPv2, the light-weight downsample projector of MobileVLM V2 (Chu et al. 2024): linear, GELU,
//! linear on every patch; average pooling; and PEG, a depthwise 3×3 convolution whose output is
//! added as a positional encoding. Names are those of its checkpoints.

use burn::module::Module;
use burn::tensor::Tensor;
use vmad_kernels::Activation;

use super::pool::pool;
use crate::ModelError;
use crate::config::PoolConfig;
use crate::nn::{Conv2d, ConvShape, Mlp};
use crate::weights::{Builder, Init};

/// The projector.
#[derive(Module, Debug)]
pub struct Ldpv2 {
    mlp: Mlp,
    peg: Conv2d,
    grid: usize,
    side: usize,
}

impl Ldpv2 {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &PoolConfig) -> Result<Self, ModelError> {
        let d = c.d_text;
        let widths = [c.d_vision, d, d];
        let depthwise = ConvShape {
            d_in: d,
            d_out: d,
            kernel: 3,
            stride: 1,
            padding: 1,
            groups: d,
            bias: true,
        };
        Ok(Self {
            mlp: Mlp::new(&mut b.at("mlp.mlp"), ("0", "2"), widths, Init::Torch)?,
            peg: Conv2d::new(&mut b.at("peg.peg.0"), depthwise)?,
            grid: c.grid,
            side: c.side,
        })
    }

    /// # Shapes
    /// - features: `[batch, grid², d_vision]`
    /// - output: `[batch, side², d_text]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        let [batch, _, _] = features.dims();
        let pooled = pool(
            self.mlp.forward(features, Activation::Gelu),
            self.grid,
            self.side,
        );
        let [_, d, _, _] = pooled.dims();
        let placed = self.peg.forward(pooled.clone()) + pooled;
        placed
            .reshape([batch, d, self.side * self.side])
            .swap_dims(1, 2)
    }
}
