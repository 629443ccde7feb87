//! Opening a package, and running a call of the engine to its end.

use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};
use vmad_engine::{
    AnomalyMap, CancelToken, Engine, Event, EventStream, FolderSource, Inspection,
    InspectionOutcome, SelectedDevice, Stage, SystemHost, select_device,
};

use crate::args::DeviceArg;
use crate::progress;

/// The requested device.
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

/// Runs a call to its end. `listen` gets every event before it is collected.
pub(crate) fn follow(
    events: EventStream<'_>,
    listen: impl FnMut(&Event) -> Result<()>,
) -> Result<InspectionOutcome> {
    pollster::block_on(events.collect_inspection_with(listen))
}

/// [`follow`] without a listener.
pub(crate) fn finish(events: EventStream<'_>) -> Result<(AnomalyMap, Inspection)> {
    Ok(pollster::block_on(events.collect_inspection())?.complete()?)
}
