//! The outside world that is not files: time, and a pause in which messages can come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::{LocalBoxFuture, ready};
use web_time::Instant;

use crate::EngineError;

/// Time, and a pause between two steps.
pub trait Host {
    /// Lets the surroundings do their work. In a browser's worker this must end the current task,
    /// so that a message such as "cancel" is taken in; a resolved promise is not enough.
    fn yield_now(&self) -> LocalBoxFuture<'_, ()>;
    /// Milliseconds since a moment that never changes.
    fn now_ms(&self) -> f64;
}

/// A host without anything to wait for: the clock of the system, and pauses that take no time.
#[derive(Debug)]
pub struct SystemHost {
    start: Instant,
}

impl SystemHost {
    /// A host whose time starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemHost {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for SystemHost {
    fn yield_now(&self) -> LocalBoxFuture<'_, ()> {
        Box::pin(ready(()))
    }

    fn now_ms(&self) -> f64 {
        self.start.elapsed().as_secs_f64() * 1e3
    }
}

/// Gives a call up from outside, even from another thread. Looked at after every stage and token;
/// each call should get a token of its own.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    cancelled: Arc<AtomicBool>,
}

impl CancelToken {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives up every call that got this token.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if self.is_cancelled() {
            Err(EngineError::Cancelled)
        } else {
            Ok(())
        }
    }
}
