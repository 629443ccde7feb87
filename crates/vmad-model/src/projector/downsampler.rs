//! The spatial-preserving downsampler, §4.2: RegNet bottlenecks around an average pooling.
//! Reference: Honeybee's C-Abstractor.

use burn::module::Module;
use burn::tensor::{Tensor, activation};

use crate::ModelError;
use crate::config::LtcConfig;
use crate::nn::{Conv2d, ConvShape, LayerNorm, Linear, silu, to_channels_last, to_image};
use crate::weights::Builder;

/// Channel norms inside the blocks, as timm's `LayerNorm2d`.
const EPS: f64 = 1e-6;

/// 1×1, 3×3 depthwise, squeeze-excite, 1×1; all of width d.
#[derive(Module, Debug)]
struct Bottleneck {
    conv1: Linear,
    norm1: LayerNorm,
    conv2: Conv2d,
    norm2: LayerNorm,
    squeeze: Linear,
    excite: Linear,
    conv3: Linear,
    norm3: LayerNorm,
}

impl Bottleneck {
    fn new(b: &mut Builder, d: usize, se_dim: usize) -> Result<Self, ModelError> {
        let depthwise = ConvShape {
            d_in: d,
            d_out: d,
            kernel: 3,
            stride: 1,
            padding: 1,
            groups: d,
            bias: false,
        };
        let mut one = b.at("conv1");
        let conv1 = Linear::pointwise(&mut one.at("conv"), d, d, false)?;
        let norm1 = LayerNorm::new(&mut one.at("bn"), d, EPS)?;
        let mut two = b.at("conv2");
        let conv2 = Conv2d::new(&mut two.at("conv"), depthwise)?;
        let norm2 = LayerNorm::new(&mut two.at("bn"), d, EPS)?;
        let mut se = b.at("se");
        let squeeze = Linear::pointwise(&mut se.at("fc1"), d, se_dim, true)?;
        let excite = Linear::pointwise(&mut se.at("fc2"), se_dim, d, true)?;
        let mut three = b.at("conv3");
        let conv3 = Linear::pointwise(&mut three.at("conv"), d, d, false)?;
        let norm3 = LayerNorm::new(&mut three.at("bn"), d, EPS)?;
        Ok(Self {
            conv1,
            norm1,
            conv2,
            norm2,
            squeeze,
            excite,
            conv3,
            norm3,
        })
    }

    /// Keeps the shape `[batch, side, side, d]` (channels last).
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let h = silu(self.norm1.forward(self.conv1.forward(x.clone())));
        let h = to_channels_last(self.conv2.forward(to_image(h)));
        let h = silu(self.norm2.forward(h));
        let pooled = h.clone().mean_dim(1).mean_dim(2); // [batch, 1, 1, d]
        let gate = activation::sigmoid(self.excite.forward(silu(self.squeeze.forward(pooled))));
        silu(x + self.norm3.forward(self.conv3.forward(h * gate)))
    }
}

/// Residual blocks, s×s mean, residual blocks; without blocks the mean alone.
#[derive(Module, Debug)]
pub struct Downsampler {
    pre: Vec<Bottleneck>,
    post: Vec<Bottleneck>,
    grid: usize,
    stride: usize,
}

impl Downsampler {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &LtcConfig) -> Result<Self, ModelError> {
        let mut stage = |name: &str| -> Result<Vec<Bottleneck>, ModelError> {
            let mut b = b.at(name);
            (0..c.n_res_blocks)
                .map(|k| Bottleneck::new(&mut b.at(k), c.d_vision, c.se_dim))
                .collect()
        };
        Ok(Self {
            pre: stage("pre")?,
            post: stage("post")?,
            grid: c.grid,
            stride: c.stride,
        })
    }

    /// # Shapes
    /// - x: `[batch, grid², d]`
    /// - output: `[batch, (grid / stride)², d]`, Z₀
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, _, d] = x.dims();
        let (side, s) = (self.grid / self.stride, self.stride);
        let run = |x, blocks: &[Bottleneck]| blocks.iter().fold(x, |x, block| block.forward(x));
        let x = run(x.reshape([batch, self.grid, self.grid, d]), &self.pre);
        let pooled = x
            .reshape([batch, side, s, side, s, d])
            .mean_dim(2)
            .mean_dim(4)
            .reshape([batch, side, side, d]);
        run(pooled, &self.post).reshape([batch, side * side, d])
    }
}
