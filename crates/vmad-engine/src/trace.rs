//! Every intermediate tensor of a pass, for comparison with another implementation.

use burn::tensor::Tensor;

use crate::pace::read;
use crate::{EngineError, Stage};

/// The intermediate tensors of one inspection, without a batch dimension.
///
/// Names: `clip.pixels`, `sam.pixels`, `clip.hidden.{i}` (class token included), `projector.out`,
/// `llm.input_ids` (with the image sentinel), `llm.logits`, `llm.hidden` (after the final norm),
/// `seg.hidden`, `seg.embedding`, `sam.image_embedding`, `clip.similarity` and `sam.mask_prompt`
/// (in models that take them), `mask.logits`, `map`. The language model's are those of the scoring
/// pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// In the order in which they were computed.
    pub tensors: Vec<TraceTensor>,
}

/// One tensor of a [`Trace`].
#[derive(Clone, Debug, PartialEq)]
pub struct TraceTensor {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub data: TraceData,
}

/// The values of a [`TraceTensor`].
#[derive(Clone, Debug, PartialEq)]
pub enum TraceData {
    /// Everything computed.
    F32(Vec<f32>),
    /// Token ids.
    I32(Vec<i32>),
}

impl Trace {
    /// The tensor of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&TraceTensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    pub(crate) fn add(&mut self, name: impl Into<String>, shape: &[usize], data: TraceData) {
        self.tensors.push(TraceTensor {
            name: name.into(),
            shape: shape.to_vec(),
            data,
        });
    }

    pub(crate) fn add_values(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        self.add(name, shape, TraceData::F32(values.to_vec()));
    }

    /// Reads a tensor back; leading dimensions of size one above `rank` dimensions are dropped.
    pub(crate) async fn add_tensor<const D: usize>(
        &mut self,
        name: impl Into<String>,
        stage: Stage,
        tensor: &Tensor<D>,
        rank: usize,
    ) -> Result<(), EngineError> {
        let dims = tensor.dims();
        let shape = dims.get(D.saturating_sub(rank)..).unwrap_or(&dims).to_vec();
        let values = read(stage, tensor.clone()).await?;
        self.add(name, &shape, TraceData::F32(values));
        Ok(())
    }
}
