//! The functions of `shim.js`.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(module = "/src/webgpu_shim/shim.js")]
extern "C" {
    /// Takes and returns a promise of a `GPUDevice`.
    #[wasm_bindgen(js_name = patchedDevice)]
    pub(super) fn patched_device(device: JsValue) -> JsValue;
    #[wasm_bindgen(js_name = setPrecompiling)]
    pub(super) fn set_precompiling(on: bool);
    #[wasm_bindgen(catch, js_name = compiledPipelines)]
    pub(super) async fn compiled_pipelines() -> Result<JsValue, JsValue>;
}
