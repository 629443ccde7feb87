//! The browser's description of its GPU. wgpu passes on less of it, and only after device initialisation, which is wasted
//! time where the GPU is then not chosen.

use serde::Serialize;
use vmad_engine::{GpuHint, is_software_name};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::failure::error_message;

/// The options of wgpu's own request, so that both get the same adapter.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdapterOptions {
    power_preference: &'static str,
}

#[wasm_bindgen]
extern "C" {
    /// A window's or a worker's global object.
    type Scope;
    #[wasm_bindgen(method, getter)]
    fn navigator(this: &Scope) -> Navigator;

    type Navigator;
    #[wasm_bindgen(method, getter)]
    fn gpu(this: &Navigator) -> Option<Gpu>;

    type Gpu;
    #[wasm_bindgen(method, catch, js_name = requestAdapter)]
    async fn request_adapter(this: &Gpu, options: &JsValue) -> Result<JsValue, JsValue>;

    type Adapter;
    #[wasm_bindgen(method, getter)]
    fn info(this: &Adapter) -> Option<AdapterInfo>;
    /// Where older browsers have this property.
    #[wasm_bindgen(method, getter, js_name = isFallbackAdapter)]
    fn is_fallback_adapter(this: &Adapter) -> Option<bool>;

    /// Each text may be blank.
    type AdapterInfo;
    #[wasm_bindgen(method, getter)]
    fn vendor(this: &AdapterInfo) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn architecture(this: &AdapterInfo) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn device(this: &AdapterInfo) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn description(this: &AdapterInfo) -> Option<String>;
    #[wasm_bindgen(method, getter, js_name = isFallbackAdapter)]
    fn is_fallback(this: &AdapterInfo) -> Option<bool>;
}

/// Requests the adapter that wgpu would get, and describes it.
pub(crate) async fn probe_adapter() -> GpuHint {
    match request().await {
        Ok(adapter) => describe(&adapter),
        Err(reason) => GpuHint::Missing { reason },
    }
}

async fn request() -> Result<Adapter, String> {
    let scope: Scope = js_sys::global().unchecked_into();
    let gpu = scope
        .navigator()
        .gpu()
        .ok_or("this browser has no WebGPU, or the page is not served securely")?;
    let options = serde_wasm_bindgen::to_value(&AdapterOptions {
        power_preference: "high-performance",
    })
    .map_err(|error| error.to_string())?;
    let adapter = gpu
        .request_adapter(&options)
        .await
        .map_err(|thrown| error_message(&thrown))?;
    if adapter.is_null() {
        return Err("the browser offers no WebGPU adapter".to_owned());
    }
    Ok(adapter.unchecked_into())
}

fn describe(adapter: &Adapter) -> GpuHint {
    let mut texts = Vec::new();
    let mut is_fallback = adapter.is_fallback_adapter();
    if let Some(info) = adapter.info() {
        is_fallback = is_fallback.or(info.is_fallback());
        texts = [
            info.description(),
            info.vendor(),
            info.architecture(),
            info.device(),
        ]
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect();
    }
    GpuHint::Adapter {
        software: is_fallback.unwrap_or(false) || is_software_name(&texts.join(" ")),
        name: texts.join(" "),
    }
}
