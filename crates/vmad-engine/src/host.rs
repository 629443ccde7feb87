//! What the engine needs of its host beside files: a clock, and a pause between two steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::{LocalBoxFuture, ready};
use web_time::Instant;

use crate::EngineError;

/// Clock and scheduler of the host.
pub trait Host {
    /// Yields to the host. In a browser's worker this must end the current task, so that a message
    /// such as "cancel" is received; a resolved promise is not enough.
    fn yield_now(&self) -> LocalBoxFuture<'_, ()>;
    /// Milliseconds since a fixed point in time.
    fn now_ms(&self) -> f64;
}

/// A host with the system's clock, which never pauses.
#[derive(Debug)]
pub struct SystemHost {
    start: Instant,
}

impl SystemHost {
    /// A host whose clock starts at 0.
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

/// Cancels a call, also from another thread. The engine checks it before every stage and after
/// every token. Each call should get a token of its own.
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

    /// Cancels every call that has this token.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// [`EngineError::Cancelled`] after [`Self::cancel`].
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if self.is_cancelled() {
            Err(EngineError::Cancelled)
        } else {
            Ok(())
        }
    }
}
