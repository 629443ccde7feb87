//! All projectors behind one type.

use burn::module::Module;
use burn::tensor::Tensor;
use vmad_kernels::Activation;

#[cfg(feature = "ablation")]
use super::ldp::Ldpv2;
use super::ltc::Ltc;
#[cfg(feature = "ablation")]
use super::pool::AvgPool;
#[cfg(feature = "ablation")]
use super::resampler::Resampler;
use super::token_packer::TokenPacker;
use crate::ModelError;
use crate::config::ProjectorConfig;
use crate::nn::{Linear, Mlp};
use crate::weights::{Builder, Init};

/// One of the projectors.
#[expect(
    clippy::large_enum_variant,
    reason = "a model holds one; a box would not save anything"
)]
#[derive(Module, Debug)]
pub enum Projector {
    /// LLaVA v1's linear layer.
    Linear(Linear),
    /// LLaVA-1.5's two-layer perceptron.
    Mlp2xGelu(Mlp),
    /// TokenPacker.
    TokenPacker(TokenPacker),
    /// Locality-enhanced token compression.
    Ltc(Ltc),
    /// Average pooling.
    #[cfg(feature = "ablation")]
    AvgPool(AvgPool),
    /// Qwen-VL's resampler.
    #[cfg(feature = "ablation")]
    Resampler(Resampler),
    /// MobileVLM V2's projector.
    #[cfg(feature = "ablation")]
    Ldpv2(Ldpv2),
}

impl Projector {
    /// Builds from the root of the names: LTC lives under `ltc`, the others under `projector`.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, config: &ProjectorConfig) -> Result<Self, ModelError> {
        Ok(match config {
            ProjectorConfig::Linear {
                d_vision, d_text, ..
            } => {
                let mut b = b.at("projector");
                Self::Linear(Linear::new(&mut b, *d_vision, *d_text, Init::Torch)?)
            }
            ProjectorConfig::Mlp2xGelu {
                d_vision, d_text, ..
            } => {
                let widths = [*d_vision, *d_text, *d_text];
                let mut b = b.at("projector");
                Self::Mlp2xGelu(Mlp::new(&mut b, ("0", "2"), widths, Init::Torch)?)
            }
            ProjectorConfig::TokenPacker(region) => {
                Self::TokenPacker(TokenPacker::new(&mut b.at("projector"), region)?)
            }
            ProjectorConfig::Ltc(ltc) => Self::Ltc(Ltc::new(&mut b.at("ltc"), ltc)?),
            #[cfg(feature = "ablation")]
            ProjectorConfig::AvgPool(pool) => {
                Self::AvgPool(AvgPool::new(&mut b.at("projector"), pool)?)
            }
            #[cfg(feature = "ablation")]
            ProjectorConfig::Resampler(resampler) => {
                Self::Resampler(Resampler::new(&mut b.at("projector"), resampler)?)
            }
            #[cfg(feature = "ablation")]
            ProjectorConfig::Ldpv2(ldp) => Self::Ldpv2(Ldpv2::new(&mut b.at("projector"), ldp)?),
        })
    }

    /// # Shapes
    /// - levels: the taps, each `[batch, grid², d_vision]`
    /// - output: `[batch, n_visual, d_text]`
    pub fn forward(&self, levels: &[Tensor<3>]) -> Tensor<3> {
        let last = || levels[levels.len() - 1].clone();
        match self {
            Self::Linear(linear) => linear.forward(last()),
            Self::Mlp2xGelu(mlp) => mlp.forward(last(), Activation::Gelu),
            Self::TokenPacker(packer) => packer.forward(levels),
            Self::Ltc(ltc) => ltc.forward(levels).tokens,
            #[cfg(feature = "ablation")]
            Self::AvgPool(pool) => pool.forward(last()),
            #[cfg(feature = "ablation")]
            Self::Resampler(resampler) => resampler.forward(last()),
            #[cfg(feature = "ablation")]
            Self::Ldpv2(ldp) => ldp.forward(last()),
        }
    }
}
