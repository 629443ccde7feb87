//! TinyViT (Wu et al. 2022) as MobileSAM (Zhang et al. 2023) uses it: convolutions where the map is
//! large, attention in windows where it is small.
//!
//! Maps are channels-last here, `[batch, side, side, d]`. Reference: ChaoningZhang/MobileSAM; names
//! are those of its checkpoints, see [`ConvNormed`] for the one difference.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};
use vmad_kernels::{Activation, Mask, attention};

use super::neck::Neck;
use super::windows::in_windows;
use crate::ModelError;
use crate::config::{ConvNorm, TinyVitConfig};
use crate::nn::{
    Conv2d, ConvShape, LayerNorm, Linear, Mlp, gelu, merge_heads, to_channels_last, to_image,
};
use crate::weights::{Builder, Init};

/// Epsilon of all norms but the neck's: PyTorch's default.
const EPS: f64 = 1e-5;

/// The convolution itself.
#[expect(
    clippy::large_enum_variant,
    reason = "a model holds a few dozen; boxes would not save anything"
)]
#[derive(Module, Debug)]
enum Kernel {
    /// 1×1: a linear layer on channels-last maps, which may be quantised.
    Point(Linear),
    /// Anything larger.
    Spatial(Conv2d),
}

/// A convolution and its norm, MobileSAM's `Conv2d_BN`.
///
/// With [`ConvNorm::Batch`] the fixed statistics are part of `c.weight` and `c.bias`, and there is
/// no `bn`; with [`ConvNorm::Layer`] `c` has no bias, and `bn` is a norm over the channels of each
/// place.
#[derive(Module, Debug)]
struct ConvNormed {
    kernel: Kernel,
    norm: Option<LayerNorm>,
}

/// Options of a [`ConvNormed`].
#[derive(Clone, Copy)]
struct Shape {
    d_in: usize,
    d_out: usize,
    /// Side of the kernel, odd.
    kernel: usize,
    stride: usize,
    /// One kernel for each channel.
    is_depthwise: bool,
    /// What the norm's scale starts with.
    scale: Init,
}

impl Shape {
    fn point(d_in: usize, d_out: usize) -> Self {
        Self {
            kernel: 1,
            ..Self::spatial(d_in, d_out, 1)
        }
    }

    fn spatial(d_in: usize, d_out: usize, stride: usize) -> Self {
        Self {
            d_in,
            d_out,
            kernel: 3,
            stride,
            is_depthwise: false,
            scale: Init::Ones,
        }
    }

    fn depthwise(d: usize, kernel: usize, stride: usize) -> Self {
        Self {
            kernel,
            is_depthwise: true,
            ..Self::spatial(d, d, stride)
        }
    }
}

impl ConvNormed {
    fn new(b: &mut Builder, shape: Shape, norm: ConvNorm) -> Result<Self, ModelError> {
        let Shape {
            d_in,
            d_out,
            kernel,
            stride,
            is_depthwise,
            scale,
        } = shape;
        let bias = norm == ConvNorm::Batch;
        let mut conv = b.at("c");
        let kernel = if kernel == 1 && !is_depthwise {
            Kernel::Point(Linear::pointwise(&mut conv, d_in, d_out, bias)?)
        } else {
            let shape = ConvShape {
                d_in,
                d_out,
                kernel,
                stride,
                padding: kernel / 2,
                groups: if is_depthwise { d_in } else { 1 },
                bias,
            };
            Kernel::Spatial(Conv2d::new(&mut conv, shape)?)
        };
        let norm = match norm {
            ConvNorm::Batch => None,
            ConvNorm::Layer => Some(LayerNorm::with_scale(&mut b.at("bn"), d_out, EPS, scale)?),
        };
        Ok(Self { kernel, norm })
    }

    /// # Shapes
    /// - x: `[batch, side, side, d_in]`
    /// - output: `[batch, side / stride, side / stride, d_out]`
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = match &self.kernel {
            Kernel::Point(linear) => linear.forward(x),
            Kernel::Spatial(conv) => to_channels_last(conv.forward(to_image(x))),
        };
        match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }
}

/// An inverted bottleneck (Sandler et al. 2018): wide, depthwise, narrow, added to the input.
#[derive(Module, Debug)]
struct MbConv {
    conv1: ConvNormed,
    conv2: ConvNormed,
    conv3: ConvNormed,
}

impl MbConv {
    fn new(b: &mut Builder, d: usize, d_hidden: usize, norm: ConvNorm) -> Result<Self, ModelError> {
        let narrow = Shape {
            scale: Init::Zeros,
            ..Shape::point(d_hidden, d)
        };
        Ok(Self {
            conv1: ConvNormed::new(&mut b.at("conv1"), Shape::point(d, d_hidden), norm)?,
            conv2: ConvNormed::new(&mut b.at("conv2"), Shape::depthwise(d_hidden, 3, 1), norm)?,
            conv3: ConvNormed::new(&mut b.at("conv3"), narrow, norm)?,
        })
    }

    /// Keeps the shape `[batch, side, side, d]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let h = gelu(self.conv1.forward(x.clone()));
        let h = gelu(self.conv2.forward(h));
        gelu(x + self.conv3.forward(h))
    }
}

/// Downsampling from one stage to the next, MobileSAM's `PatchMerging`.
#[derive(Module, Debug)]
struct Merge {
    conv1: ConvNormed,
    conv2: ConvNormed,
    conv3: ConvNormed,
}

impl Merge {
    fn new(
        b: &mut Builder,
        [d_in, d_out]: [usize; 2],
        stride: usize,
        norm: ConvNorm,
    ) -> Result<Self, ModelError> {
        let depthwise = Shape::depthwise(d_out, 3, stride);
        Ok(Self {
            conv1: ConvNormed::new(&mut b.at("conv1"), Shape::point(d_in, d_out), norm)?,
            conv2: ConvNormed::new(&mut b.at("conv2"), depthwise, norm)?,
            conv3: ConvNormed::new(&mut b.at("conv3"), Shape::point(d_out, d_out), norm)?,
        })
    }

    /// # Shapes
    /// - x: `[batch, side, side, d_in]`
    /// - output: `[batch, side / stride, side / stride, d_out]`
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = gelu(self.conv1.forward(x));
        self.conv3.forward(gelu(self.conv2.forward(x)))
    }
}

/// Self-attention inside a window, with a learned bias for each offset and head.
#[derive(Module, Debug)]
struct Attention {
    norm: LayerNorm,
    qkv: Linear,
    proj: Linear,
    attention_biases: Param<Tensor<2>>,
    n_heads: usize,
}

impl Attention {
    fn new(b: &mut Builder, d: usize, n_heads: usize, window: usize) -> Result<Self, ModelError> {
        let offsets = [n_heads, window * window];
        Ok(Self {
            norm: LayerNorm::new(&mut b.at("norm"), d, EPS)?,
            qkv: Linear::new(&mut b.at("qkv"), d, 3 * d, Init::Xavier)?,
            proj: Linear::new(&mut b.at("proj"), d, d, Init::Xavier)?,
            attention_biases: b.dense("attention_biases", offsets, Init::Zeros)?,
            n_heads,
        })
    }

    /// The norm is inside: what pads a window is zero before it, and its bias after.
    ///
    /// Keeps the shape `[n_windows, window, window, d]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [n_windows, window, _, d] = x.dims();
        let (n, n_heads) = (window * window, self.n_heads);
        let d_head = d / n_heads;
        let qkv = self
            .qkv
            .forward(self.norm.forward(x))
            .reshape([n_windows, n, n_heads, 3 * d_head])
            .swap_dims(1, 2); // [n_windows, n_heads, n, query | key | value]
        let part = |i: usize| qkv.clone().narrow(3, i * d_head, d_head);
        let mask = Mask::Bias(self.position_bias(window));
        let attended = merge_heads(attention(part(0), part(1), part(2), mask));
        self.proj
            .forward(attended.reshape([n_windows, window, window, d]))
    }

    /// # Shapes
    /// - output: `[1, n_heads, window², window²]`
    fn position_bias(&self, window: usize) -> Tensor<4> {
        let n = window * window;
        let table = self.attention_biases.val(); // [n_heads, window²]
        let offsets = TensorData::new(offsets(window), [n * n]);
        let offsets = Tensor::<1, Int>::from_data(offsets, &table.device());
        table.select(1, offsets).reshape([1, self.n_heads, n, n])
    }
}

/// Index of the offset between each pair of a window's cells, both row-major. Offsets are absolute and
/// counted row by row: (|Δrow|, |Δcolumn|) is |Δrow|·window + |Δcolumn|.
fn offsets(window: usize) -> Vec<i32> {
    let n = window * window;
    (0..n)
        .flat_map(|i| {
            (0..n).map(move |j| {
                let rows = (i / window).abs_diff(j / window);
                let columns = (i % window).abs_diff(j % window);
                (rows * window + columns) as i32
            })
        })
        .collect()
}

/// Attention in windows, a depthwise convolution across their borders, a feed-forward layer.
#[derive(Module, Debug)]
struct Block {
    attn: Attention,
    local_conv: ConvNormed,
    norm: LayerNorm,
    mlp: Mlp,
    window: usize,
}

impl Block {
    fn new(b: &mut Builder, c: &TinyVitConfig, stage: usize) -> Result<Self, ModelError> {
        let (d, window) = (c.embed_dims[stage], c.window_sizes[stage]);
        let local = Shape::depthwise(d, c.local_conv_size, 1);
        let attn = Attention::new(&mut b.at("attn"), d, c.num_heads[stage], window)?;
        let local_conv = ConvNormed::new(&mut b.at("local_conv"), local, c.norm)?;
        let mut mlp = b.at("mlp");
        Ok(Self {
            attn,
            local_conv,
            norm: LayerNorm::new(&mut mlp.at("norm"), d, EPS)?,
            mlp: Mlp::new(
                &mut mlp,
                ("fc1", "fc2"),
                [d, c.mlp_ratio * d, d],
                Init::Xavier,
            )?,
            window,
        })
    }

    /// Keeps the shape `[batch, side, side, d]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let attended = in_windows(x.clone(), self.window, |x| self.attn.forward(x));
        let x = self.local_conv.forward(x + attended);
        let h = self.norm.forward(x.clone());
        self.mlp.forward_added(h, Activation::Gelu, x)
    }
}

/// MobileSAM's image encoder.
#[derive(Module, Debug)]
pub struct TinyVitEncoder {
    embed1: ConvNormed,
    embed2: ConvNormed,
    convs: Vec<MbConv>,
    /// Before each of `stages`.
    merges: Vec<Merge>,
    stages: Vec<Vec<Block>>,
    neck: Neck,
}

impl TinyVitEncoder {
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, c: &TinyVitConfig, d_out: usize) -> Result<Self, ModelError> {
        let d = c.embed_dims;
        let mut embed = b.at("patch_embed.seq");
        let embed1 = ConvNormed::new(&mut embed.at(0), Shape::spatial(3, d[0] / 2, 2), c.norm)?;
        let embed2 = ConvNormed::new(&mut embed.at(2), Shape::spatial(d[0] / 2, d[0], 2), c.norm)?;
        let mut layers = b.at("layers");
        let mut first = layers.at("0.blocks");
        let convs = (0..c.depths[0])
            .map(|i| MbConv::new(&mut first.at(i), d[0], c.mbconv_expand_ratio * d[0], c.norm))
            .collect::<Result<_, _>>()?;
        let (mut merges, mut stages) = (Vec::new(), Vec::new());
        for stage in 1..4 {
            // TinyViT ends at 1/32 of the picture's side; SAM's decoder needs 1/16.
            let stride = if stage == 3 { 1 } else { 2 };
            let mut merge = layers.at(format_args!("{}.downsample", stage - 1));
            merges.push(Merge::new(
                &mut merge,
                [d[stage - 1], d[stage]],
                stride,
                c.norm,
            )?);
            let mut blocks = layers.at(format_args!("{stage}.blocks"));
            let blocks = (0..c.depths[stage]).map(|i| Block::new(&mut blocks.at(i), c, stage));
            stages.push(blocks.collect::<Result<_, _>>()?);
        }
        Ok(Self {
            embed1,
            embed2,
            convs,
            merges,
            stages,
            neck: Neck::new(&mut b.at("neck"), d[3], d_out)?,
        })
    }

    /// # Shapes
    /// - pixels: `[batch, 3, image_size, image_size]`
    /// - output: `[batch, d_out, image_size / 16, image_size / 16]`
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<4> {
        let x = gelu(self.embed1.forward(to_channels_last(pixels)));
        let x = self.embed2.forward(x);
        let x = self.convs.iter().fold(x, |x, conv| conv.forward(x));
        let stages = self.merges.iter().zip(&self.stages);
        let x = stages.fold(x, |x, (merge, blocks)| {
            let x = merge.forward(x);
            blocks.iter().fold(x, |x, block| block.forward(x))
        });
        self.neck.forward(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public code numbers offsets in the order in which pairs of cells first have them.
    #[test]
    fn offsets_are_numbered_in_order_of_appearance() {
        for window in [1, 2, 3, 5] {
            let cells: Vec<[usize; 2]> = (0..window)
                .flat_map(|row| (0..window).map(move |column| [row, column]))
                .collect();
            let mut seen: Vec<[usize; 2]> = Vec::new();
            let mut expected = Vec::new();
            for a in &cells {
                for b in &cells {
                    let offset = [a[0].abs_diff(b[0]), a[1].abs_diff(b[1])];
                    let known = seen.iter().position(|o| *o == offset);
                    let number = known.unwrap_or_else(|| {
                        seen.push(offset);
                        seen.len() - 1
                    });
                    expected.push(number as i32);
                }
            }
            assert_eq!(offsets(window), expected, "window {window}");
        }
    }
}
