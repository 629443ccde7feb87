//! Results on their way from a device.

use std::pin::Pin;
use std::task::{Context, Poll};

use burn::backend::ExecutionError;
use burn::tensor::TensorData;

type Data = Result<TensorData, ExecutionError>;

/// The values of a tensor; the read starts when this is first polled.
///
/// A read that was started always completes, even when this is dropped: in a browser in the background, elsewhere before
/// the drop returns. burn would otherwise return the staging buffer to its pool while it is being mapped, and the next
/// copy into it would lose the device.
#[must_use = "nothing is read before it is polled"]
pub struct Readback {
    /// `None` after completion.
    data: Option<Pin<Box<dyn Future<Output = Data>>>>,
    is_started: bool,
}

impl Readback {
    /// Wraps a tensor's `into_data_async`.
    pub fn new(data: impl Future<Output = Data> + 'static) -> Self {
        Self {
            data: Some(Box::pin(data)),
            is_started: false,
        }
    }
}

impl Future for Readback {
    type Output = Data;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Data> {
        self.is_started = true;
        let Some(data) = &mut self.data else {
            unreachable!("polled after completion");
        };
        let result = data.as_mut().poll(context);
        if result.is_ready() {
            self.data = None;
        }
        result
    }
}

impl Drop for Readback {
    fn drop(&mut self) {
        let Some(data) = self.data.take() else {
            return;
        };
        if !self.is_started {
            return;
        }
        // An error of the device is reported by the next read, too.
        #[cfg(target_family = "wasm")]
        wasm_bindgen_futures::spawn_local(async {
            let _ = data.await;
        });
        #[cfg(not(target_family = "wasm"))]
        let _ = pollster::block_on(data);
    }
}
