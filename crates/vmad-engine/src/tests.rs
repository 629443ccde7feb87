//! Tests of the engine on the CPU with the nano package; some on a GPU as well.

use std::rc::Rc;

use futures::StreamExt;
use pollster::block_on;
use vmad_prep::{PrepError, RgbImage};

use crate::{
    Ask, ByteSource, CancelToken, Engine, EngineError, Event, EventStream, Generation, Inspection,
    MemorySource, Query, SelectedDevice, Stage, StopReason, SystemHost, TraceData, nano,
};

mod calibrate;
mod call_plan;
mod cancellation;
mod device;
mod generate;
mod inspect;
mod lookahead;
mod open;
mod query;
mod references;
mod score_choices;
mod seg_conditioning;
mod trace;
mod warm_up;

type Outcome = Result<(), EngineError>;

/// Small enough to spread the weights over several shards and to split the embedding table.
const SHARD_BYTES: u64 = 32 << 10;

fn source() -> Result<MemorySource, EngineError> {
    nano::package(1, SHARD_BYTES)
}

fn open_from(source: &dyn ByteSource) -> Result<Engine, EngineError> {
    open_on(SelectedDevice::cpu(), source)
}

fn open_on(device: SelectedDevice, source: &dyn ByteSource) -> Result<Engine, EngineError> {
    let host = Rc::new(SystemHost::new());
    let cancel = CancelToken::new();
    block_on(Engine::open(source, device, host, &mut |_| (), &cancel))
}

fn open() -> Result<Engine, EngineError> {
    open_from(&source()?)
}

/// An engine on the GPU. `None` without a GPU, unless `VMAD_REQUIRE_GPU` is 1.
#[cfg(feature = "gpu")]
fn open_on_gpu() -> Result<Option<Engine>, EngineError> {
    match block_on(crate::select_device(crate::DeviceChoice::Gpu)) {
        Ok(device) => open_on(device, &source()?).map(Some),
        Err(error) if std::env::var_os("VMAD_REQUIRE_GPU").is_some_and(|v| v == "1") => Err(error),
        Err(error) => {
            println!("skipped: {error}");
            Ok(None)
        }
    }
}

fn photo() -> RgbImage {
    RgbImage::from_fn(90, 60, |x, y| {
        let dark = (x / 5 + y / 5) % 2 == 0;
        let shade = if dark { 80 } else { 160 };
        vmad_prep::overlay::colour((shade + x % 7) as f32 / 255.0).into()
    })
}

fn short(seed: u64, temperature: f32) -> Generation {
    Generation {
        max_new_tokens: 24,
        temperature,
        seed,
        ..Generation::default()
    }
}

fn describe(generation: Generation) -> Query {
    Query {
        object: Some("bolt".to_owned()),
        ask: Ask::Description,
        generation,
        ..Query::default()
    }
}

fn all(events: EventStream<'_>) -> Result<Vec<Event>, EngineError> {
    let events: Vec<_> = block_on(events.collect());
    events.into_iter().collect()
}

fn text(events: &[Event]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        Event::Token { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn results(events: &[Event]) -> Vec<&Inspection> {
    let results = events.iter().filter_map(|event| match event {
        Event::Result(result) => Some(result),
        _ => None,
    });
    results.collect()
}

fn maps(events: &[Event]) -> Vec<&Vec<f32>> {
    let maps = events.iter().filter_map(|event| match event {
        Event::Mask { map, .. } => Some(map),
        _ => None,
    });
    maps.collect()
}

/// The map of the forced prompt.
fn first_map(events: &[Event]) -> Vec<f32> {
    maps(events)
        .first()
        .map(|map| (*map).clone())
        .unwrap_or_default()
}

fn reason(events: &[Event]) -> Option<StopReason> {
    match events.last() {
        Some(Event::Done { reason }) => Some(*reason),
        _ => None,
    }
}

/// Runs a call, cancels it at its first token and returns its events.
fn cancelled_at_first_token(
    engine: &mut Engine,
    start: impl for<'e> FnOnce(&'e mut Engine, &CancelToken) -> EventStream<'e>,
) -> Result<Vec<Event>, EngineError> {
    let cancel = CancelToken::new();
    let mut events = start(engine, &cancel);
    let mut received = Vec::new();
    while let Some(event) = block_on(events.next()) {
        let event = event?;
        if matches!(event, Event::Token { .. }) {
            cancel.cancel();
        }
        received.push(event);
    }
    Ok(received)
}
