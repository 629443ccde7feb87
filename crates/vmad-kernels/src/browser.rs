//! What `browser.js` does, for Rust.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(module = "/src/browser.js")]
extern "C" {
    /// Takes and gives a promise of a `GPUDevice`.
    pub(crate) fn watched(device: JsValue) -> JsValue;
    pub(crate) fn rehearse(begins: bool);
    #[wasm_bindgen(catch)]
    pub(crate) async fn compiled() -> Result<JsValue, JsValue>;
}
