//! Linear layers over the same input, computed together.

use burn::module::Module;
use burn::tensor::Tensor;
use vmad_kernels::{LinearEnd, QuantWeight, matmul_gated, matmul_linear, matmul_normed};

use crate::nn::{Linear, RmsNorm, silu, split_heads};

/// Linear layers over the same input: one product where their weights are packed alike.
#[derive(Module, Debug)]
pub(crate) struct Stack {
    /// None where they are stacked.
    apart: Vec<Linear>,
    #[module(skip)]
    stacked: Option<QuantWeight>,
    /// Of the stacked weight.
    #[module(skip)]
    bias: Option<Tensor<1>>,
    #[module(skip)]
    widths: Vec<usize>,
}

impl Stack {
    /// Layers of which all or none have a bias.
    #[must_use]
    pub fn new(layers: Vec<Linear>) -> Self {
        let widths = layers.iter().map(Linear::d_out).collect();
        let biases: Option<Vec<Tensor<1>>> = layers.iter().map(Linear::bias).collect();
        let packed: Option<Vec<&QuantWeight>> = layers.iter().map(Linear::quant).collect();
        let stacked = packed.and_then(|packed| QuantWeight::stacked(&packed));
        let apart = match stacked {
            Some(_) => Vec::new(),
            None => layers,
        };
        Self {
            apart,
            stacked,
            bias: biases.map(|biases| Tensor::cat(biases, 0)),
            widths,
        }
    }

    /// What each layer makes of `x`.
    ///
    /// # Shapes
    /// - x: `[batch, n, d_in]`
    /// - output: `[batch, n, d_out]` of each layer
    pub fn forward(&self, x: Tensor<3>) -> Vec<Tensor<3>> {
        let Some(all) = self.side_by_side(&x) else {
            return self.apart.iter().map(|l| l.forward(x.clone())).collect();
        };
        let mut first = 0;
        let part = |width: &usize| {
            let part = all.clone().narrow(2, first, *width);
            first += width;
            part
        };
        self.widths.iter().map(part).collect()
    }

    /// What each layer makes of `x`, as heads of `d_head` columns. Where the layers are stacked these are views.
    ///
    /// # Shapes
    /// - x: `[batch, n, d_in]`
    /// - output: `[batch, d_out / d_head, n, d_head]` of each layer
    pub fn heads(&self, x: Tensor<3>, d_head: usize) -> Vec<Tensor<4>> {
        let Some(all) = self.side_by_side(&x) else {
            let heads =
                |layer: &Linear| split_heads(layer.forward(x.clone()), layer.d_out() / d_head);
            return self.apart.iter().map(heads).collect();
        };
        let n_heads = all.dims()[2] / d_head;
        let all = split_heads(all, n_heads);
        let mut first = 0;
        let part = |width: &usize| {
            let part = all.clone().narrow(1, first, width / d_head);
            first += width / d_head;
            part
        };
        self.widths.iter().map(part).collect()
    }

    /// What all layers make of `x`; `None` where they are apart.
    fn side_by_side(&self, x: &Tensor<3>) -> Option<Tensor<3>> {
        let stacked = self.stacked.as_ref()?;
        let [batch, n, d] = x.dims();
        let rows = x.clone().reshape([batch * n, d]);
        let end = LinearEnd {
            bias: self.bias.clone(),
            ..LinearEnd::default()
        };
        let all = matmul_linear(rows, stacked, end);
        Some(all.reshape([batch, n, stacked.rows()]))
    }

    /// What all layers, which have no bias, make of `x` after `norm`, side by side; `None` where they are apart.
    ///
    /// # Shapes
    /// - x: `[batch, n, d_in]`
    /// - output: `[batch, n, sum of all d_out]`
    pub fn forward_normed(&self, x: &Tensor<3>, norm: &RmsNorm) -> Option<Tensor<3>> {
        let stacked = self.stacked.as_ref()?;
        let [batch, n, d] = x.dims();
        let rows = x.clone().reshape([batch * n, d]);
        let all = matmul_normed(rows, norm.scale(), stacked);
        Some(all.reshape([batch, n, stacked.rows()]))
    }

    /// SiLU of the first of two layers without bias times the second, of `x` after `norm`.
    ///
    /// # Shapes
    /// - x: `[batch, n, d_in]`
    /// - output: `[batch, n, d_out]`
    pub fn gated(&self, x: Tensor<3>, norm: &RmsNorm) -> Tensor<3> {
        let [batch, n, d] = x.dims();
        match (&self.stacked, &self.apart[..]) {
            (Some(stacked), _) => {
                let gated = matmul_gated(x.reshape([batch * n, d]), norm.scale(), stacked);
                gated.reshape([batch, n, stacked.rows() / 2])
            }
            (None, [gate, up]) => {
                let h = norm.forward(x);
                silu(gate.forward(h.clone())) * up.forward(h)
            }
            (None, _) => unreachable!("a gate and what it lets through"),
        }
    }
}
