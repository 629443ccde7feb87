//! [`vmad_engine`] for the browser. This crate only converts types and delegates.
//!
//! It exports one class, [`WasmInspector`], which `www/lib/internal/engine.ts` describes. Events and
//! reports become plain objects with camelCase keys (`www/lib/public/types.ts`), maps become
//! `Float32Array`s, errors become `Error`s with a `code` of `www/lib/public/errors.ts`.
//!
//! It runs in a worker. Nothing blocks: results are read back asynchronously, and between two steps
//! the worker processes its messages, so that a call can be cancelled.

mod failure;
mod fetch;
mod gpu;
mod host;
mod inspector;
mod message;

pub use inspector::WasmInspector;
use wasm_bindgen::prelude::wasm_bindgen;

/// Initialises the instance; wasm-bindgen calls it when the instance is created.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
    #[cfg(target_family = "wasm")]
    vmad_engine::run_constructors();
}
