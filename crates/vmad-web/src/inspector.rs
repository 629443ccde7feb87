//! The class that is exported to JavaScript.

use std::cell::RefCell;
use std::rc::Rc;

use futures::lock::{Mutex, MutexGuard};
use futures::{StreamExt, stream};
use js_sys::{Function, Promise};
use vmad_engine::{
    CalibrationPhoto, CancelToken, Engine, EventStream, SelectedDevice, select_device_with_hint,
};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::failure::Failure;
use crate::fetch::FetchSource;
use crate::host::BrowserHost;
use crate::message::{self, DeviceInfo, JsCalibrationPhoto, SessionReport};

/// A session with a model. Calls must not overlap, except for [`Self::cancel`].
#[wasm_bindgen]
pub struct WasmInspector {
    // A mutex and not a RefCell, because a call holds it across awaits.
    engine: Mutex<Engine>,
    device: SelectedDevice,
    /// The token of the running call.
    cancel: RefCell<CancelToken>,
}

#[wasm_bindgen]
impl WasmInspector {
    /// Loads the package in the folder at `package_url` onto the device: `auto`, `cpu` or `gpu`.
    ///
    /// # Errors
    /// An `Error` with a code if the package cannot be loaded or the device cannot be used.
    pub async fn open(
        package_url: String,
        device: JsValue,
        on_event: Function,
    ) -> Result<Self, JsValue> {
        let choice = message::from_js(device)?;
        let hint = crate::gpu::probe_adapter().await;
        let chosen = select_device_with_hint(choice, Some(&hint))
            .await
            .map_err(Failure::from)?;
        let mut on_progress = |progress| {
            // Loading goes on if the listener throws.
            if let Ok(event) = message::progress(progress) {
                on_event.call1(&JsValue::NULL, &event).ok();
            }
        };
        let cancel = CancelToken::new();
        let engine = Engine::open(
            &FetchSource::new(package_url),
            chosen.clone(),
            Rc::new(BrowserHost::new()?),
            &mut on_progress,
            &cancel,
        )
        .await
        .map_err(Failure::from)?;
        Ok(Self {
            engine: Mutex::new(engine),
            device: chosen,
            cancel: RefCell::new(cancel),
        })
    }

    /// Inspects a photograph, the bytes of an image file. Events go to `on_event`.
    ///
    /// # Errors
    /// An `Error` with a code if the photograph cannot be read or the query is invalid.
    pub async fn inspect(
        &self,
        image: Vec<u8>,
        query: JsValue,
        on_event: Function,
    ) -> Result<(), JsValue> {
        let query = message::from_js(query)?;
        let (mut engine, cancel) = self.begin()?;
        forward_events(
            engine.inspect(image, query, &cancel),
            message::event,
            &on_event,
        )
        .await
    }

    /// Asks a further question about the photograph. Events go to `on_event`.
    ///
    /// # Errors
    /// An `Error` with a code if the question or the options are invalid.
    pub async fn ask(
        &self,
        question: String,
        options: JsValue,
        on_event: Function,
    ) -> Result<(), JsValue> {
        let generation = message::from_js(options)?;
        let (mut engine, cancel) = self.begin()?;
        let events = engine.ask(question, generation, &cancel);
        forward_events(events, message::event, &on_event).await
    }

    /// Finds thresholds from the photographs of `next`: each call of it resolves to a
    /// `CalibrationPhoto`, or to `null` after the last one. Events go to `on_event`.
    ///
    /// # Errors
    /// An `Error` with a code if the options are invalid or no threshold can be found; and whatever
    /// `next` throws.
    pub async fn calibrate(
        &self,
        next: Function,
        options: JsValue,
        on_event: Function,
    ) -> Result<(), JsValue> {
        let options = message::from_js(options)?;
        let (mut engine, cancel) = self.begin()?;
        let thrown = RefCell::new(None);
        let photos = stream::unfold((), |()| async {
            match photo_from(&next).await {
                Ok(photo) => photo.map(|photo| (photo, ())),
                Err(error) => {
                    *thrown.borrow_mut() = Some(error);
                    cancel.cancel();
                    None
                }
            }
        });
        let events = engine.calibrate(photos, options, &cancel);
        forward_events(events, message::calibration_event, &on_event).await?;
        thrown.take().map_or(Ok(()), Err)
    }

    /// Compiles the pipelines of an inspection on a GPU and runs one; [`Self::cancel`] stops that. Returns false if
    /// there was nothing to do.
    ///
    /// # Errors
    /// The errors of an inspection.
    #[wasm_bindgen(js_name = warmUp)]
    pub async fn warm_up(&self) -> Result<bool, JsValue> {
        let (mut engine, cancel) = self.begin()?;
        Ok(engine.warm_up(&cancel).await.map_err(Failure::from)?)
    }

    /// Cancels the running call, which ends with the event `done` and the reason `cancelled`.
    pub fn cancel(&self) {
        self.cancel.borrow().cancel();
    }

    /// Memory use and stage times.
    ///
    /// # Errors
    /// An `Error` while a call runs.
    pub fn report(&self) -> Result<JsValue, JsValue> {
        let report = self.engine()?.report();
        let report = SessionReport::new(report, &self.device.kind);
        Ok(message::to_js(&report)?)
    }

    /// The device in use and why it was chosen.
    ///
    /// # Errors
    /// None: the conversion of this type does not fail.
    pub fn device(&self) -> Result<JsValue, JsValue> {
        Ok(message::to_js(&DeviceInfo::from(&self.device))?)
    }
}

impl WasmInspector {
    /// The engine, and a token for a new call.
    fn begin(&self) -> Result<(MutexGuard<'_, Engine>, CancelToken), Failure> {
        let engine = self.engine()?;
        let cancel = CancelToken::new();
        *self.cancel.borrow_mut() = cancel.clone();
        Ok((engine, cancel))
    }

    fn engine(&self) -> Result<MutexGuard<'_, Engine>, Failure> {
        self.engine
            .try_lock()
            .ok_or_else(|| Failure::internal("a call is still running"))
    }
}

/// The next photograph, `None` after the last one.
async fn photo_from(next: &Function) -> Result<Option<CalibrationPhoto>, JsValue> {
    let promise: Promise = next.call0(&JsValue::NULL)?.unchecked_into();
    let photo = JsFuture::from(promise).await?;
    if photo.is_null() || photo.is_undefined() {
        return Ok(None);
    }
    Ok(Some(photo.unchecked_into::<JsCalibrationPhoto>().into()))
}

/// Passes the events of a call to `on_event` until the call ends.
async fn forward_events<E>(
    mut events: EventStream<'_, E>,
    encode: fn(&E) -> Result<JsValue, Failure>,
    on_event: &Function,
) -> Result<(), JsValue> {
    while let Some(event) = events.next().await {
        let event = encode(&event.map_err(Failure::from)?)?;
        on_event.call1(&JsValue::NULL, &event)?;
    }
    Ok(())
}
