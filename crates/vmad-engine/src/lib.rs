//! A session with a model: open a package, inspect a photograph, ask about it.
//!
//! The crate knows neither browser nor terminal. Bytes come through a [`ByteSource`], time and the
//! pause between two steps through a [`Host`]; what happens is told as a stream of [`Event`]s, the
//! same for every front end. Futures are not `Send`: a session lives on one thread, in a browser in
//! its worker.
//!
//! ```no_run
//! # use std::rc::Rc;
//! # use futures::StreamExt;
//! # use vmad_engine::*;
//! # async fn demo(photo: Vec<u8>) -> Result<(), EngineError> {
//! # let source = MemorySource::default();
//! let device = choose(DeviceChoice::Auto).await?;
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

mod ahead;
mod calibration;
mod choose;
mod device;
mod error;
mod event;
mod host;
mod load;
#[cfg(any(test, feature = "nano"))]
pub mod nano;
mod pace;
mod query;
mod references;
mod sampling;
mod session;
mod sight;
mod source;
mod speech;
mod stream;
#[cfg(test)]
mod tests;
mod trace;
mod warm_up;
mod words;

pub use calibration::{
    Calibration, CalibrationEvent, CalibrationOptions, Found, Label, Method, Scored, Specimen,
    Thresholds,
};
pub use device::{Chosen, DeviceChoice, DeviceReason, GpuHint, choose, choose_knowing};
pub use error::EngineError;
pub use event::{Event, Inspection, Memory, Progress, Report, Stage, StopReason};
pub use host::{CancelToken, Host, SystemHost};
pub use load::Engine;
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
