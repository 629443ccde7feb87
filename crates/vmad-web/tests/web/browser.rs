//! Helpers of the tests: serve packages, open them, collect events.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Error, Float32Array, Function, Reflect, Uint8Array};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vmad_engine::{DeviceChoice, EngineError, nano, select_device};
use vmad_web::WasmInspector;
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::console_log;

pub const COINS: &[u8] = include_bytes!("../../../../tests/photos/coins.png");
pub const COFFEE: &[u8] = include_bytes!("../../../../tests/photos/coffee.jpg");

/// Small enough that the weights lie in several shards.
const SHARD_BYTES: u64 = 128 << 10;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(work: &Function);
}

/// Runs `work` in a new task.
pub fn in_another_task(work: impl FnOnce() + 'static) {
    let work = Closure::<dyn FnMut()>::once_into_js(work);
    set_timeout(work.unchecked_ref());
}

/// How a request is answered.
pub enum Answer {
    File(Vec<u8>),
    Status(u16),
    Offline,
}

/// A package on its own server.
pub struct Server {
    pub folder: String,
}

impl Server {
    /// The nano package, with `answers` in place of some of its files. `name` tells servers apart.
    pub fn new(name: &str, answers: impl IntoIterator<Item = (String, Answer)>) -> Self {
        // The test runner may not run what a library wants run at the start; a second time is free.
        vmad_web::start();
        let server = Self {
            folder: format!("https://{name}.example/models/nano"),
        };
        for (file, bytes) in files() {
            server.put(&file, Answer::File(bytes));
        }
        for (file, answer) in answers {
            server.put(&file, answer);
        }
        server
    }

    fn put(&self, file: &str, answer: Answer) {
        // Replaces `fetch` of this worker by one that returns the files.
        let serve = Function::new_with_args(
            "url, answer",
            "const served = (globalThis.served ??= new Map());
            served.set(url, answer);
            globalThis.fetch = async ({ url }) => {
                const answer = served.get(url) ?? 404;
                if (answer === 'offline') throw new TypeError('Failed to fetch');
                return typeof answer === 'number'
                    ? new Response('', { status: answer })
                    : new Response(answer);
            };",
        );
        let answer = match answer {
            Answer::File(bytes) => Uint8Array::from(bytes.as_slice()).into(),
            Answer::Status(status) => JsValue::from(status),
            Answer::Offline => JsValue::from_str("offline"),
        };
        let url = JsValue::from(format!("{}/{file}", self.folder));
        serve.call2(&JsValue::NULL, &url, &answer).unwrap();
    }

    pub async fn open(&self, device: &str) -> Result<Inspector, JsValue> {
        let listener = Listener::new(|_| ());
        let opened = WasmInspector::open(
            self.folder.clone(),
            JsValue::from_str(device),
            listener.function(),
        )
        .await?;
        Ok(Inspector {
            inner: Rc::new(opened),
            loading: listener.events(),
        })
    }
}

/// Name and content of the files of the nano package.
pub fn files() -> Vec<(String, Vec<u8>)> {
    let source = nano::package(1, SHARD_BYTES).unwrap();
    let owned = |(name, bytes): (&str, &[u8])| (name.to_owned(), bytes.to_vec());
    source.files().map(owned).collect()
}

/// The content of the file whose name contains `part`.
pub fn file(part: &str) -> (String, Vec<u8>) {
    let is_it = |(name, _): &(String, Vec<u8>)| name.contains(part);
    files().into_iter().find(is_it).unwrap()
}

/// A session as the worker holds it.
pub struct Inspector {
    pub inner: Rc<WasmInspector>,
    /// Events of the loading.
    pub loading: Vec<JsValue>,
}

impl Inspector {
    pub async fn inspect(&self, photo: &[u8], query: Value) -> Result<Vec<JsValue>, JsValue> {
        self.inspect_and(photo, query, |_| ()).await
    }

    /// [`Self::inspect`], and calls `on_event` with each event.
    pub async fn inspect_and(
        &self,
        photo: &[u8],
        query: Value,
        on_event: impl FnMut(&JsValue) + 'static,
    ) -> Result<Vec<JsValue>, JsValue> {
        let listener = Listener::new(on_event);
        let photo = photo.to_vec();
        self.inner
            .inspect(photo, to_js(&query), listener.function())
            .await?;
        Ok(listener.events())
    }

    pub async fn ask(&self, question: &str, options: Value) -> Result<Vec<JsValue>, JsValue> {
        self.ask_and(question, options, |_| ()).await
    }

    /// [`Self::ask`], and calls `on_event` with each event.
    pub async fn ask_and(
        &self,
        question: &str,
        options: Value,
        on_event: impl FnMut(&JsValue) + 'static,
    ) -> Result<Vec<JsValue>, JsValue> {
        let listener = Listener::new(on_event);
        let question = question.to_owned();
        self.inner
            .ask(question, to_js(&options), listener.function())
            .await?;
        Ok(listener.events())
    }

    /// Calibrates with photographs: name, whether it shows a defective part, and the file unless it
    /// cannot be read.
    pub async fn calibrate(
        &self,
        photos: &[(&str, bool, Option<&[u8]>)],
        options: Value,
    ) -> Result<Vec<JsValue>, JsValue> {
        let waiting = Array::new();
        for (name, defective, image) in photos {
            let photo = to_js(&json!({ "name": name, "defective": defective, "failure": "gone" }));
            if let Some(bytes) = image {
                let bytes = Uint8Array::from(*bytes);
                Reflect::set(&photo, &JsValue::from_str("image"), &bytes).unwrap();
            }
            waiting.push(&photo);
        }
        let make_next = Function::new_with_args(
            "photos",
            "return () => Promise.resolve(photos.shift() ?? null);",
        );
        let next = make_next.call1(&JsValue::NULL, &waiting)?.unchecked_into();
        let listener = Listener::new(|_| ());
        self.inner
            .calibrate(next, to_js(&options), listener.function())
            .await?;
        Ok(listener.events())
    }

    pub fn device(&self) -> Value {
        from_js(self.inner.device().unwrap())
    }
}

/// Collects events.
struct Listener {
    events: Rc<RefCell<Vec<JsValue>>>,
    take: Closure<dyn FnMut(JsValue)>,
}

impl Listener {
    fn new(mut on_event: impl FnMut(&JsValue) + 'static) -> Self {
        let events = Rc::new(RefCell::new(Vec::new()));
        let list = Rc::clone(&events);
        let take = Closure::new(move |event: JsValue| {
            on_event(&event);
            list.borrow_mut().push(event);
        });
        Self { events, take }
    }

    fn function(&self) -> Function {
        self.take.as_ref().unchecked_ref::<Function>().clone()
    }

    fn events(&self) -> Vec<JsValue> {
        self.events.borrow().clone()
    }
}

pub fn to_js(value: &Value) -> JsValue {
    use serde::Serialize;
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    value.serialize(&serializer).unwrap()
}

pub fn from_js<T: DeserializeOwned>(value: JsValue) -> T {
    serde_wasm_bindgen::from_value(value).unwrap()
}

pub fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(key)).unwrap()
}

pub fn text(object: &JsValue, key: &str) -> String {
    get(object, key).as_string().unwrap_or_default()
}

pub fn number(object: &JsValue, key: &str) -> f64 {
    get(object, key).as_f64().unwrap()
}

/// The events of one kind.
pub fn of_kind(events: &[JsValue], kind: &str) -> Vec<JsValue> {
    let is_it = |event: &&JsValue| text(event, "kind") == kind;
    events.iter().filter(is_it).cloned().collect()
}

/// The texts of the token events.
pub fn words(events: &[JsValue]) -> Vec<String> {
    let tokens = of_kind(events, "token");
    tokens.iter().map(|token| text(token, "text")).collect()
}

/// The reason of the last event, which must be `done`.
pub fn reason(events: &[JsValue]) -> String {
    events.last().map_or(String::new(), |done| {
        assert_eq!(text(done, "kind"), "done");
        text(done, "reason")
    })
}

/// The map of the last mask event.
pub fn map(events: &[JsValue]) -> Vec<f32> {
    let masks = of_kind(events, "mask");
    let map: Float32Array = get(masks.last().unwrap(), "map").dyn_into().unwrap();
    map.to_vec()
}

/// The code of the thrown value, which must be an `Error` with a message.
pub fn code<T>(result: Result<T, JsValue>) -> String {
    let thrown = result.err().unwrap_or(JsValue::UNDEFINED);
    let error = thrown.dyn_ref::<Error>();
    assert!(
        error.is_some_and(|error| error.message().length() > 0),
        "no error was thrown, but {thrown:?}"
    );
    text(&thrown, "code")
}

/// Whether there is a WebGPU adapter; where one is required, its absence is a failure.
pub async fn has_gpu() -> bool {
    vmad_web::start();
    match select_device(DeviceChoice::Gpu).await {
        Ok(_) => true,
        Err(EngineError::Device(error)) => {
            let is_required = option_env!("VMAD_REQUIRE_GPU").is_some();
            assert!(!is_required, "no adapter: {error}");
            console_log!("skipped: no adapter ({error})");
            false
        }
        Err(error) => panic!("{error}"),
    }
}
