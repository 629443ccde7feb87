//! The parameters of operations that public functions, backends and the reference share.

use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

use crate::weight::QuantKind;

/// The activation of a linear layer or a batch norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x·Φ(x), with the error function.
    Gelu,
    /// CLIP's x·σ(1.702 x).
    QuickGelu,
    /// max(x, 0).
    Relu,
}

/// Stride, padding and groups of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// Pixels between neighbouring results.
    pub stride: usize,
    /// Zeros on every side.
    pub padding: usize,
    /// Independent groups of channels.
    pub groups: usize,
}

impl From<Conv2dOptions> for ConvOptions<2> {
    fn from(options: Conv2dOptions) -> Self {
        let Conv2dOptions {
            stride,
            padding,
            groups,
        } = options;
        Self::new([stride; 2], [padding; 2], [1, 1], groups)
    }
}

/// Sampling parameters of one token, applied in this order: repetition penalty, temperature, top-k, top-p.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// 0 takes the likeliest token, the lowest id of equals.
    pub temperature: f32,
    /// Sample from this many likeliest tokens; 0 takes all.
    pub top_k: usize,
    /// Sample from the smallest set of likeliest tokens with this total probability; 1 takes all.
    pub top_p: f32,
    /// Above 1 makes tokens that were sampled before less likely (Keskar et al. 2019); 1 is off.
    pub repetition_penalty: f32,
    /// A uniform random number in [0, 1): the cumulative probability at which the token is taken.
    pub uniform: f32,
}

impl Draw {
    /// The likeliest token.
    pub const GREEDY: Self = Self {
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
        repetition_penalty: 1.0,
        uniform: 0.0,
    };
}

/// The keys that a query attends to, and what is added to its scores.
#[derive(Clone, Debug)]
pub enum Mask {
    /// All keys, no bias.
    None,
    /// Query `i` sees the first `start + i + 1` keys.
    Causal {
        /// Keys before the first query's own.
        start: usize,
    },
    /// A bias for each pair, `[1 or batch, 1 or n_heads, n_q, n_k]`.
    Bias(Tensor<4>),
    /// A bias for each row and column of a square grid of keys, stored row after row: the numbers of all rows before
    /// those of all columns, `[batch, n_heads, n_q, 2·side]` ([`relative_positions`](crate::relative_positions)).
    Relative(Tensor<4>),
}

/// How the values of a packed weight are stored, and its shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuantLayout {
    pub kind: QuantKind,
    pub rows: usize,
    pub cols: usize,
}

/// The parts of an epilogue that are present, and the layout of the output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EpilogueFlags {
    pub has_bias: bool,
    pub activation: Option<Activation>,
    pub has_residual: bool,
    pub layout: OutputLayout,
}

/// The layout of a linear layer's output. The CPU backend computes [`Self::Whole`] only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputLayout {
    /// `[tokens, rows]`
    Whole,
    /// `[parts, tokens, rows / parts]`
    #[cfg_attr(not(feature = "wgpu"), expect(dead_code, reason = "for GPUs"))]
    Parts(usize),
    /// `[tokens, rows / 2]`: SiLU of the first half of the rows times the second.
    #[cfg_attr(not(feature = "wgpu"), expect(dead_code, reason = "for GPUs"))]
    Gated,
}

/// What a product of a decoding step computes in the same launch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fusion {
    /// A residual, `[tokens, rows]`, is added.
    #[cfg_attr(
        not(feature = "wgpu"),
        expect(dead_code, reason = "the CPU backend takes linear_quant")
    )]
    Residual,
    /// The input goes through an RMS norm with this ε.
    Norm(f32),
    /// [`Self::Norm`], and SiLU of the first half of the results times the second.
    NormGated(f32),
}

/// The keys that each query attends to: query `i` sees the first `first + i · step`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visibility {
    pub first: usize,
    pub step: usize,
}
