//! The few layers that every part is made of. Weights keep PyTorch's orientation.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, activation};
use vmad_kernels::{
    Activation, ChannelNorm, LinearEnd, QuantWeight, RmsScale, Stepping, batch_norm, conv2d,
    gather_quant, layer_norm, layer_norm_image, linear_f32, matmul_linear, matmul_parts, rms_norm,
    upsample_2x,
};

use crate::ModelError;
use crate::weights::{Builder, Init, Matrix};

/// A weight matrix `[rows, cols]`, in floating point or quantised.
///
/// Exactly one of the two is present; `Module` cannot be derived for an enum over a type that is
/// not itself a module, hence the pair.
#[derive(Module, Debug)]
struct Weight {
    dense: Option<Param<Tensor<2>>>,
    #[module(skip)]
    quant: Option<QuantWeight>,
}

impl Weight {
    fn new(matrix: Matrix) -> Self {
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

    /// `x · weightᵀ` and what its end makes of it: `[m, cols]` to `[m, rows]`.
    fn times(&self, x: Tensor<2>, end: LinearEnd) -> Tensor<2> {
        match (&self.dense, &self.quant) {
            (Some(dense), _) => linear_f32(x, dense.val(), end),
            (None, Some(quant)) => matmul_linear(x, quant, end),
            (None, None) => unreachable!("a weight is dense or quantised by construction"),
        }
    }
}

/// `y = x · Wᵀ + b`.
#[derive(Module, Debug)]
pub struct Linear {
    weight: Weight,
    bias: Option<Param<Tensor<1>>>,
    d_out: usize,
}

impl Linear {
    /// A layer with bias.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, d_in: usize, d_out: usize, init: Init) -> Result<Self, ModelError> {
        Self::with_inits(b, d_in, d_out, init, Init::Zeros)
    }

    /// A layer without bias.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn without_bias(
        b: &mut Builder,
        d_in: usize,
        d_out: usize,
        init: Init,
    ) -> Result<Self, ModelError> {
        let weight = Weight::new(b.matrix("weight", &[d_out, d_in], init)?);
        Ok(Self {
            weight,
            bias: None,
            d_out,
        })
    }

    /// A layer with bias whose two parameters start differently.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn with_inits(
        b: &mut Builder,
        d_in: usize,
        d_out: usize,
        weight_init: Init,
        bias_init: Init,
    ) -> Result<Self, ModelError> {
        let weight = Weight::new(b.matrix("weight", &[d_out, d_in], weight_init)?);
        let bias = Some(b.dense("bias", [d_out], bias_init)?);
        Ok(Self {
            weight,
            bias,
            d_out,
        })
    }

    /// A 1×1 convolution, which acts on channels as a linear layer; the weight's public shape is
    /// `[d_out, d_in, 1, 1]`.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn pointwise(
        b: &mut Builder,
        d_in: usize,
        d_out: usize,
        with_bias: bool,
    ) -> Result<Self, ModelError> {
        let weight = Weight::new(b.matrix("weight", &[d_out, d_in, 1, 1], Init::Torch)?);
        let bias = if with_bias {
            Some(b.dense("bias", [d_out], Init::Zeros)?)
        } else {
            None
        };
        Ok(Self {
            weight,
            bias,
            d_out,
        })
    }

    /// A convolution whose kernel is as large as its stride, applied to cut-out patches; the
    /// weight's public shape is `[d_out, channels, patch, patch]`.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn patches(
        b: &mut Builder,
        channels: usize,
        patch: usize,
        d_out: usize,
        with_bias: bool,
    ) -> Result<Self, ModelError> {
        let weight =
            Weight::new(b.matrix("weight", &[d_out, channels, patch, patch], Init::Torch)?);
        let bias = if with_bias {
            Some(b.dense("bias", [d_out], Init::Zeros)?)
        } else {
            None
        };
        Ok(Self {
            weight,
            bias,
            d_out,
        })
    }

    /// # Shapes
    /// - x: `[…, d_in]`
    /// - output: `[…, d_out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.run(x, None, None)
    }

    /// [`Self::forward`] through `activation`.
    pub fn forward_activated<const D: usize>(
        &self,
        x: Tensor<D>,
        activation: Activation,
    ) -> Tensor<D> {
        self.run(x, Some(activation), None)
    }

    /// [`Self::forward`] plus `residual`.
    ///
    /// # Shapes
    /// - x: `[…, d_in]`
    /// - residual, output: `[…, d_out]`
    pub fn forward_added<const D: usize>(&self, x: Tensor<D>, residual: Tensor<D>) -> Tensor<D> {
        self.run(x, None, Some(residual))
    }

    fn run<const D: usize>(
        &self,
        x: Tensor<D>,
        activation: Option<Activation>,
        residual: Option<Tensor<D>>,
    ) -> Tensor<D> {
        let mut shape: [usize; D] = x.dims();
        let d_in = shape[D - 1];
        let rows: usize = shape[..D - 1].iter().product();
        shape[D - 1] = self.d_out;
        let end = LinearEnd {
            bias: self.bias.as_ref().map(Param::val),
            activation,
            residual: residual.map(|residual| residual.reshape([rows, self.d_out])),
        };
        self.weight
            .times(x.reshape([rows, d_in]), end)
            .reshape(shape)
    }

    /// What each of `parts` layers of one size makes of `x`, whose weights and biases lie one below the other here.
    ///
    /// # Shapes
    /// - x: `[…, d_in]`
    /// - output: `parts` of `[…, d_out / parts]`
    pub fn forward_parts<const D: usize>(&self, x: Tensor<D>, parts: usize) -> Vec<Tensor<D>> {
        let width = self.d_out / parts;
        let Some(quant) = &self.weight.quant else {
            let all = self.forward(x);
            let part = |i| all.clone().narrow(D - 1, i * width, width);
            return (0..parts).map(part).collect();
        };
        let bias = self.bias.as_ref().map(Param::val);
        parts_of(x, quant, bias, parts)
    }

    /// Weight and bias where the weight is packed.
    pub(crate) fn packed(&self) -> Option<(&QuantWeight, Option<Tensor<1>>)> {
        let bias = self.bias.as_ref().map(Param::val);
        self.weight.quant.as_ref().map(|quant| (quant, bias))
    }

    /// Output width.
    pub(crate) fn d_out(&self) -> usize {
        self.d_out
    }
}

/// [`matmul_parts`] over any number of dimensions.
pub(crate) fn parts_of<const D: usize>(
    x: Tensor<D>,
    weight: &QuantWeight,
    bias: Option<Tensor<1>>,
    parts: usize,
) -> Vec<Tensor<D>> {
    let mut shape: [usize; D] = x.dims();
    let d_in = shape[D - 1];
    let rows: usize = shape[..D - 1].iter().product();
    shape[D - 1] = weight.rows() / parts;
    let made = matmul_parts(x.reshape([rows, d_in]), weight, bias, parts);
    made.into_iter().map(|part| part.reshape(shape)).collect()
}

/// Rows of a table, picked by id.
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
        self.weight.times(hidden, LinearEnd::default())
    }
}

/// Layer normalisation over the last dimension.
#[derive(Module, Debug)]
pub struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    eps: f64,
}

impl LayerNorm {
    /// A norm over `d` channels.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, d: usize, eps: f64) -> Result<Self, ModelError> {
        Self::with_scale(b, d, eps, Init::Ones)
    }

    /// A norm over `d` channels whose scale starts as `scale`; with zeros, what it ends is silent
    /// at first.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn with_scale(
        b: &mut Builder,
        d: usize,
        eps: f64,
        scale: Init,
    ) -> Result<Self, ModelError> {
        let weight = b.dense("weight", [d], scale)?;
        let bias = b.dense("bias", [d], Init::Zeros)?;
        Ok(Self { weight, bias, eps })
    }

    /// Keeps the shape `[…, d]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        layer_norm(x, self.weight.val(), self.bias.val(), self.eps)
    }

    /// The same over the channels of an image, SAM's `LayerNorm2d`.
    ///
    /// # Shapes
    /// - x, output: `[batch, d, height, width]`
    pub fn forward_image(&self, x: Tensor<4>) -> Tensor<4> {
        layer_norm_image(x, self.weight.val(), self.bias.val(), self.eps)
    }
}

/// Batch normalisation over all but the last dimension: by its running statistics, or by the batch's
/// own while its weight learns.
///
/// The statistics do not follow the batches: [`Self::settled`] sets them, from one batch that is large
/// enough ("precise" statistics, Wu & Johnson 2021).
#[derive(Module, Debug)]
pub struct BatchNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    running_mean: Param<Tensor<1>>,
    running_var: Param<Tensor<1>>,
    eps: f64,
}

impl BatchNorm {
    /// A norm over `d` channels.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, d: usize, eps: f64) -> Result<Self, ModelError> {
        let mut statistic = |name: &str, init| -> Result<_, ModelError> {
            Ok(b.dense(name, [d], init)?.set_require_grad(false))
        };
        let running_mean = statistic("running_mean", Init::Zeros)?;
        let running_var = statistic("running_var", Init::Ones)?;
        Ok(Self {
            weight: b.dense("weight", [d], Init::Ones)?,
            bias: b.dense("bias", [d], Init::Zeros)?,
            running_mean,
            running_var,
            eps,
        })
    }

    /// Keeps the shape `[…, d]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.forward_activated(x, None)
    }

    /// The same, and an activation.
    pub fn forward_activated<const D: usize>(
        &self,
        x: Tensor<D>,
        activation: Option<Activation>,
    ) -> Tensor<D> {
        let weight = self.weight.val();
        let (mean, variance) = if weight.is_require_grad() {
            statistics(x.clone())
        } else {
            (self.running_mean.val(), self.running_var.val())
        };
        let norm = ChannelNorm {
            weight,
            bias: self.bias.val(),
            mean,
            variance,
            eps: self.eps,
        };
        batch_norm(x, norm, activation)
    }

    /// The norm with the statistics of `x`.
    #[must_use]
    pub fn settled<const D: usize>(mut self, x: Tensor<D>) -> Self {
        let x = if x.is_autodiff() { x.inner() } else { x };
        let (mean, var) = statistics(x);
        let settle = |param: Param<Tensor<1>>, value: Tensor<1>| {
            param.map(|old| match old.is_autodiff() {
                true => Tensor::from_inner(value),
                false => value,
            })
        };
        self.running_mean = settle(self.running_mean, mean).set_require_grad(false);
        self.running_var = settle(self.running_var, var).set_require_grad(false);
        self
    }
}

/// Mean and variance of each channel, `[d]` each, of `[…, d]`.
fn statistics<const D: usize>(x: Tensor<D>) -> (Tensor<1>, Tensor<1>) {
    let d = x.dims()[D - 1];
    let rows = x.reshape([-1, d as i32]);
    let mean: Tensor<2> = rows.clone().mean_dim(0);
    let var = (rows - mean.clone()).square().mean_dim(0);
    (mean.reshape([d]), var.reshape([d]))
}

/// Root-mean-square normalisation over the last dimension.
#[derive(Module, Debug)]
pub struct RmsNorm {
    weight: Param<Tensor<1>>,
    eps: f64,
}

impl RmsNorm {
    /// A norm over `d` channels.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, d: usize, eps: f64) -> Result<Self, ModelError> {
        Ok(Self {
            weight: b.dense("weight", [d], Init::Ones)?,
            eps,
        })
    }

    /// Keeps the shape `[…, d]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        rms_norm(x, self.weight.val(), self.eps)
    }

    /// The norm for a product that has it inside.
    pub(crate) fn scale(&self) -> RmsScale {
        RmsScale {
            weight: self.weight.val(),
            eps: self.eps,
        }
    }
}

/// A two-dimensional convolution.
#[derive(Module, Debug)]
pub struct Conv2d {
    weight: Param<Tensor<4>>,
    bias: Option<Param<Tensor<1>>>,
    stride: usize,
    padding: usize,
    groups: usize,
}

/// How a [`Conv2d`] moves over the image.
#[derive(Clone, Copy, Debug)]
pub struct ConvShape {
    /// Input channels.
    pub d_in: usize,
    /// Output channels.
    pub d_out: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Zeros added on every side.
    pub padding: usize,
    /// Channel groups; `d_in` makes it depthwise.
    pub groups: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Conv2d {
    /// A convolution.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, shape: ConvShape) -> Result<Self, ModelError> {
        let ConvShape {
            d_in,
            d_out,
            kernel,
            stride,
            padding,
            groups,
            bias,
        } = shape;
        let weight = b.dense(
            "weight",
            [d_out, d_in / groups, kernel, kernel],
            Init::Torch,
        )?;
        let bias = if bias {
            Some(b.dense("bias", [d_out], Init::Zeros)?)
        } else {
            None
        };
        Ok(Self {
            weight,
            bias,
            stride,
            padding,
            groups,
        })
    }

    /// # Shapes
    /// - x: `[batch, d_in, height, width]`
    /// - output: `[batch, d_out, height', width']`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let bias = self.bias.as_ref().map(Param::val);
        let stepping = Stepping {
            stride: self.stride,
            padding: self.padding,
            groups: self.groups,
        };
        conv2d(x, self.weight.val(), bias, stepping)
    }
}

/// A transposed convolution with a 2×2 kernel and stride 2: doubles height and width.
#[derive(Module, Debug)]
pub struct Upsample2x {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl Upsample2x {
    /// Public weight shape `[d_in, d_out, 2, 2]`.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(b: &mut Builder, d_in: usize, d_out: usize) -> Result<Self, ModelError> {
        let weight = b.dense("weight", [d_in, d_out, 2, 2], Init::Torch)?;
        let bias = b.dense("bias", [d_out], Init::Zeros)?;
        Ok(Self { weight, bias })
    }

    /// # Shapes
    /// - x: `[batch, d_in, height, width]`
    /// - output: `[batch, d_out, 2·height, 2·width]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        upsample_2x(x, self.weight.val(), self.bias.val())
    }
}

/// Linear, activation, linear.
#[derive(Module, Debug)]
pub struct Mlp {
    first: Linear,
    second: Linear,
}

impl Mlp {
    /// Layers under the names `names.0` and `names.1`.
    ///
    /// # Errors
    /// As the weight source's.
    pub fn new(
        b: &mut Builder,
        names: (&str, &str),
        widths: [usize; 3],
        init: Init,
    ) -> Result<Self, ModelError> {
        let [d_in, d_hidden, d_out] = widths;
        let first = Linear::new(&mut b.at(names.0), d_in, d_hidden, init)?;
        let second = Linear::new(&mut b.at(names.1), d_hidden, d_out, init)?;
        Ok(Self { first, second })
    }

    /// # Shapes
    /// - x: `[…, d_in]`
    /// - output: `[…, d_out]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>, activation: Activation) -> Tensor<D> {
        let hidden = self.first.forward_activated(x, activation);
        self.second.forward(hidden)
    }

    /// [`Self::forward`] plus `residual`.
    ///
    /// # Shapes
    /// - x: `[…, d_in]`
    /// - residual, output: `[…, d_out]`
    pub fn forward_added<const D: usize>(
        &self,
        x: Tensor<D>,
        activation: Activation,
        residual: Tensor<D>,
    ) -> Tensor<D> {
        let hidden = self.first.forward_activated(x, activation);
        self.second.forward_added(hidden, residual)
    }
}

/// The exact, erf-based GELU.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Activation::Gelu.of(x)
}

/// x·σ(x).
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

/// `[batch, n, n_heads·d_head]` to `[batch, n_heads, n, d_head]`.
pub fn split_heads(x: Tensor<3>, n_heads: usize) -> Tensor<4> {
    let [batch, n, d] = x.dims();
    x.reshape([batch, n, n_heads, d / n_heads]).swap_dims(1, 2)
}

/// `[batch, n_heads, n, d_head]` to `[batch, n, n_heads·d_head]`.
pub fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, n_heads, n, d_head] = x.dims();
    x.swap_dims(1, 2).reshape([batch, n, n_heads * d_head])
}

/// `[batch, d, height, width]` to `[batch, height, width, d]`.
pub fn to_channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// `[batch, height, width, d]` to `[batch, d, height, width]`.
pub fn to_image(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// Cuts an image into patches, row-major, each flattened as (channel, row, column).
///
/// # Shapes
/// - pixels: `[batch, channels, side, side]`
/// - output: `[batch, grid², channels·patch²]`
pub fn cut_patches(pixels: Tensor<4>, patch: usize) -> Tensor<3> {
    let [batch, channels, height, width] = pixels.dims();
    let (rows, cols) = (height / patch, width / patch);
    pixels
        .reshape([batch, channels, rows, patch, cols, patch])
        .permute([0, 2, 4, 1, 3, 5]) // [batch, rows, cols, channels, patch, patch]
        .reshape([batch, rows * cols, channels * patch * patch])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::weights::RandomWeights;
    use burn::tensor::{Device, TensorData};

    fn rows(device: &Device) -> Tensor<2> {
        let values = vec![1.0_f32, 10.0, 3.0, 10.0, 5.0, 16.0];
        Tensor::from_data(TensorData::new(values, [3, 2]), device)
    }

    fn norm(device: &Device) -> BatchNorm {
        let mut source = RandomWeights::new(device, 1);
        let mut names = Vec::new();
        BatchNorm::new(&mut Builder::new(&mut source, &mut names), 2, 0.0).unwrap()
    }

    fn values(x: Tensor<2>) -> Vec<f32> {
        x.into_data().iter().collect()
    }

    /// Channels with mean 3 and 12, variance 8/3 and 8.
    fn check(y: &[f32]) {
        let (a, b) = ((8.0_f32 / 3.0).sqrt(), 8.0_f32.sqrt());
        let expected = [-2.0 / a, -2.0 / b, 0.0, -2.0 / b, 2.0 / a, 4.0 / b];
        for (y, expected) in y.iter().zip(expected) {
            assert!((y - expected).abs() < 1e-5, "{y} for {expected}");
        }
    }

    #[test]
    fn a_batch_norm_that_learns_uses_the_batch() {
        let device = Device::flex().autodiff();
        check(&values(norm(&device).forward(rows(&device)).inner()));
    }

    #[test]
    fn a_batch_norm_uses_what_it_was_settled_on() {
        let device = Device::flex();
        // Mean 0 and variance 1 at first.
        let fresh = norm(&device);
        assert_eq!(values(fresh.forward(rows(&device))), values(rows(&device)));
        let settled = fresh.settled(rows(&device));
        check(&values(settled.forward(rows(&device))));
        let other = settled.forward(rows(&device) * 0.0);
        let all: Vec<f32> = values(other);
        assert!(
            all.iter().all(|y| *y < -1.0),
            "not the batch's own: {all:?}"
        );
    }
}
