//! Linear layers over the same input, computed as one.

use burn::module::Module;
use burn::tensor::Tensor;
use vmad_kernels::{Epilogue, QuantWeight, matmul_gated, matmul_linear, matmul_normed};

use super::layout::silu;
use super::linear::{Linear, matmul_parts_nd};
use super::norm::RmsNorm;

/// Linear layers over the same input: one product where their weights are packed alike.
#[derive(Module, Debug)]
pub struct FusedLinear {
    /// The layers one by one; empty where `fused` holds them. Checkpoints of training hold this name.
    apart: Vec<Linear>,
    /// Their weights stacked along the output dimension.
    #[module(skip)]
    fused: Option<QuantWeight>,
    /// Their biases concatenated, if they have any.
    #[module(skip)]
    bias: Option<Tensor<1>>,
    /// Output width of each layer.
    #[module(skip)]
    widths: Vec<usize>,
}

impl FusedLinear {
    /// Fuses `layers` where their weights are packed alike. Either all have a bias or none has.
    #[must_use]
    pub fn new(layers: Vec<Linear>) -> Self {
        let widths = layers.iter().map(Linear::d_out).collect();
        let packed: Option<Vec<_>> = layers.iter().map(Linear::packed).collect();
        let (weights, biases): (Vec<_>, Vec<_>) = packed.unwrap_or_default().into_iter().unzip();
        let fused = QuantWeight::stacked(&weights);
        let biases: Option<Vec<Tensor<1>>> = biases.into_iter().collect();
        let bias = biases
            .filter(|all| !all.is_empty())
            .map(|all| Tensor::cat(all, 0));
        let apart = match fused {
            Some(_) => Vec::new(),
            None => layers,
        };
        Self {
            apart,
            fused,
            bias,
            widths,
        }
    }

    /// The output of each layer.
    ///
    /// # Shapes
    /// - x: `[batch, n, d_in]`
    /// - output: `[batch, n, d_out]` of each layer
    pub fn forward(&self, x: Tensor<3>) -> Vec<Tensor<3>> {
        let Some(fused) = &self.fused else {
            return self.apart.iter().map(|l| l.forward(x.clone())).collect();
        };
        if self.widths.iter().all(|width| *width == self.widths[0]) {
            return matmul_parts_nd(x, fused, self.bias.clone(), self.widths.len());
        }
        let [batch, n, d] = x.dims();
        let end = Epilogue {
            bias: self.bias.clone(),
            ..Epilogue::default()
        };
        let all = matmul_linear(x.reshape([batch * n, d]), fused, end);
        let all = all.reshape([batch, n, fused.rows()]);
        let mut first = 0;
        let part = |width: &usize| {
            let part = all.clone().narrow(2, first, *width);
            first += width;
            part
        };
        self.widths.iter().map(part).collect()
    }

    /// The outputs of all layers, which have no bias, for `norm(x)`, concatenated; `None` where they are
    /// not fused.
    ///
    /// # Shapes
    /// - x: `[batch, n, d_in]`
    /// - output: `[batch, n, sum of all d_out]`
    pub fn forward_normed(&self, x: &Tensor<3>, norm: &RmsNorm) -> Option<Tensor<3>> {
        let fused = self.fused.as_ref()?;
        let [batch, n, d] = x.dims();
        let rows = x.clone().reshape([batch * n, d]);
        let all = matmul_normed(rows, norm.scale(), fused);
        Some(all.reshape([batch, n, fused.rows()]))
    }

    /// `silu(gate(norm(x))) · up(norm(x))` of two layers without bias, gate and up.
    ///
    /// # Shapes
    /// - x: `[batch, n, d_in]`
    /// - output: `[batch, n, d_out]`
    pub fn gated(&self, x: Tensor<3>, norm: &RmsNorm) -> Tensor<3> {
        let [batch, n, d] = x.dims();
        match (&self.fused, &self.apart[..]) {
            (Some(fused), _) => {
                let gated = matmul_gated(x.reshape([batch * n, d]), norm.scale(), fused);
                gated.reshape([batch, n, fused.rows() / 2])
            }
            (None, [gate, up]) => {
                let h = norm.forward(x);
                silu(gate.forward(h.clone())) * up.forward(h)
            }
            (None, _) => unreachable!("gated() takes two layers"),
        }
    }
}
