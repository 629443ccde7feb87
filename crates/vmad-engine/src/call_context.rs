//! One call while it runs: plan and progress, events, timings, cancellation, trace.

use std::rc::Rc;

use burn::tensor::Tensor;

use crate::call_plan::CallPlan;
use crate::readback::{read, synchronize};
use crate::stream::Emitter;
use crate::trace::TensorObserver;
use crate::{CancelToken, EngineError, Event, Host, Stage};

/// The state of a running call that its stages share.
pub(crate) struct CallContext {
    host: Rc<dyn Host>,
    cancel: CancelToken,
    events: Emitter,
    plan: CallPlan,
    /// Planned stages that have begun.
    n_begun: usize,
    /// The stage that began last.
    stage: Stage,
    since_ms: f64,
    /// Stage and milliseconds of each stage that has ended.
    pub timings: Vec<(Stage, f64)>,
    /// Receives the intermediate tensors.
    pub observer: TensorObserver,
}

impl CallContext {
    pub fn new(
        plan: CallPlan,
        host: Rc<dyn Host>,
        cancel: CancelToken,
        events: Emitter,
        observer: TensorObserver,
    ) -> Self {
        Self {
            since_ms: host.now_ms(),
            timings: Vec::new(),
            n_begun: 0,
            stage: plan.stages().first().copied().unwrap_or(Stage::Decode),
            plan,
            host,
            cancel,
            events,
            observer,
        }
    }

    /// Emits the progress event of a stage and starts its clock. The stage is the next one of the
    /// plan, or an additional one after the last of the plan.
    pub async fn begin(&mut self, stage: Stage) -> Result<(), EngineError> {
        let planned = self.plan.stages();
        let (done, total) = (self.n_begun as u64, planned.len() as u64);
        let next = planned.get(self.n_begun);
        debug_assert!(
            next.is_none_or(|next| *next == stage),
            "stage {stage} began where the plan has {next:?}"
        );
        self.n_begun += usize::from(next.is_some());
        self.stage = stage;
        self.emit(Event::Progress { stage, done, total }).await;
        self.yield_and_check().await?;
        self.since_ms = self.host.now_ms();
        Ok(())
    }

    /// Ends the stage that began last and records how long it took.
    pub fn end(&mut self) {
        let now_ms = self.host.now_ms();
        self.timings.push((self.stage, now_ms - self.since_ms));
        self.since_ms = now_ms;
    }

    /// Yields to the host, so that a cancel message can arrive; [`EngineError::Cancelled`] if it
    /// did.
    pub async fn yield_and_check(&self) -> Result<(), EngineError> {
        self.host.yield_now().await;
        self.cancel.check()
    }

    /// Hands an event to the caller.
    pub async fn emit(&self, event: Event) {
        self.events.emit(event).await;
    }

    /// The values of a result of this stage, all finite.
    pub async fn read<const D: usize>(&self, tensor: Tensor<D>) -> Result<Vec<f32>, EngineError> {
        read(self.stage, tensor).await
    }

    /// Waits until a result of this stage is computed; fails when it is not finite.
    pub async fn synchronize<const D: usize>(&self, tensor: &Tensor<D>) -> Result<(), EngineError> {
        synchronize(self.stage, tensor).await
    }

    /// Shows an intermediate tensor of this stage to the observer.
    ///
    /// # Shapes
    /// - tensor: `[1, ..]`
    pub async fn observe<const D: usize>(
        &self,
        name: &str,
        tensor: &Tensor<D>,
    ) -> Result<(), EngineError> {
        self.observer.tensor(name, self.stage, tensor).await
    }

    /// As [`Self::observe`], for a tensor that is computed only if the observer records it.
    pub async fn observe_with<const D: usize>(
        &self,
        name: &str,
        tensor: impl FnOnce() -> Tensor<D>,
    ) -> Result<(), EngineError> {
        if !self.observer.is_recording() {
            return Ok(());
        }
        self.observe(name, &tensor()).await
    }
}
