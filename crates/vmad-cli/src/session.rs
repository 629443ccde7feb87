//! Opening a package and following a call of the engine.

use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};
use futures::StreamExt;
use vmad_engine::{
    CancelToken, Chosen, Engine, EngineError, Event, EventStream, FolderSource, Inspection, Stage,
    StopReason, SystemHost, choose,
};

use crate::args::DeviceArg;
use crate::progress;

/// The device that was asked for.
pub(crate) fn device(device: DeviceArg) -> Result<Chosen> {
    pollster::block_on(choose(device.into())).context("no device to compute on")
}

/// Opens the package in a folder.
pub(crate) fn open(package: &Path, on: DeviceArg, cancel: &CancelToken) -> Result<Engine> {
    open_on(package, device(on)?, cancel)
}

/// Opens the package in a folder on a device that was chosen before.
pub(crate) fn open_on(package: &Path, on: Chosen, cancel: &CancelToken) -> Result<Engine> {
    let source = FolderSource::new(package);
    let host = Rc::new(SystemHost::new());
    let bar = progress::bytes("loading");
    let mut show = |progress: vmad_engine::Progress| match progress.stage {
        Stage::Tokenizer | Stage::Weights => {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        }
        _ => {}
    };
    let engine = pollster::block_on(Engine::open(&source, on, host, &mut show, cancel));
    bar.finish_and_clear();
    engine.with_context(|| format!("cannot open the model package {}", package.display()))
}

/// An anomaly map at a photograph's size.
pub(crate) struct AnomalyMap {
    pub width: u32,
    pub height: u32,
    /// `[height, width]`, 0 to 1.
    pub values: Vec<f32>,
}

/// What a call left behind.
#[derive(Default)]
pub(crate) struct Outcome {
    pub map: Option<AnomalyMap>,
    pub verdict: Option<Inspection>,
    pub reason: Option<StopReason>,
}

impl Outcome {
    /// Map and verdict of a call that ran to its end.
    pub fn complete(self) -> Result<(AnomalyMap, Inspection)> {
        match (self.map, self.verdict) {
            (Some(map), Some(verdict)) => Ok((map, verdict)),
            _ => Err(EngineError::Cancelled.into()),
        }
    }
}

/// Follows a call to its end. `listen` hears of stages, words and verdicts as they come.
pub(crate) fn follow(
    mut events: EventStream<'_>,
    mut listen: impl FnMut(Heard<'_>) -> Result<()>,
) -> Result<Outcome> {
    pollster::block_on(async {
        let mut outcome = Outcome::default();
        while let Some(event) = events.next().await {
            match event? {
                Event::Progress { stage, .. } => listen(Heard::Stage(stage))?,
                Event::Token { text } => listen(Heard::Words(&text))?,
                Event::Mask {
                    width,
                    height,
                    map: values,
                    ..
                } => {
                    outcome.map = Some(AnomalyMap {
                        width,
                        height,
                        values,
                    });
                }
                Event::Result(verdict) => {
                    listen(Heard::Verdict(&verdict))?;
                    outcome.verdict = Some(verdict);
                }
                Event::Done { reason } => outcome.reason = Some(reason),
            }
        }
        Ok(outcome)
    })
}

/// What a listener of [`follow`] hears.
pub(crate) enum Heard<'a> {
    /// A stage begins.
    Stage(Stage),
    /// A piece of the answer.
    Words(&'a str),
    /// The verdict; a later one replaces an earlier one.
    Verdict(&'a Inspection),
}

/// [`follow`] without a listener.
pub(crate) fn finish(events: EventStream<'_>) -> Result<(AnomalyMap, Inspection)> {
    follow(events, |_| Ok(()))?.complete()
}
