//! A whole checkpoint under a package's names.

use std::collections::BTreeMap;

use crate::checkpoint::{Checkpoint, Tensor};
use crate::error::ConvertError;
use crate::layout::Layout;
use crate::lora::{check_factor, merged};
use crate::names::{Mapped, package_name};

/// What was done with a checkpoint's tensors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Renaming {
    /// Package name of each tensor handed on, with its name in the checkpoint.
    pub written: BTreeMap<String, String>,
    /// LoRA factors that were merged.
    pub merged: Vec<String>,
    /// Names of the checkpoint that were folded into the weight and bias of a convolution.
    pub folded: Vec<String>,
    /// Names of the checkpoint that a package has no place for.
    pub ignored: Vec<String>,
    /// Names of the checkpoint that no table holds.
    pub unknown: Vec<String>,
}

/// Epsilon of a batch norm, PyTorch's default, which all layouts use.
const BATCH_NORM_EPS: f64 = 1e-5;

/// Calls `visit` with every tensor of the checkpoint that belongs in a package, under its package name
/// and in the package's shape. One tensor is in memory at a time. A tensor that the checkpoint
/// holds twice is handed on once.
///
/// LoRA factors that still stand beside their matrices are merged into them, W + (α / r)·B·A, with
/// `lora_alpha` for α, which no checkpoint holds; LISA trained with 16.
pub fn for_each_package_tensor<E: From<ConvertError>>(
    checkpoint: &Checkpoint,
    layout: Layout,
    lora_alpha: Option<f64>,
    mut visit: impl FnMut(Tensor) -> Result<(), E>,
) -> Result<Renaming, E> {
    let mut done = Renaming::default();
    for source in checkpoint.names() {
        let parts = match package_name(layout, source) {
            Mapped::Factor => {
                check_factor(checkpoint, source)?;
                done.merged.push(source.into());
                continue;
            }
            Mapped::Ignore => {
                done.ignored.push(source.into());
                continue;
            }
            Mapped::Unknown => {
                done.unknown.push(source.into());
                continue;
            }
            Mapped::Folded => {
                done.folded.push(source.into());
                continue;
            }
            Mapped::BatchNormed(name) => fold(checkpoint, source, &name)?.into(),
            Mapped::Name(name) => vec![Tensor {
                name,
                ..merged(checkpoint, checkpoint.read(source)?, lora_alpha)?
            }],
            Mapped::Split(names) => split(checkpoint.read(source)?, names)?,
            Mapped::Positions(name) => vec![Tensor {
                name,
                ..positions(checkpoint.read(source)?)?
            }],
        };
        for part in parts {
            if let Some(first) = done.written.get(&part.name) {
                let first = checkpoint.read(first)?;
                if first.shape != part.shape || first.values != part.values {
                    return Err(ConvertError::Conflict {
                        name: part.name,
                        second: source.into(),
                    }
                    .into());
                }
                continue;
            }
            done.written.insert(part.name.clone(), source.into());
            visit(part)?;
        }
    }
    Ok(done)
}

/// Equal parts along the first dimension.
fn split(tensor: Tensor, names: Vec<String>) -> Result<Vec<Tensor>, ConvertError> {
    let n_parts = names.len();
    let rows = tensor.shape.first().copied().unwrap_or(0);
    if rows == 0 || n_parts == 0 || rows % n_parts != 0 {
        return Err(ConvertError::Shape {
            tensor: tensor.name,
            shape: tensor.shape,
            reason: "its rows should divide by 3, for query, key and value",
        });
    }
    let mut shape = tensor.shape;
    if let Some(rows) = shape.first_mut() {
        *rows /= n_parts;
    }
    let n_values = shape.iter().product::<usize>().max(1);
    Ok(names
        .into_iter()
        .zip(tensor.values.chunks(n_values))
        .map(|(name, values)| Tensor {
            name,
            shape: shape.clone(),
            values: values.to_vec(),
        })
        .collect())
}

/// A convolution `….c.weight` and its batch norm `….bn` as one convolution `{name}.weight` and
/// `{name}.bias`: with s = γ / √(σ² + ε), the weight is s·W and the bias β − s·μ.
fn fold(checkpoint: &Checkpoint, source: &str, name: &str) -> Result<[Tensor; 2], ConvertError> {
    let convolution = checkpoint.read(source)?;
    let n_out = convolution.shape.first().copied().unwrap_or(0);
    let place = source.strip_suffix("c.weight").unwrap_or(source);
    let norm = |leaf: &str| {
        let tensor = checkpoint.read(&format!("{place}bn.{leaf}"))?;
        if n_out == 0 || tensor.shape != [n_out] {
            return Err(ConvertError::Shape {
                tensor: tensor.name,
                shape: tensor.shape,
                reason: "it should have one value for each output channel of its convolution",
            });
        }
        Ok(tensor.values)
    };
    let (gamma, beta) = (norm("weight")?, norm("bias")?);
    let (mean, variance) = (norm("running_mean")?, norm("running_var")?);
    let scale: Vec<f64> = gamma
        .iter()
        .zip(variance)
        .map(|(&gamma, variance)| f64::from(gamma) / (f64::from(variance) + BATCH_NORM_EPS).sqrt())
        .collect();
    let n_per_output = (convolution.values.len() / n_out).max(1);
    let weight = convolution
        .values
        .chunks(n_per_output)
        .zip(&scale)
        .flat_map(|(kernel, scale)| kernel.iter().map(move |&w| (f64::from(w) * scale) as f32))
        .collect();
    let bias = beta
        .iter()
        .zip(mean)
        .zip(&scale)
        .map(|((&beta, mean), scale)| (f64::from(beta) - f64::from(mean) * scale) as f32)
        .collect();
    Ok([
        Tensor {
            name: format!("{name}.weight"),
            shape: convolution.shape,
            values: weight,
        },
        Tensor {
            name: format!("{name}.bias"),
            shape: vec![n_out],
            values: bias,
        },
    ])
}

/// `[1, n, d]` or `[n, d]` → `[n', d]`, n' being the cells of a square grid.
fn positions(tensor: Tensor) -> Result<Tensor, ConvertError> {
    let (n, d) = match *tensor.shape.as_slice() {
        [1, n, d] | [n, d] if d > 0 => (n, d),
        _ => (0, 0),
    };
    let is_square = |n: usize| n > 0 && n.isqrt().pow(2) == n;
    let n_class_rows = match n {
        n if is_square(n) => 0,
        n if n > 0 && is_square(n - 1) => 1,
        _ => {
            return Err(ConvertError::Shape {
                tensor: tensor.name,
                shape: tensor.shape,
                reason: "it should be a square grid of positions, with or without a class token",
            });
        }
    };
    Ok(Tensor {
        name: tensor.name,
        shape: vec![n - n_class_rows, d],
        values: tensor.values.into_iter().skip(n_class_rows * d).collect(),
    })
}
