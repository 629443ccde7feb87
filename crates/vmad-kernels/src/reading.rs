//! Results on their way from a device.

use std::pin::Pin;
use std::task::{Context, Poll};

use burn::backend::ExecutionError;
use burn::tensor::TensorData;

use crate::Rehearsal;

type Data = Result<TensorData, ExecutionError>;

/// The values of a tensor, asked for when this is first polled.
///
/// Once it was polled it comes to its end even when it is dropped, in a browser in the background, else before
/// the drop returns. Burn would give the buffer that a GPU copies to back to its pool at once, and the next
/// result that is copied to it, while it is still being mapped, would break the device.
///
/// During a [`Rehearsal`] all values are zero.
#[must_use = "nothing is read before it is polled"]
pub struct Reading {
    /// None once it has come to its end.
    rest: Option<Pin<Box<dyn Future<Output = Data>>>>,
    is_asked: bool,
}

impl Reading {
    /// A tensor's `into_data_async`.
    pub fn new(data: impl Future<Output = Data> + 'static) -> Self {
        Self {
            rest: Some(Box::pin(data)),
            is_asked: false,
        }
    }
}

impl Future for Reading {
    type Output = Data;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Data> {
        self.is_asked = true;
        let Some(rest) = &mut self.rest else {
            unreachable!("polled after its end");
        };
        let result = rest.as_mut().poll(context);
        if result.is_ready() {
            self.rest = None;
        }
        // What lies in the memory then may be no number at all.
        result.map_ok(|data| match Rehearsal::is_on() {
            true => TensorData::zeros::<f32, _>(data.shape().clone()).convert_dtype(data.dtype()),
            false => data,
        })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let Some(rest) = self.rest.take() else {
            return;
        };
        if !self.is_asked {
            return;
        }
        // What it says, an error of the device included, the next result says, too.
        #[cfg(target_family = "wasm")]
        wasm_bindgen_futures::spawn_local(async {
            let _ = rest.await;
        });
        #[cfg(not(target_family = "wasm"))]
        let _ = pollster::block_on(rest);
    }
}
