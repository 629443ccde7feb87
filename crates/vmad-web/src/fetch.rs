//! The files of a package, over HTTP.

use futures::future::LocalBoxFuture;
use gloo_net::http::{Request, Response};
use js_sys::Uint8Array;
use vmad_engine::{ByteSource, SourceError};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStreamDefaultReader, Url};

use crate::failure::error_message;

const NOT_FOUND: u16 = 404;
const GONE: u16 = 410;

/// A package in a folder of a web server.
pub(crate) struct FetchSource {
    /// Ends in a slash.
    folder_url: String,
}

impl FetchSource {
    pub fn new(mut folder_url: String) -> Self {
        if !folder_url.ends_with('/') {
            folder_url.push('/');
        }
        Self { folder_url }
    }

    async fn fetch(&self, path: &str) -> Result<Response, SourceError> {
        let url = Url::new_with_base(path, &self.folder_url)
            .map_err(|thrown| failed(path, error_message(&thrown)))?;
        let response = Request::get(&url.href())
            .send()
            .await
            .map_err(|error| failed(path, error.to_string()))?;
        match response.status() {
            NOT_FOUND | GONE => Err(SourceError::NotFound {
                path: path.to_owned(),
            }),
            status if !response.ok() => {
                let text = response.status_text();
                Err(failed(path, format!("the server answered {status} {text}")))
            }
            _ => Ok(response),
        }
    }

    async fn read_all(
        &self,
        path: &str,
        max_bytes: u64,
        on_bytes: &mut dyn FnMut(u64),
    ) -> Result<Vec<u8>, SourceError> {
        let response = self.fetch(path).await?;
        let Some(body) = response.body() else {
            return Ok(Vec::new());
        };
        let thrown = |thrown: JsValue| failed(path, error_message(&thrown));
        let reader = ReadableStreamDefaultReader::new(&body).map_err(thrown)?;
        let mut bytes = Vec::with_capacity(expected_bytes(&response, max_bytes));
        loop {
            let step = JsFuture::from(reader.read()).await.map_err(thrown)?;
            let step: ReadResult = step.unchecked_into();
            let Some(chunk) = step.value() else {
                return Ok(bytes);
            };
            let start = bytes.len();
            let end = start + chunk.length() as usize;
            if end as u64 > max_bytes {
                // Awaited, because a promise that is dropped may reject as unhandled.
                JsFuture::from(reader.cancel()).await.ok();
                return Err(SourceError::TooLarge {
                    path: path.to_owned(),
                    limit: max_bytes,
                });
            }
            bytes.resize(end, 0);
            chunk.copy_to(&mut bytes[start..]);
            on_bytes(end as u64);
        }
    }
}

impl ByteSource for FetchSource {
    fn read<'a>(
        &'a self,
        path: &'a str,
        max_bytes: u64,
        on_bytes: &'a mut dyn FnMut(u64),
    ) -> LocalBoxFuture<'a, Result<Vec<u8>, SourceError>> {
        Box::pin(self.read_all(path, max_bytes, on_bytes))
    }
}

#[wasm_bindgen]
extern "C" {
    /// The result of a reader's `read`; at the end it has no value.
    type ReadResult;

    #[wasm_bindgen(method, getter)]
    fn value(this: &ReadResult) -> Option<Uint8Array>;
}

/// The capacity to reserve. The announced length may be the compressed size or wrong, so it is only a
/// hint, limited by `max_bytes`.
fn expected_bytes(response: &Response, max_bytes: u64) -> usize {
    let announced = response.headers().get("content-length");
    let announced = announced.and_then(|length| length.parse().ok());
    let bytes = announced.unwrap_or(0).min(max_bytes);
    usize::try_from(bytes).unwrap_or(0)
}

fn failed(path: &str, reason: String) -> SourceError {
    SourceError::Read {
        path: path.to_owned(),
        reason,
    }
}
