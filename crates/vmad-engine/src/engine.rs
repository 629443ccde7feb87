//! The engine: its public methods, each as the sequence of its steps.

use std::pin::pin;
use std::rc::Rc;

use futures::{Stream, StreamExt};
use vmad_kernels::{DeviceKind, PipelinePrecompile};
use vmad_model::{Vmad, VmadConfig};
use vmad_package::Manifest;

use crate::calibrate::ThresholdCollector;
use crate::call_context::CallContext;
use crate::call_plan::CallPlan;
use crate::generate::AnswerStart;
use crate::language_context::LmOutput;
use crate::loaded_model::LoadedModel;
use crate::query::CheckedQuery;
use crate::references::{MAX_REFERENCES, References};
use crate::score::ScoredPrompt;
use crate::score_choices::check_options;
use crate::session::Session;
use crate::stream::Emitter;
use crate::trace::TensorObserver;
use crate::{
    ByteSource, CalibrationEvent, CalibrationOptions, CalibrationPhoto, CancelToken, EngineError,
    Event, EventStream, Generation, Host, Memory, Photo, Progress, Query, ReferencePhoto, Report,
    SelectedDevice, Stage, StopReason, Trace, encode, generate, open, score, score_choices,
    warm_up,
};

/// A model on a device, and the conversation about one photograph.
pub struct Engine {
    pub(crate) loaded: LoadedModel,
    host: Rc<dyn Host>,
    references: References,
    /// The conversation; `None` until a photograph is inspected.
    pub(crate) session: Option<Session>,
    observer: TensorObserver,
    /// Each stage of the last call and its milliseconds.
    timings: Vec<(Stage, f64)>,
}

impl Engine {
    /// Maximum number of photographs of good parts for [`Self::set_references`].
    pub const MAX_REFERENCES: usize = MAX_REFERENCES;

    /// Opens a package. Checks everything in `model.json` before it reads a shard. Reads one shard
    /// after the other and uploads each before it reads the next.
    ///
    /// # Errors
    /// What is wrong with the package, with the names of file and tensor; [`EngineError::Cancelled`].
    pub async fn open(
        source: &dyn ByteSource,
        device: SelectedDevice,
        host: Rc<dyn Host>,
        progress: &mut dyn FnMut(Progress),
        cancel: &CancelToken,
    ) -> Result<Self, EngineError> {
        let loaded = open::open(source, device, host.as_ref(), progress, cancel).await?;
        Ok(Self {
            loaded,
            host,
            references: References::default(),
            session: None,
            observer: TensorObserver::default(),
            timings: Vec::new(),
        })
    }

    /// Inspects a photograph and starts a new conversation about it.
    ///
    /// An error in the photograph or the query leaves the previous conversation as it was. The
    /// previous conversation ends when encoding starts; a call that ends before its verdict leaves
    /// no conversation.
    pub fn inspect(
        &mut self,
        photo: impl Into<Photo>,
        query: Query,
        cancel: &CancelToken,
    ) -> EventStream<'_> {
        let (photo, cancel) = (photo.into(), cancel.clone());
        EventStream::new(move |events| async move {
            let plan = CallPlan::inspect(&self.loaded.config, &query.ask);
            let mut ctx = self.context(plan, cancel, events);
            let result = self.run_inspect(photo, query, &mut ctx).await;
            self.finish_call(result, ctx).await
        })
    }

    /// Asks a further question about the photograph. Image features and all turns so far are reused.
    pub fn ask(
        &mut self,
        question: impl Into<String>,
        generation: Generation,
        cancel: &CancelToken,
    ) -> EventStream<'_> {
        let (question, cancel) = (question.into(), cancel.clone());
        EventStream::new(move |events| async move {
            let mut ctx = self.context(CallPlan::ask(), cancel, events);
            let result = self.run_ask(&question, &generation, &mut ctx).await;
            self.finish_call(result, ctx).await
        })
    }

    /// Scores each of `options` as the answer to a question about the photograph: the mean of ln p
    /// over its tokens, at most 0.
    ///
    /// The question follows all turns so far, as with [`Self::ask`]. The conversation is left as it
    /// was.
    ///
    /// # Errors
    /// [`EngineError::NoImage`] without a photograph, [`EngineError::BadQuery`] with no option, more
    /// than 64 or an empty one, [`EngineError::Prep`] with an empty question,
    /// [`EngineError::ContextFull`], and [`EngineError::Cancelled`].
    pub async fn score_choices(
        &mut self,
        question: &str,
        options: &[String],
        cancel: &CancelToken,
    ) -> Result<Vec<f32>, EngineError> {
        let session = self.session.as_mut().ok_or(EngineError::NoImage)?;
        check_options(options)?;
        session.roll_back();
        let (lm, host) = (self.loaded.language(), self.host.as_ref());
        let result =
            score_choices::score_choices(&lm, session, question, options, host, cancel).await;
        session.roll_back();
        result
    }

    /// Finds thresholds from photographs of parts, which are taken from the stream one at a time.
    ///
    /// A photograph that cannot be used is reported and left out. The conversation continues after
    /// the call, however the call ends.
    ///
    /// # Errors
    /// In the stream: [`EngineError::BadQuery`] and other errors in the options,
    /// [`EngineError::NoGoodPart`], and failures of the device.
    pub fn calibrate<'a>(
        &'a mut self,
        photos: impl Stream<Item = CalibrationPhoto> + 'a,
        options: CalibrationOptions,
        cancel: &CancelToken,
    ) -> EventStream<'a, CalibrationEvent> {
        let cancel = cancel.clone();
        EventStream::new(move |events| async move {
            let result = self.run_calibrate(photos, options, &cancel, &events).await;
            let reason = stop_reason(result.map(|()| StopReason::End))?;
            events.emit(CalibrationEvent::Done { reason }).await;
            Ok(())
        })
    }

    /// Sets photographs of good parts. [`Self::inspect`] and [`Self::calibrate`] then compare each
    /// photograph with them as well as within itself. An empty list removes them. They are taken one
    /// at a time; only descriptions of their patches are kept. Returns their number.
    ///
    /// References apply to the similarity prior from pixels. A prior from CLIP's features compares
    /// within the photograph only.
    ///
    /// This is an extension: results with references are few-shot, not the paper's zero-shot
    /// protocol, and thresholds that were found without references do not hold.
    ///
    /// # Errors
    /// [`EngineError::BadQuery`] when the model has no prior from pixels or there are more than
    /// [`Self::MAX_REFERENCES`]; [`EngineError::Reference`] with the name of the photograph;
    /// [`EngineError::Cancelled`]. The previous references then stay.
    pub async fn set_references(
        &mut self,
        photos: impl IntoIterator<Item = ReferencePhoto>,
        cancel: &CancelToken,
    ) -> Result<usize, EngineError> {
        let (config, host) = (&self.loaded.config, self.host.as_ref());
        self.references = References::describe(photos, config, host, cancel).await?;
        Ok(self.references.len())
    }

    /// Prepares a GPU, so that the first inspection does not wait for its compiler. A browser first
    /// compiles all pipelines in parallel; a hardware GPU then inspects a test pattern. Returns
    /// `false` on the CPU, where there is nothing to do.
    ///
    /// Call it before the first inspection. A cancelled call has done a part of the work.
    ///
    /// # Errors
    /// [`EngineError::Device`] when a shader does not compile, and the errors of [`Self::inspect`]'s
    /// events, a lost device among them.
    pub async fn warm_up(&mut self, cancel: &CancelToken) -> Result<bool, EngineError> {
        let DeviceKind::Gpu { software, .. } = self.loaded.device.kind else {
            return Ok(false);
        };
        if let Some(precompile) = PipelinePrecompile::new(&self.loaded.device.device) {
            let inspection = self.inspect_test_pattern(cancel);
            precompile.launches(inspection).await?;
            precompile.compiled().await.map_err(EngineError::Device)?;
        }
        // A software GPU would take seconds.
        if !software {
            self.inspect_test_pattern(cancel).await?;
        }
        Ok(true)
    }

    /// The package's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.loaded.manifest
    }

    /// The model's configuration.
    #[must_use]
    pub fn config(&self) -> &VmadConfig {
        &self.loaded.config
    }

    /// The model, for timings of its parts.
    #[must_use]
    pub fn model(&self) -> &Vmad {
        &self.loaded.model
    }

    /// The device that computes, and why it was selected.
    #[must_use]
    pub fn device(&self) -> &SelectedDevice {
        &self.loaded.device
    }

    /// Whether there is a photograph to ask about.
    #[must_use]
    pub fn has_image(&self) -> bool {
        self.session.is_some()
    }

    /// Number of photographs of good parts that are set.
    #[must_use]
    pub fn n_references(&self) -> usize {
        self.references.len()
    }

    /// Makes inspections record their intermediate tensors, which costs time and memory. Each
    /// inspection starts with an empty trace.
    pub fn start_trace(&mut self) {
        self.observer = TensorObserver::recording();
    }

    /// Ends the recording and returns the tensors of the last inspection.
    pub fn take_trace(&mut self) -> Option<Trace> {
        self.observer.take()
    }

    /// Memory and times.
    #[must_use]
    pub fn report(&self) -> Report {
        let (kv_cache_bytes, features_bytes) = self.session.as_ref().map_or((0, 0), Session::bytes);
        let stats = &self.loaded.stats;
        Report {
            device: self.loaded.device_name(),
            loading: stats.timings.clone(),
            timings: self.timings.clone(),
            memory: Memory {
                weights_bytes: stats.weights_bytes,
                peak_shard_bytes: stats.peak_shard_bytes,
                kv_cache_bytes,
                features_bytes,
            },
        }
    }

    async fn run_inspect(
        &mut self,
        photo: Photo,
        query: Query,
        ctx: &mut CallContext,
    ) -> Result<StopReason, EngineError> {
        let query = CheckedQuery::new(query, &self.loaded.tokenizer)?;
        let prompt = score::prompt_ids(&self.loaded.language(), &query)?;
        let photo = encode::decode(photo, ctx).await?;
        self.session = None;
        ctx.observer.clear();

        let encoded = encode::encode(&self.loaded, &self.references, &photo, ctx).await?;
        drop(photo);
        let ScoredPrompt {
            session,
            map,
            output,
        } = score::score(&self.loaded, encoded, &prompt, &query, ctx).await?;
        let session = self.session.insert(session);
        ctx.emit(map.into_event(self.loaded.logits_side())).await;
        emit_result(session, &self.loaded, String::new(), ctx).await;

        match (&query.question, query.topic) {
            (Some(question), _) => self.run_turn(question, &query.generation, ctx).await,
            (None, Some(_)) => {
                self.answer(output, AnswerStart::Forced, &query.generation, ctx)
                    .await
            }
            (None, None) => Ok(StopReason::End),
        }
    }

    async fn run_ask(
        &mut self,
        question: &str,
        generation: &Generation,
        ctx: &mut CallContext,
    ) -> Result<StopReason, EngineError> {
        generation.check()?;
        let session = self.session.as_mut().ok_or(EngineError::NoImage)?;
        session.roll_back();
        let question = self.loaded.tokenizer.question(question)?;
        self.run_turn(&question, generation, ctx).await
    }

    /// A question and its answer, after the turns so far.
    async fn run_turn(
        &mut self,
        question: &str,
        generation: &Generation,
        ctx: &mut CallContext,
    ) -> Result<StopReason, EngineError> {
        let session = self.session.as_mut().ok_or(EngineError::NoImage)?;
        let lm = self.loaded.language();
        let output = generate::run_question(&lm, session, question, ctx).await?;
        self.answer(output, AnswerStart::Free, generation, ctx)
            .await
    }

    /// Generates an answer, scores the photograph again if the answer has new masks, and emits the
    /// result.
    async fn answer(
        &mut self,
        output: LmOutput,
        start: AnswerStart,
        generation: &Generation,
        ctx: &mut CallContext,
    ) -> Result<StopReason, EngineError> {
        let session = self.session.as_mut().ok_or(EngineError::NoImage)?;
        let lm = self.loaded.language();
        let turn = generate::answer(&lm, session, output, start, generation, ctx).await?;
        if turn.has_new_masks {
            let map = score::score_masks(session, &self.loaded, ctx).await?;
            ctx.emit(map.into_event(self.loaded.logits_side())).await;
        }
        emit_result(session, &self.loaded, turn.text, ctx).await;
        Ok(turn.reason)
    }

    async fn run_calibrate(
        &mut self,
        photos: impl Stream<Item = CalibrationPhoto>,
        options: CalibrationOptions,
        cancel: &CancelToken,
        events: &Emitter<CalibrationEvent>,
    ) -> Result<(), EngineError> {
        let mut collector = ThresholdCollector::new(options, self.loaded.thresholds())?;
        let suspended = SuspendedSession::new(self);
        let mut photos = pin!(photos);
        loop {
            let next = photos.next().await;
            cancel.check()?;
            let Some(photo) = next else { break };
            let query = collector.query(&photo);
            let scored = match photo.photo {
                Ok(pixels) => {
                    let call = suspended.engine.inspect(pixels, query, cancel);
                    let outcome = call.collect_inspection().await;
                    outcome.and_then(crate::InspectionOutcome::complete)
                }
                Err(error) => Err(error),
            };
            let event = collector.add(photo.name, &photo.label, scored)?;
            events.emit(event).await;
        }
        let calibration = collector.finish()?;
        events
            .emit(CalibrationEvent::Calibration(calibration))
            .await;
        Ok(())
    }

    /// Inspects a test pattern and removes all that the inspection leaves.
    pub(crate) async fn inspect_test_pattern(
        &mut self,
        cancel: &CancelToken,
    ) -> Result<(), EngineError> {
        let call = self.inspect(warm_up::test_pattern(), warm_up::query(), cancel);
        let outcome = call.collect_inspection().await;
        self.session = None;
        self.timings.clear();
        outcome.map(drop)
    }

    fn context(&self, plan: CallPlan, cancel: CancelToken, events: Emitter) -> CallContext {
        let host = Rc::clone(&self.host);
        CallContext::new(plan, host, cancel, events, self.observer.clone())
    }

    /// Rolls back a turn that did not end, keeps the timings and emits [`Event::Done`].
    async fn finish_call(
        &mut self,
        result: Result<StopReason, EngineError>,
        mut ctx: CallContext,
    ) -> Result<(), EngineError> {
        if let Some(session) = &mut self.session {
            session.roll_back();
        }
        self.timings = std::mem::take(&mut ctx.timings);
        let reason = stop_reason(result)?;
        ctx.emit(Event::Done { reason }).await;
        Ok(())
    }
}

/// Cancellation is an end of the call, not an error.
fn stop_reason(result: Result<StopReason, EngineError>) -> Result<StopReason, EngineError> {
    match result {
        Err(EngineError::Cancelled) => Ok(StopReason::Cancelled),
        other => other,
    }
}

async fn emit_result(session: &Session, loaded: &LoadedModel, answer: String, ctx: &CallContext) {
    let result = session.inspection(answer, loaded.device_name(), ctx.timings.clone());
    ctx.emit(Event::Result(result)).await;
}

/// Takes the conversation and the trace out of the engine, and puts them back when it is dropped.
struct SuspendedSession<'e> {
    engine: &'e mut Engine,
    session: Option<Session>,
    observer: TensorObserver,
}

impl<'e> SuspendedSession<'e> {
    fn new(engine: &'e mut Engine) -> Self {
        Self {
            session: engine.session.take(),
            observer: std::mem::take(&mut engine.observer),
            engine,
        }
    }
}

impl Drop for SuspendedSession<'_> {
    fn drop(&mut self) {
        self.engine.session = self.session.take();
        self.engine.observer = std::mem::take(&mut self.observer);
    }
}
