use std::collections::BTreeMap;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView};

pub type TestResult = Result<(), Box<dyn std::error::Error>>;

/// Shape and values by name.
pub type State = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

pub fn bytes_of(values: &[f32], dtype: Dtype) -> Vec<u8> {
    let halves = |to_bits: fn(f32) -> u16| {
        values
            .iter()
            .flat_map(|&v| to_bits(v).to_le_bytes())
            .collect()
    };
    match dtype {
        Dtype::F16 => halves(|v| f16::from_f32(v).to_bits()),
        Dtype::BF16 => halves(|v| bf16::from_f32(v).to_bits()),
        _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

pub fn write(path: &Path, state: &State, dtype: Dtype) -> TestResult {
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = state
        .iter()
        .map(|(name, (shape, values))| (name, shape, bytes_of(values, dtype)))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| Ok((*name, TensorView::new(dtype, (*shape).clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    safetensors::serialize_to_file(views, None, path)?;
    Ok(())
}
