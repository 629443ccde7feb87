//! Opening a package and following a call of the engine.

use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};
use vmad_engine::{
    AnomalyMap, CancelToken, Engine, Event, EventStream, FolderSource, Inspection,
    InspectionOutcome, SelectedDevice, Stage, SystemHost, select_device,
};

use crate::args::DeviceArg;
use crate::progress;

/// The device that was asked for.
pub(crate) fn device(device: DeviceArg) -> Result<SelectedDevice> {
    pollster::block_on(select_device(device.into())).context("no device to compute on")
}

/// Opens the package in a folder.
pub(crate) fn open(package: &Path, on: DeviceArg, cancel: &CancelToken) -> Result<Engine> {
    open_on(package, device(on)?, cancel)
}

/// Opens the package in a folder on a device that was chosen before.
pub(crate) fn open_on(package: &Path, on: SelectedDevice, cancel: &CancelToken) -> Result<Engine> {
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

/// Follows a call to its end. `listen` hears of stages, words and verdicts as they come.
pub(crate) fn follow(
    events: EventStream<'_>,
    mut listen: impl FnMut(Heard<'_>) -> Result<()>,
) -> Result<InspectionOutcome> {
    pollster::block_on(events.collect_inspection_with(|event| match event {
        Event::Progress { stage, .. } => listen(Heard::Stage(*stage)),
        Event::Token { text } => listen(Heard::Words(text)),
        Event::Result(verdict) => listen(Heard::Verdict(verdict)),
        Event::Mask { .. } | Event::Done { .. } => Ok(()),
    }))
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
    Ok(pollster::block_on(events.collect_inspection())?.complete()?)
}
