//! The intermediate tensors of a pass as a safetensors file.

use std::path::Path;

use anyhow::{Context, Result};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use vmad_engine::{Trace, TraceData};

use crate::files::write_whole;

/// Writes every tensor under its name: `f32`, token ids `i32`.
pub(crate) fn write(path: &Path, trace: &Trace) -> Result<()> {
    let raw: Vec<(Dtype, Vec<u8>)> = trace
        .tensors
        .iter()
        .map(|tensor| match &tensor.data {
            TraceData::F32(values) => (Dtype::F32, bytes(values, |v| v.to_le_bytes())),
            TraceData::I32(values) => (Dtype::I32, bytes(values, |v| v.to_le_bytes())),
        })
        .collect();
    let views = trace
        .tensors
        .iter()
        .zip(&raw)
        .map(|(tensor, (dtype, bytes))| {
            let view = TensorView::new(*dtype, tensor.shape.clone(), bytes)
                .with_context(|| format!("trace tensor {}", tensor.name))?;
            Ok((tensor.name.as_str(), view))
        })
        .collect::<Result<Vec<_>>>()?;
    let file = safetensors::serialize(views, None).context("encoding the trace")?;
    write_whole(path, &file)
}

fn bytes<T: Copy>(values: &[T], one: impl Fn(T) -> [u8; 4]) -> Vec<u8> {
    values.iter().flat_map(|value| one(*value)).collect()
}
