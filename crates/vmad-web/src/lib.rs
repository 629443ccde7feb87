//! [`vmad_engine`] for the browser. This crate converts and delegates, nothing else.
//!
//! JavaScript sees one class, [`WasmInspector`]. What crosses is described in
//! `www/lib/protocol.ts`: events and reports become plain objects with camelCase keys, maps become
//! `Float32Array`s, errors become `Error`s with a `code` of `www/lib/errors.ts`.
//!
//! It runs in a worker. Nothing blocks: results are read back asynchronously, and between two steps
//! the worker's queue of messages gets its turn, so that a call can be cancelled.

mod failure;
mod fetch;
mod gpu;
mod host;
mod inspector;
mod message;

pub use inspector::WasmInspector;
use wasm_bindgen::prelude::wasm_bindgen;

/// Makes the instance ready; runs by itself when it is created.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
    #[cfg(target_family = "wasm")]
    vmad_engine::run_constructors();
}
