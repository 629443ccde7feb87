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

use std::sync::Once;

pub use inspector::WasmInspector;
use wasm_bindgen::prelude::wasm_bindgen;

/// Makes the instance ready; runs by itself when it is created.
#[wasm_bindgen(start)]
pub fn start() {
    static FIRST: Once = Once::new();
    FIRST.call_once(|| {
        console_error_panic_hook::set_once();
        run_constructors();
    });
}

/// Runs what other crates have registered to run before `main`.
///
/// Were it not called from here, the linker would take this module for a command and make *every*
/// call from JavaScript run all constructors again, which costs milliseconds each time.
#[cfg(target_family = "wasm")]
fn run_constructors() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the linker provides this function, without arguments or result, in every module, and
    // it is called once, before anything that the constructors register could be in use.
    unsafe { __wasm_call_ctors() }
}

#[cfg(not(target_family = "wasm"))]
fn run_constructors() {}
