//! Intermediate tensors of an inspection, for comparison with another implementation.

use std::cell::RefCell;
use std::rc::Rc;

use burn::tensor::Tensor;

use crate::readback::read;
use crate::{EngineError, Stage};

/// The intermediate tensors of one inspection, without a batch dimension.
///
/// Names: `clip.pixels`, `sam.pixels`, `clip.hidden.{i}` (class token included), `projector.out`,
/// `llm.input_ids` (with the image sentinel), `llm.logits`, `llm.hidden` (after the final norm),
/// `seg.hidden`, `seg.embedding`, `sam.image_embedding`, `clip.similarity` and `sam.mask_prompt`
/// (in models that take them), `mask.logits`, `mask.evidence` (in models that take it), `map`. The
/// language model's tensors are those of the forced prompt.
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
    /// Results of computations.
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
}

/// Receives the named intermediate tensors of a call and records them if a trace was started.
///
/// The engine and the call in progress hold clones of one observer, so that a call that is dropped
/// does not take the trace with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TensorObserver {
    trace: Option<Rc<RefCell<Trace>>>,
}

impl TensorObserver {
    /// An observer that records into an empty trace; the default one ignores everything.
    pub fn recording() -> Self {
        Self {
            trace: Some(Rc::default()),
        }
    }

    /// Whether tensors are recorded.
    pub fn is_recording(&self) -> bool {
        self.trace.is_some()
    }

    /// Removes the tensors of the call before.
    pub fn clear(&self) {
        if let Some(trace) = &self.trace {
            trace.take();
        }
    }

    /// Ends the recording and returns the trace; `None` if there was no recording.
    pub fn take(&mut self) -> Option<Trace> {
        self.trace.take().map(|trace| trace.take())
    }

    /// Reads a tensor back and records it without its batch dimension.
    ///
    /// # Shapes
    /// - tensor: `[1, ..]`; the record is `[..]`
    pub async fn tensor<const D: usize>(
        &self,
        name: &str,
        stage: Stage,
        tensor: &Tensor<D>,
    ) -> Result<(), EngineError> {
        if !self.is_recording() {
            return Ok(());
        }
        let dims = tensor.dims();
        debug_assert_eq!(dims[0], 1, "{name} is not a batch of one");
        let values = read(stage, tensor.clone()).await?;
        self.record(name, &dims[1..], TraceData::F32(values));
        Ok(())
    }

    /// Records values that lie in host memory.
    pub fn values(&self, name: &str, shape: &[usize], values: &[f32]) {
        if self.is_recording() {
            self.record(name, shape, TraceData::F32(values.to_vec()));
        }
    }

    /// Records token ids.
    pub fn ids(&self, name: &str, ids: &[i32]) {
        if self.is_recording() {
            self.record(name, &[ids.len()], TraceData::I32(ids.to_vec()));
        }
    }

    /// A later tensor of the same name replaces the earlier one.
    fn record(&self, name: &str, shape: &[usize], data: TraceData) {
        let Some(trace) = &self.trace else { return };
        let tensors = &mut trace.borrow_mut().tensors;
        tensors.retain(|tensor| tensor.name != name);
        tensors.push(TraceTensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            data,
        });
    }
}
