//! Requests features that wgpu's web backend does not map, and patches the device that the browser returns.

use std::cell::Cell;
use std::rc::Rc;

use burn::tensor::wgpu::{WgpuSetup, wgpu};
use js_sys::{Array, Function, Object, Proxy, Reflect, global};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};

use super::js::patched_device;
use crate::features::Features;

const NAME: &str = "subgroups";
const METHOD: &str = "requestDevice";

type Trap = Closure<dyn Fn(Function, JsValue, Array) -> Result<JsValue, JsValue>>;

/// While it exists, `requestDevice` of every adapter of this page or worker also requests subgroups, where the adapter has
/// them, and returns a [`patched_device`].
pub(crate) struct RequestDevicePatch {
    is_granted: Rc<Cell<bool>>,
    /// `GPUAdapter.prototype` and its own method; nothing in a browser without WebGPU.
    replaced: Option<(JsValue, JsValue)>,
    _trap: Trap,
}

impl RequestDevicePatch {
    pub(crate) fn begin() -> Self {
        let is_granted = Rc::new(Cell::new(false));
        let granted = is_granted.clone();
        let trap = Trap::new(
            move |method: Function, adapter: JsValue, arguments: Array| {
                let requested = request_subgroups(&adapter, &arguments.get(0));
                granted.set(requested.unwrap_or(false));
                let device = Reflect::apply(&method, &adapter, &arguments)?;
                Ok(patched_device(device))
            },
        );
        Self {
            is_granted,
            replaced: replace(&trap),
            _trap: trap,
        }
    }

    /// The features of the device; valid once there is one.
    pub(crate) fn granted(&self, setup: &WgpuSetup) -> Features {
        Features {
            f16: setup.device.features().contains(wgpu::Features::SHADER_F16),
            subgroups: self.is_granted.get(),
            packed: language_has("packed_4x8_integer_dot_product").unwrap_or(false),
        }
    }
}

impl Drop for RequestDevicePatch {
    fn drop(&mut self) {
        if let Some((prototype, method)) = &self.replaced {
            // A property that could be replaced can be restored.
            let _ = Reflect::set(prototype, &METHOD.into(), method);
        }
    }
}

fn replace(trap: &Trap) -> Option<(JsValue, JsValue)> {
    let adapter = Reflect::get(&global(), &"GPUAdapter".into()).ok()?;
    let prototype = Reflect::get(&adapter, &"prototype".into()).ok()?;
    let method = Reflect::get(&prototype, &METHOD.into()).ok()?;
    let handler = Object::new();
    Reflect::set(&handler, &"apply".into(), trap.as_ref()).ok()?;
    let proxy = Proxy::new(&method, &handler);
    Reflect::set(&prototype, &METHOD.into(), &proxy).ok()?;
    Some((prototype, method))
}

/// Adds subgroups to a device's descriptor; `false` where the adapter lacks them.
fn request_subgroups(adapter: &JsValue, descriptor: &JsValue) -> Result<bool, JsValue> {
    let features = Reflect::get(adapter, &"features".into())?;
    if !has(&features, NAME)? || !descriptor.is_object() {
        return Ok(false);
    }
    let required = Reflect::get(descriptor, &"requiredFeatures".into())?;
    let required = match required.is_undefined() {
        true => Array::new(),
        false => Array::from(&required),
    };
    required.push(&NAME.into());
    Reflect::set(descriptor, &"requiredFeatures".into(), &required)
}

/// Whether the browser supports an extension of WGSL; these need no request.
fn language_has(extension: &str) -> Option<bool> {
    let mut at: JsValue = global().into();
    for name in ["navigator", "gpu", "wgslLanguageFeatures"] {
        at = Reflect::get(&at, &name.into()).ok()?;
    }
    has(&at, extension).ok()
}

fn has(set: &JsValue, name: &str) -> Result<bool, JsValue> {
    let method: Function = Reflect::get(set, &"has".into())?.dyn_into()?;
    Ok(method.call1(set, &name.into())?.is_truthy())
}
