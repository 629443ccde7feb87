//! The class that JavaScript sees, in a browser's worker, on the CPU and on WebGPU.
#![cfg(target_family = "wasm")]
#![expect(
    clippy::unwrap_used,
    reason = "what should not happen must fail the test"
)]

mod browser;
mod composed;
mod errors;
mod precompile;
mod session;
mod variants;

use wasm_bindgen_test::wasm_bindgen_test_configure;

wasm_bindgen_test_configure!(run_in_dedicated_worker);
