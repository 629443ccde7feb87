//! A convolutional stem in place of a patch embedding, for both encoders. An option of ours
//! ([`crate::config::Stem::Conv`]): public checkpoints do not have it.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::ModelError;
use crate::nn::{Conv2d, ConvShape, LayerNorm, gelu, to_channels_last};
use crate::weights::Builder;

/// 3×3 convolutions of stride 2, each with channel norm and GELU, until a pixel is left of each
/// patch (Xiao et al. 2021). The width doubles from one to the next.
#[derive(Module, Debug)]
pub struct ConvStem {
    convs: Vec<Conv2d>,
    norms: Vec<LayerNorm>,
}

impl ConvStem {
    /// `patch_size` is a power of two, `d_model` a multiple of half of it
    /// ([`crate::VmadConfig::validate`]).
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(
        b: &mut Builder,
        patch_size: usize,
        d_model: usize,
        eps: f64,
    ) -> Result<Self, ModelError> {
        let n = patch_size.ilog2() as usize;
        let (mut convs, mut norms) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut d_in = 3;
        for i in 0..n {
            let d_out = d_model >> (n - 1 - i);
            let shape = ConvShape {
                d_in,
                d_out,
                kernel: 3,
                stride: 2,
                padding: 1,
                groups: 1,
                bias: false,
            };
            let mut stage = b.at(i);
            convs.push(Conv2d::new(&mut stage.at("conv"), shape)?);
            norms.push(LayerNorm::new(&mut stage.at("norm"), d_out, eps)?);
            d_in = d_out;
        }
        Ok(Self { convs, norms })
    }

    /// # Shapes
    /// - pixels: `[batch, 3, side, side]`
    /// - output: `[batch, (side / patch_size)², d_model]`
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let image = self
            .convs
            .iter()
            .zip(&self.norms)
            .fold(pixels, |x, (conv, norm)| {
                gelu(norm.forward_image(conv.forward(x)))
            });
        to_channels_last(image).flatten(1, 2)
    }
}
