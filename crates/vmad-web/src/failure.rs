//! Errors as JavaScript sees them.

use js_sys::Error;
use vmad_engine::EngineError;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

/// A code to act on, one of those in `www/lib/errors.ts`, and a message to read.
#[derive(Debug)]
pub(crate) struct Failure {
    code: &'static str,
    message: String,
}

impl Failure {
    /// A setting that cannot be understood.
    pub fn bad_query(message: impl ToString) -> Self {
        Self {
            code: "bad-query",
            message: message.to_string(),
        }
    }

    /// A fault of this crate or of its caller.
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

/// What a JavaScript exception says.
pub(crate) fn words(thrown: &JsValue) -> String {
    match thrown.dyn_ref::<Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{thrown:?}"),
    }
}
