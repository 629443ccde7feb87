//! Sources of weights. Each module has one constructor, which takes its tensors from a
//! [`WeightSource`] by their package name. A source draws them at random, reads them from a package or
//! only lists their shapes.

use std::collections::HashMap;

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use vmad_kernels::QuantWeight;

use crate::ModelError;

/// The distribution from which a tensor is drawn when a model is trained from scratch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All zeros.
    Zeros,
    /// All ones.
    Ones,
    /// Normal with this standard deviation.
    Normal(f64),
    /// Uniform in ±√(6 / (fan_in + fan_out)), for matrices `[out, in]`.
    Xavier,
    /// Uniform in ±√(1 / fan_in), PyTorch's default for linear and convolution layers.
    Torch,
    /// The sampling-offset bias of Deformable DETR: one direction per head, one distance per point.
    Directions {
        /// Attention heads.
        n_heads: usize,
        /// Points of a head.
        n_points: usize,
    },
}

/// A tensor from a source.
#[expect(
    clippy::large_enum_variant,
    reason = "handed over once while a model is built"
)]
#[derive(Clone, Debug)]
pub enum LoadedWeight {
    /// Floating point, flattened, with its shape.
    Dense(Tensor<1>, Vec<usize>),
    /// Quantised along the last dimension, `[rows, cols]`.
    Quant(QuantWeight),
}

/// Provides the tensors of a model.
pub trait WeightSource {
    /// The tensor called `name`; `init` matters only to sources that draw at random.
    ///
    /// # Errors
    /// Missing tensor or another shape.
    fn take(&mut self, name: &str, shape: &[usize], init: Init)
    -> Result<LoadedWeight, ModelError>;
}

/// Prefixes names while modules are constructed, and records the name of each parameter, so that a
/// trained model can be exported.
pub struct Builder<'a> {
    source: &'a mut dyn WeightSource,
    names: &'a mut Vec<(String, ParamId)>,
    prefix: String,
}

impl<'a> Builder<'a> {
    /// A builder at the root.
    pub fn new(source: &'a mut dyn WeightSource, names: &'a mut Vec<(String, ParamId)>) -> Self {
        Self {
            source,
            names,
            prefix: String::new(),
        }
    }

    /// The builder one level down.
    pub fn at(&mut self, part: impl std::fmt::Display) -> Builder<'_> {
        let prefix = if self.prefix.is_empty() {
            part.to_string()
        } else {
            format!("{}.{part}", self.prefix)
        };
        Builder {
            source: self.source,
            names: self.names,
            prefix,
        }
    }

    fn name(&self, leaf: &str) -> String {
        if self.prefix.is_empty() {
            leaf.to_owned()
        } else {
            format!("{}.{leaf}", self.prefix)
        }
    }

    /// A parameter whose id follows from its name, so that the state of an optimiser finds it
    /// again in another process.
    fn register<const D: usize>(&mut self, name: String, value: Tensor<D>) -> Param<Tensor<D>> {
        let id = ParamId::from(name_hash(&name));
        self.names.push((name, id));
        Param::initialized(id, value.detach()).set_require_grad(true)
    }

    /// A floating-point parameter.
    ///
    /// # Errors
    /// As the source's, and [`ModelError::NotDense`] when the package stores it quantised.
    pub fn dense<const D: usize>(
        &mut self,
        leaf: &str,
        shape: [usize; D],
        init: Init,
    ) -> Result<Param<Tensor<D>>, ModelError> {
        let name = self.name(leaf);
        match self.source.take(&name, &shape, init)? {
            LoadedWeight::Dense(flat, _) => Ok(self.register(name, flat.reshape(shape))),
            LoadedWeight::Quant(_) => Err(ModelError::NotDense { name }),
        }
    }

    /// A matrix `[rows, cols]` that may be quantised. `shape` is the public shape, whose first
    /// dimension counts the rows and whose others are flattened.
    ///
    /// # Errors
    /// As the source's.
    pub fn matrix(
        &mut self,
        leaf: &str,
        shape: &[usize],
        init: Init,
    ) -> Result<Matrix, ModelError> {
        let name = self.name(leaf);
        let rows = shape[0];
        let cols = shape[1..].iter().product();
        match self.source.take(&name, shape, init)? {
            LoadedWeight::Dense(flat, _) => Ok(Matrix::Dense(
                self.register(name, flat.reshape([rows, cols])),
            )),
            LoadedWeight::Quant(quant) => Ok(Matrix::Quant(quant)),
        }
    }
}

/// FNV-1a, 64 bits.
fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A matrix `[rows, cols]` as the source gave it.
#[expect(
    clippy::large_enum_variant,
    reason = "handed over once while a model is built"
)]
pub enum Matrix {
    /// Floating point.
    Dense(Param<Tensor<2>>),
    /// Quantised.
    Quant(QuantWeight),
}

/// Draws every tensor at random, for training from nothing and for tests.
pub struct RandomWeights {
    device: Device,
}

impl RandomWeights {
    /// A source on `device`, seeded.
    #[must_use]
    pub fn new(device: &Device, seed: u64) -> Self {
        device.seed(seed);
        Self {
            device: device.clone(),
        }
    }
}

impl WeightSource for RandomWeights {
    fn take(
        &mut self,
        _name: &str,
        shape: &[usize],
        init: Init,
    ) -> Result<LoadedWeight, ModelError> {
        let len: usize = shape.iter().product();
        let fan_out = shape[0];
        let fan_in: usize = shape[1..].iter().product::<usize>().max(1);
        let device = &self.device;
        let uniform =
            |bound: f64| Tensor::<1>::random([len], Distribution::Uniform(-bound, bound), device);
        let flat = match init {
            Init::Zeros => Tensor::zeros([len], device),
            Init::Ones => Tensor::ones([len], device),
            Init::Normal(std) => Tensor::random([len], Distribution::Normal(0.0, std), device),
            Init::Xavier => uniform((6.0 / (fan_in + fan_out) as f64).sqrt()),
            Init::Torch => uniform((1.0 / fan_in as f64).sqrt()),
            Init::Directions { n_heads, n_points } => {
                let data = direction_bias(n_heads, n_points);
                Tensor::from_data(TensorData::new(data, [len]), device)
            }
        };
        Ok(LoadedWeight::Dense(flat, shape.to_vec()))
    }
}

/// Deformable DETR's initial offsets, cells, as (x, y) for each head and point.
fn direction_bias(n_heads: usize, n_points: usize) -> Vec<f32> {
    let mut bias = Vec::with_capacity(n_heads * n_points * 2);
    for head in 0..n_heads {
        let angle = head as f32 * std::f32::consts::TAU / n_heads as f32;
        let (y, x) = angle.sin_cos();
        let longest = x.abs().max(y.abs());
        for point in 1..=n_points {
            bias.push(x / longest * point as f32);
            bias.push(y / longest * point as f32);
        }
    }
    bias
}

/// Weights that lie on a device already, by package name.
#[derive(Default)]
pub struct DeviceWeights {
    tensors: HashMap<String, LoadedWeight>,
}

impl DeviceWeights {
    /// Adds a tensor.
    pub fn insert(&mut self, name: String, weight: LoadedWeight) {
        self.tensors.insert(name, weight);
    }

    /// Removes and returns a tensor of any shape.
    pub fn remove(&mut self, name: &str) -> Option<LoadedWeight> {
        self.tensors.remove(name)
    }

    /// Names of the tensors that no module has taken, sorted.
    #[must_use]
    pub fn unused(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.tensors.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

impl WeightSource for DeviceWeights {
    fn take(
        &mut self,
        name: &str,
        shape: &[usize],
        _init: Init,
    ) -> Result<LoadedWeight, ModelError> {
        let weight = self
            .tensors
            .remove(name)
            .ok_or_else(|| ModelError::Missing {
                name: name.to_owned(),
                expected: shape.to_vec(),
            })?;
        let (fits, actual) = match &weight {
            LoadedWeight::Dense(_, actual) => (actual == shape, actual.clone()),
            LoadedWeight::Quant(quant) => {
                let cols: usize = shape[1..].iter().product();
                let actual = vec![quant.rows(), quant.cols()];
                (actual == [shape[0], cols], actual)
            }
        };
        if fits {
            Ok(weight)
        } else {
            Err(ModelError::Shape {
                name: name.to_owned(),
                expected: shape.to_vec(),
                actual,
            })
        }
    }
}

/// A source that records name and shape of each tensor and returns zeros.
pub struct ShapeList {
    device: Device,
    /// Name and shape, in the order of construction.
    pub shapes: Vec<(String, Vec<usize>)>,
}

impl ShapeList {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self {
            device: vmad_kernels::cpu_device(),
            shapes: Vec::new(),
        }
    }
}

impl Default for ShapeList {
    fn default() -> Self {
        Self::new()
    }
}

impl WeightSource for ShapeList {
    fn take(
        &mut self,
        name: &str,
        shape: &[usize],
        _init: Init,
    ) -> Result<LoadedWeight, ModelError> {
        self.shapes.push((name.to_owned(), shape.to_vec()));
        let len = shape.iter().product::<usize>();
        Ok(LoadedWeight::Dense(
            Tensor::zeros([len], &self.device),
            shape.to_vec(),
        ))
    }
}
