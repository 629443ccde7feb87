//! Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use vmad_engine::CancelToken;

/// The exit status of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Set by the first Ctrl-C; the second ends the process at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    is_requested: Arc<AtomicBool>,
}

impl Stop {
    /// Installs the handler. Call it at most once per process.
    pub fn listen() -> Result<Self> {
        let stop = Self::default();
        let is_requested = Arc::clone(&stop.is_requested);
        ctrlc::set_handler(move || {
            if is_requested.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED);
            }
            eprintln!("\nStopping; press Ctrl-C again to end at once.");
        })
        .context("listening for Ctrl-C")?;
        Ok(stop)
    }

    pub fn is_requested(&self) -> bool {
        self.is_requested.load(Ordering::Relaxed)
    }
}

/// The call that Ctrl-C cancels.
#[derive(Clone, Debug, Default)]
pub(crate) struct CurrentCall {
    token: Arc<Mutex<Option<CancelToken>>>,
}

impl CurrentCall {
    /// Installs the handler. Call it at most once per process.
    pub fn listen() -> Result<Self> {
        let call = Self::default();
        let current = call.clone();
        ctrlc::set_handler(move || match current.replace(None) {
            Some(token) => token.cancel(),
            None => eprintln!("\nNothing to stop; Ctrl-D ends the conversation."),
        })
        .context("listening for Ctrl-C")?;
        Ok(call)
    }

    /// A token for a call that begins now.
    pub fn begin(&self) -> CancelToken {
        let token = CancelToken::new();
        self.replace(Some(token.clone()));
        token
    }

    /// The call is over.
    pub fn end(&self) {
        self.replace(None);
    }

    fn replace(&self, token: Option<CancelToken>) -> Option<CancelToken> {
        let mut current = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, token)
    }
}
