//! Layer, batch and root-mean-square normalisation.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use vmad_kernels::{
    Activation, ChannelNorm, RmsScale, batch_norm, layer_norm, layer_norm_image, rms_norm,
};

use crate::ModelError;
use crate::weights::{Builder, Init};

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

    /// A norm over `d` channels whose scale starts as `scale`. With zeros, the branch that it ends
    /// adds nothing at first.
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
/// The statistics do not follow the batches: [`Self::with_batch_statistics`] sets them, from one batch that is large
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
    pub fn with_batch_statistics<const D: usize>(mut self, x: Tensor<D>) -> Self {
        let x = if x.is_autodiff() { x.inner() } else { x };
        let (mean, var) = statistics(x);
        let set = |param: Param<Tensor<1>>, value: Tensor<1>| {
            param.map(|old| match old.is_autodiff() {
                true => Tensor::from_inner(value),
                false => value,
            })
        };
        self.running_mean = set(self.running_mean, mean).set_require_grad(false);
        self.running_var = set(self.running_var, var).set_require_grad(false);
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

    /// Weight and epsilon for a matrix product that applies the norm to its input.
    pub(crate) fn scale(&self) -> RmsScale {
        RmsScale {
            weight: self.weight.val(),
            eps: self.eps,
        }
    }
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
    fn a_batch_norm_uses_the_statistics_that_were_set() {
        let device = Device::flex();
        // Mean 0 and variance 1 at first.
        let fresh = norm(&device);
        assert_eq!(values(fresh.forward(rows(&device))), values(rows(&device)));
        let with_statistics = fresh.with_batch_statistics(rows(&device));
        check(&values(with_statistics.forward(rows(&device))));
        let other = with_statistics.forward(rows(&device) * 0.0);
        let all: Vec<f32> = values(other);
        assert!(
            all.iter().all(|y| *y < -1.0),
            "not the batch's own: {all:?}"
        );
    }
}
