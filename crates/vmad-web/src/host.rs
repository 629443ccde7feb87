//! The [`Host`] of a worker: its clock, and pauses between tasks.

use futures::future::LocalBoxFuture;
use js_sys::Promise;
use vmad_engine::{Host, SystemHost};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::MessageChannel;

/// The worker's clock, and pauses in which the worker processes its messages.
pub(crate) struct BrowserHost {
    clock: SystemHost,
    channel: MessageChannel,
}

impl BrowserHost {
    pub fn new() -> Result<Self, JsValue> {
        Ok(Self {
            clock: SystemHost::new(),
            channel: MessageChannel::new()?,
        })
    }
}

impl Host for BrowserHost {
    /// Posts a message to itself and waits for it. Messages from the page are in the same queue
    /// before it. Timers would work as well, but browsers delay nested ones by 4 ms.
    fn yield_now(&self) -> LocalBoxFuture<'_, ()> {
        Box::pin(async {
            let arrival = Promise::new(&mut |arrived, _| {
                self.channel.port1().set_onmessage(Some(&arrived));
            });
            if self.channel.port2().post_message(&JsValue::NULL).is_ok() {
                // This promise never rejects.
                JsFuture::from(arrival).await.ok();
            }
        })
    }

    fn now_ms(&self) -> f64 {
        self.clock.now_ms()
    }
}
