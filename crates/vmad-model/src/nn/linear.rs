//! Linear layers, alone and in pairs.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use vmad_kernels::{Activation, Epilogue, QuantWeight, matmul_parts};

use super::weight::Weight;
use crate::ModelError;
use crate::weights::{Builder, Init};

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
        let end = Epilogue {
            bias: self.bias.as_ref().map(Param::val),
            activation,
            residual: residual.map(|residual| residual.reshape([rows, self.d_out])),
        };
        self.weight
            .matmul(x.reshape([rows, d_in]), end)
            .reshape(shape)
    }

    /// The outputs of `parts` layers of equal width whose weights and biases are stacked in this one.
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
        matmul_parts_nd(x, quant, bias, parts)
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
pub(crate) fn matmul_parts_nd<const D: usize>(
    x: Tensor<D>,
    weight: &QuantWeight,
    bias: Option<Tensor<1>>,
    parts: usize,
) -> Vec<Tensor<D>> {
    let mut shape: [usize; D] = x.dims();
    let d_in = shape[D - 1];
    let rows: usize = shape[..D - 1].iter().product();
    shape[D - 1] = weight.rows() / parts;
    let outputs = matmul_parts(x.reshape([rows, d_in]), weight, bias, parts);
    let outputs = outputs.into_iter();
    outputs.map(|part| part.reshape(shape)).collect()
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
