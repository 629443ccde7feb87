//! One call's way through its stages: progress, pauses, cancellation, times; and reading results.

use std::rc::Rc;

use burn::tensor::Tensor;
use vmad_kernels::Readback;

use crate::stream::Emitter;
use crate::{CancelToken, EngineError, Event, Host, Stage};

pub(crate) struct Pace {
    host: Rc<dyn Host>,
    cancel: CancelToken,
    pub out: Emitter,
    /// Stage and milliseconds so far.
    pub timings: Vec<(Stage, f64)>,
    since_ms: f64,
    done: u64,
    total: u64,
}

impl Pace {
    pub fn new(host: Rc<dyn Host>, cancel: CancelToken, out: Emitter, total: u64) -> Self {
        Self {
            since_ms: host.now_ms(),
            timings: Vec::new(),
            done: 0,
            host,
            cancel,
            out,
            total,
        }
    }

    /// Announces a stage and starts its clock.
    pub async fn begin(&mut self, stage: Stage) -> Result<(), EngineError> {
        let (done, total) = (self.done, self.total);
        self.done = (done + 1).min(total);
        self.out.emit(Event::Progress { stage, done, total }).await;
        self.breathe().await?;
        self.since_ms = self.host.now_ms();
        Ok(())
    }

    /// Writes down how long the stage took.
    pub fn end(&mut self, stage: Stage) {
        let now_ms = self.host.now_ms();
        self.timings.push((stage, now_ms - self.since_ms));
        self.since_ms = now_ms;
    }

    /// Lets a cancel message come in, and obeys it.
    pub async fn breathe(&self) -> Result<(), EngineError> {
        self.host.yield_now().await;
        self.cancel.check()
    }
}

/// The values of a tensor, all finite.
pub(crate) async fn read<const D: usize>(
    stage: Stage,
    tensor: Tensor<D>,
) -> Result<Vec<f32>, EngineError> {
    let failed = |reason: String| EngineError::Readback { stage, reason };
    let data = Readback::new(tensor.into_data_async())
        .await
        .map_err(|error| failed(error.to_string()))?;
    let values = data
        .try_into_vec::<f32>()
        .map_err(|error| failed(format!("{error:?}")))?;
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(EngineError::NonFinite { stage })
    }
}

/// Waits until a tensor is computed, so that the time measured is that of its stage, and refuses
/// NaN and infinity, which pass through the sum that is read.
pub(crate) async fn settle<const D: usize>(
    stage: Stage,
    tensor: &Tensor<D>,
) -> Result<(), EngineError> {
    read(stage, tensor.clone().sum()).await.map(drop)
}
