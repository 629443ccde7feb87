//! Comparison of the tensors that a configuration needs with those that a manifest lists.

use std::collections::{HashMap, HashSet};

use burn::tensor::Tensor;
use vmad_kernels::cpu_device;
use vmad_model::{Init, LoadedWeight, ModelError, Vmad, VmadConfig, WeightSource};
use vmad_package::{Manifest, Storage, TensorEntry};

use crate::EngineError;

/// Names of all tensors that the configuration needs.
///
/// # Errors
/// [`EngineError::Model`] when the configuration contradicts itself or the manifest lacks one of the
/// tensors or lists it in another shape, [`EngineError::TensorTooLarge`] when the device cannot hold
/// one.
pub(crate) fn needed_tensors(
    config: &VmadConfig,
    manifest: &Manifest,
    max_buffer_bytes: Option<u64>,
) -> Result<HashSet<String>, EngineError> {
    let mut check = ShapeCheck {
        listed: manifest
            .tensors()
            .iter()
            .map(|entry| (entry.name.as_str(), entry))
            .collect(),
        needed: HashSet::new(),
        zeros: Tensor::zeros([1], &cpu_device()),
    };
    Vmad::new(config, &mut check)?;
    let ShapeCheck { listed, needed, .. } = check;
    if let Some(limit) = max_buffer_bytes {
        for entry in listed.values().filter(|entry| needed.contains(&entry.name)) {
            let bytes = buffer_bytes(entry);
            if bytes > limit {
                return Err(EngineError::TensorTooLarge {
                    name: entry.name.clone(),
                    bytes,
                    limit,
                });
            }
        }
    }
    Ok(needed)
}

/// Bytes of a tensor's largest buffer on the device, which holds f16 as f32. Counts the padding of
/// the last block of each row.
fn buffer_bytes(entry: &TensorEntry) -> u64 {
    let rows = entry.shape.first().copied().unwrap_or(1) as u64;
    let cols: u64 = entry.shape.iter().skip(1).map(|dim| *dim as u64).product();
    let padded = cols.next_multiple_of(32);
    match entry.storage {
        Storage::F32 | Storage::F16 => rows * cols * 4,
        Storage::Int8 => rows * padded,
        Storage::Int4 => rows * padded / 2,
    }
}

/// A weight source that compares each request with the manifest and returns a view of one buffer of
/// zeros, so that the check takes no more memory than the largest tensor.
struct ShapeCheck<'m> {
    listed: HashMap<&'m str, &'m TensorEntry>,
    needed: HashSet<String>,
    zeros: Tensor<1>,
}

impl WeightSource for ShapeCheck<'_> {
    fn take(
        &mut self,
        name: &str,
        shape: &[usize],
        _init: Init,
    ) -> Result<LoadedWeight, ModelError> {
        let entry = self.listed.get(name).ok_or_else(|| ModelError::Missing {
            name: name.to_owned(),
            expected: shape.to_vec(),
        })?;
        if entry.shape != shape {
            return Err(ModelError::Shape {
                name: name.to_owned(),
                expected: shape.to_vec(),
                actual: entry.shape.clone(),
            });
        }
        self.needed.insert(name.to_owned());
        let len: usize = shape.iter().product();
        let [n_zeros] = self.zeros.dims();
        if n_zeros < len {
            self.zeros = Tensor::zeros([len], &cpu_device());
        }
        let view = self.zeros.clone().narrow(0, 0, len);
        Ok(LoadedWeight::Dense(view, shape.to_vec()))
    }
}
