//! The inference engine: open a package, inspect a photograph, ask about it.
//!
//! Read [`Engine`] (`engine.rs`) first: each public method is the sequence of its steps. The steps of
//! an inspection are in `encode.rs` (CLIP, projector, SAM), `score.rs` (mask, map, score, verdict)
//! and `generate.rs` (answer); `open.rs` loads a package, `session.rs` is the conversation.
//!
//! The crate does no I/O and knows neither browser nor terminal. Bytes come through a [`ByteSource`],
//! clock and pauses through a [`Host`]. Results go to every front end as the same stream of
//! [`Event`]s. Futures are not `Send`: an engine lives on one thread, in a browser in its worker.
//!
//! ```no_run
//! # use std::rc::Rc;
//! # use futures::StreamExt;
//! # use vmad_engine::*;
//! # async fn demo(photo: Vec<u8>) -> Result<(), EngineError> {
//! # let source = MemorySource::default();
//! let device = select_device(DeviceChoice::Auto).await?;
//! let cancel = CancelToken::new();
//! let host = Rc::new(SystemHost::new());
//! let mut engine = Engine::open(&source, device, host, &mut |_| (), &cancel).await?;
//! let query = Query { ask: Ask::Description, ..Query::default() };
//! let mut events = engine.inspect(photo, query, &cancel);
//! while let Some(event) = events.next().await {
//!     match event? {
//!         Event::Token { text } => print!("{text}"),
//!         Event::Result(verdict) => println!("{}", verdict.score),
//!         Event::Progress { .. } | Event::Mask { .. } | Event::Done { .. } => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod calibrate;
mod call_context;
mod call_plan;
mod device;
mod encode;
mod engine;
mod error;
mod event;
mod generate;
mod host;
mod image_features;
mod language_context;
mod loaded_model;
mod lookahead;
#[cfg(any(test, feature = "nano"))]
pub mod nano;
mod open;
mod outcome;
mod query;
mod readback;
mod references;
mod sampling;
mod score;
mod score_choices;
mod session;
mod source;
mod stream;
mod tensor_check;
#[cfg(test)]
mod tests;
mod text_filter;
mod trace;
mod warm_up;

pub use calibrate::{
    CalibratedThreshold, Calibration, CalibrationEvent, CalibrationOptions, CalibrationPhoto,
    Label, ScoredPhoto, ThresholdMethod,
};
pub use device::{
    DeviceChoice, DeviceReason, GpuHint, SelectedDevice, select_device, select_device_with_hint,
};
pub use engine::Engine;
pub use error::EngineError;
pub use event::{Event, Inspection, Memory, Progress, Report, Stage, StopReason, Thresholds};
pub use host::{CancelToken, Host, SystemHost};
pub use outcome::{AnomalyMap, InspectionOutcome};
pub use query::{Ask, Generation, Photo, Query};
pub use references::ReferencePhoto;
#[cfg(not(target_family = "wasm"))]
pub use source::FolderSource;
pub use source::{ByteSource, MemorySource, SourceError};
pub use stream::EventStream;
pub use trace::{Trace, TraceData, TraceTensor};
#[cfg(target_family = "wasm")]
pub use vmad_kernels::run_constructors;
pub use vmad_kernels::{DeviceKind, is_software_name};
pub use vmad_prep::Region;
