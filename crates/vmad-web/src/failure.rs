//! Conversion of errors into JavaScript `Error`s.

use js_sys::Error;
use vmad_engine::EngineError;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

/// An error code, one of those in `www/lib/public/errors.ts`, and a message.
#[derive(Debug)]
pub(crate) struct Failure {
    code: &'static str,
    message: String,
}

impl Failure {
    /// An invalid setting.
    pub fn bad_query(message: impl ToString) -> Self {
        Self {
            code: "bad-query",
            message: message.to_string(),
        }
    }

    /// A bug in this crate or in its caller.
    pub fn internal(message: impl ToString) -> Self {
        Self {
            code: "internal",
            message: message.to_string(),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
        }
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = Error)]
    type CodedError;

    #[wasm_bindgen(method, setter)]
    fn set_code(this: &CodedError, code: &str);
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        let error: CodedError = Error::new(&failure.message).unchecked_into();
        error.set_code(failure.code);
        error.into()
    }
}

/// The message of a JavaScript exception.
pub(crate) fn error_message(thrown: &JsValue) -> String {
    match thrown.dyn_ref::<Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{thrown:?}"),
    }
}
