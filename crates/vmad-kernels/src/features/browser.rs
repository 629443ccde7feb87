//! Asking a browser for features that wgpu's web backend does not know, and for a device that ends at what it refuses.

use std::cell::Cell;
use std::rc::Rc;

use burn::tensor::wgpu::{WgpuSetup, wgpu};
use js_sys::{Array, Function, Object, Proxy, Reflect, global};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};

use super::Features;
use crate::browser::watched;

const NAME: &str = "subgroups";
const METHOD: &str = "requestDevice";

type Trap = Closure<dyn Fn(Function, JsValue, Array) -> Result<JsValue, JsValue>>;

/// While it lives, whoever asks an adapter of this page or worker for a device asks for subgroups, too, where the
/// adapter has them, and gets a [`watched`] device.
pub(crate) struct Asking {
    is_granted: Rc<Cell<bool>>,
    /// `GPUAdapter.prototype` and its own method; nothing in a browser without WebGPU.
    replaced: Option<(JsValue, JsValue)>,
    _trap: Trap,
}

impl Asking {
    pub(crate) fn begin() -> Self {
        let is_granted = Rc::new(Cell::new(false));
        let granted = is_granted.clone();
        let trap = Trap::new(
            move |method: Function, adapter: JsValue, arguments: Array| {
                let asked = ask(&adapter, &arguments.get(0)).unwrap_or(false);
                granted.set(asked);
                let device = Reflect::apply(&method, &adapter, &arguments)?;
                Ok(watched(device))
            },
        );
        Self {
            is_granted,
            replaced: replace(&trap),
            _trap: trap,
        }
    }

    /// What the device was asked for; to be called once there is one.
    pub(crate) fn granted(&self, setup: &WgpuSetup) -> Features {
        Features {
            f16: setup.device.features().contains(wgpu::Features::SHADER_F16),
            subgroups: self.is_granted.get(),
            packed: language_has("packed_4x8_integer_dot_product").unwrap_or(false),
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some((prototype, method)) = &self.replaced {
            // What could be replaced can be put back.
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

/// Adds the feature to a device's descriptor; `false` where the adapter lacks it.
fn ask(adapter: &JsValue, descriptor: &JsValue) -> Result<bool, JsValue> {
    let features = Reflect::get(adapter, &"features".into())?;
    if !has(&features, NAME)? || !descriptor.is_object() {
        return Ok(false);
    }
    let asked = Reflect::get(descriptor, &"requiredFeatures".into())?;
    let asked = match asked.is_undefined() {
        true => Array::new(),
        false => Array::from(&asked),
    };
    asked.push(&NAME.into());
    Reflect::set(descriptor, &"requiredFeatures".into(), &asked)
}

/// Whether the browser's shading language has an extension, which no device has to be asked for.
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
