//! Conversion of events and reports to the JavaScript objects of `www/lib/public/types.ts`.

use js_sys::{Float32Array, Uint8Array, WebAssembly};
use serde::{Serialize, de::DeserializeOwned};
use vmad_engine::{
    Calibration, CalibrationEvent, CalibrationPhoto, DeviceKind, DeviceReason, EngineError, Event,
    Inspection, Label, Photo, Progress, Report, ScoredPhoto, SelectedDevice, Stage, StopReason,
};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::failure::Failure;

/// A plain object, with `null` for `None`.
pub(crate) fn to_js(value: &impl Serialize) -> Result<JsValue, Failure> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(Failure::internal)
}

/// A setting of the caller; `undefined` and `null` are the default.
pub(crate) fn from_js<T: DeserializeOwned + Default>(value: JsValue) -> Result<T, Failure> {
    if value.is_undefined() || value.is_null() {
        return Ok(T::default());
    }
    serde_wasm_bindgen::from_value(value).map_err(Failure::bad_query)
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum EventMessage<'a> {
    Progress {
        stage: Stage,
        done: u64,
        total: u64,
    },
    Token {
        text: &'a str,
    },
    Mask {
        width: u32,
        height: u32,
        #[serde(with = "serde_wasm_bindgen::preserve")]
        map: Float32Array,
    },
    Result(&'a Inspection),
    Done {
        reason: StopReason,
    },
}

pub(crate) fn event(event: &Event) -> Result<JsValue, Failure> {
    to_js(&match event {
        &Event::Progress { stage, done, total } => EventMessage::Progress { stage, done, total },
        Event::Token { text } => EventMessage::Token { text },
        Event::Mask {
            width,
            height,
            map,
            logits_side: _,
        } => EventMessage::Mask {
            width: *width,
            height: *height,
            // A copy with its own buffer, which the worker transfers to the page.
            map: Float32Array::from(map.as_slice()),
        },
        Event::Result(inspection) => EventMessage::Result(inspection),
        &Event::Done { reason } => EventMessage::Done { reason },
    })
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum CalibrationMessage<'a> {
    Scored(&'a ScoredPhoto),
    Skipped {
        name: &'a str,
        code: &'a str,
        message: &'a str,
    },
    Calibration(&'a Calibration),
    Done {
        reason: StopReason,
    },
}

pub(crate) fn calibration_event(event: &CalibrationEvent) -> Result<JsValue, Failure> {
    to_js(&match event {
        CalibrationEvent::Scored(scored) => CalibrationMessage::Scored(scored),
        CalibrationEvent::Skipped {
            name,
            code,
            message,
        } => CalibrationMessage::Skipped {
            name,
            code,
            message,
        },
        CalibrationEvent::Calibration(found) => CalibrationMessage::Calibration(found),
        &CalibrationEvent::Done { reason } => CalibrationMessage::Done { reason },
    })
}

#[wasm_bindgen]
extern "C" {
    /// `CalibrationPhoto` of the protocol.
    #[wasm_bindgen(js_name = CalibrationPhoto)]
    pub(crate) type JsCalibrationPhoto;

    #[wasm_bindgen(method, getter)]
    fn name(this: &JsCalibrationPhoto) -> String;
    #[wasm_bindgen(method, getter)]
    fn defective(this: &JsCalibrationPhoto) -> bool;
    /// The file, unless it could not be read.
    #[wasm_bindgen(method, getter)]
    fn image(this: &JsCalibrationPhoto) -> Option<Uint8Array>;
    /// Why it could not be read.
    #[wasm_bindgen(method, getter)]
    fn failure(this: &JsCalibrationPhoto) -> Option<String>;
}

impl From<JsCalibrationPhoto> for CalibrationPhoto {
    fn from(photo: JsCalibrationPhoto) -> Self {
        Self {
            name: photo.name(),
            label: if photo.defective() {
                Label::Defective
            } else {
                Label::Good
            },
            object: None,
            photo: match photo.image() {
                Some(bytes) => Ok(Photo::File(bytes.to_vec())),
                None => Err(EngineError::Unreadable {
                    reason: photo.failure().unwrap_or_default(),
                }),
            },
        }
    }
}

pub(crate) fn progress(progress: Progress) -> Result<JsValue, Failure> {
    let Progress { stage, done, total } = progress;
    to_js(&EventMessage::Progress { stage, done, total })
}

/// The device in use and why it was chosen.
#[derive(Serialize)]
pub(crate) struct DeviceInfo<'a> {
    kind: &'static str,
    name: String,
    reason: DeviceReason,
    adapter: Option<&'a str>,
}

impl<'a> From<&'a SelectedDevice> for DeviceInfo<'a> {
    fn from(chosen: &'a SelectedDevice) -> Self {
        let (kind, name) = match &chosen.kind {
            DeviceKind::Cpu => ("cpu", "CPU (WebAssembly SIMD)".to_owned()),
            kind @ DeviceKind::Gpu { .. } => ("gpu", kind.to_string()),
        };
        Self {
            kind,
            name,
            reason: chosen.reason,
            adapter: chosen.adapter.as_deref(),
        }
    }
}

/// Memory use and stage times.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionReport {
    host_bytes: f64,
    device_bytes: Option<u64>,
    loading: Vec<(Stage, f64)>,
    timings: Vec<(Stage, f64)>,
}

impl SessionReport {
    pub fn new(report: Report, kind: &DeviceKind) -> Self {
        let memory = report.memory;
        let bytes = memory.weights_bytes + memory.kv_cache_bytes + memory.features_bytes;
        Self {
            host_bytes: host_bytes(),
            // On the CPU the tensors are in the memory of the instance, which `host_bytes` counts.
            device_bytes: (*kind != DeviceKind::Cpu).then_some(bytes),
            loading: report.loading,
            timings: report.timings,
        }
    }
}

/// Size of the instance's memory in bytes; it never shrinks.
fn host_bytes() -> f64 {
    let memory: WebAssembly::Memory = wasm_bindgen::memory().unchecked_into();
    let buffer: js_sys::ArrayBuffer = memory.buffer().unchecked_into();
    f64::from(buffer.byte_length())
}
