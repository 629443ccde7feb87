//! Linear layers over the same input, computed together.

use burn::module::Module;
use burn::tensor::Tensor;
use vmad_kernels::{LinearEnd, QuantWeight, matmul_gated, matmul_linear, matmul_normed};

use crate::nn::{Linear, RmsNorm, parts_of, silu};

/// Linear layers over the same input: one product where their weights are packed alike.
#[derive(Module, Debug)]
pub(crate) struct Stack {
    /// None where they are stacked.
    apart: Vec<Linear>,
    #[module(skip)]
    stacked: Option<QuantWeight>,
    /// Those of the stacked layers one after the other, if they have any.
    #[module(skip)]
    bias: Option<Tensor<1>>,
    #[module(skip)]
    widths: Vec<usize>,
}

impl Stack {
    /// Layers that all have a bias, or all none.
    #[must_use]
    pub fn new(layers: Vec<Linear>) -> Self {
        let widths = layers.iter().map(Linear::d_out).collect();
        let packed: Option<Vec<_>> = layers.iter().map(Linear::packed).collect();
        let (weights, biases): (Vec<_>, Vec<_>) = packed.unwrap_or_default().into_iter().unzip();
        let stacked = QuantWeight::stacked(&weights);
        let biases: Option<Vec<Tensor<1>>> = biases.into_iter().collect();
        let bias = biases
            .filter(|all| !all.is_empty())
            .map(|all| Tensor::cat(all, 0));
        let apart = match stacked {
            Some(_) => Vec::new(),
            None => layers,
        };
        Self {
            apart,
            stacked,
            bias,
            widths,
        }
    }

    /// What each layer makes of `x`.
    ///
    /// # Shapes
    /// - x: `[batch, n, d_in]`
    /// - output: `[batch, n, d_out]` of each layer
    pub fn forward(&self, x: Tensor<3>) -> Vec<Tensor<3>> {
        let Some(stacked) = &self.stacked else {
            return self.apart.iter().map(|l| l.forward(x.clone())).collect();
        };
        if self.widths.iter().all(|width| *width == self.widths[0]) {
            return parts_of(x, stacked, self.bias.clone(), self.widths.len());
        }
        let [batch, n, d] = x.dims();
        let end = LinearEnd {
            bias: self.bias.clone(),
            ..LinearEnd::default()
        };
        let all = matmul_linear(x.reshape([batch * n, d]), stacked, end);
        let all = all.reshape([batch, n, stacked.rows()]);
        let mut first = 0;
        let part = |width: &usize| {
            let part = all.clone().narrow(2, first, *width);
            first += width;
            part
        };
        self.widths.iter().map(part).collect()
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
