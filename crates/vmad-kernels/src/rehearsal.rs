//! Compiling what a GPU will run, ahead of need and many shaders at once.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::backend::DispatchDevice;
use burn::tensor::{Device, Tensor};

use crate::KernelError;
#[cfg(target_family = "wasm")]
use crate::browser;

static IS_ON: AtomicBool = AtomicBool::new(false);

/// While it lives, launches on a browser's GPU compute nothing: their shaders are only sent to be compiled, beside each
/// other, which [`Self::compiled`] waits for. A browser compiles one after the other what is launched without. Every
/// [`Reading`](crate::Reading) is of zeros meanwhile.
///
/// Natively there are none: wgpu has compiled a shader when the launch returns.
#[must_use = "a rehearsal ends when it is dropped"]
#[derive(Debug)]
pub struct Rehearsal {
    device: Device,
}

impl Rehearsal {
    /// Begins one behind all that was launched before; none where there is nothing to gain. One device can be
    /// rehearsed at a time, with no other work on it.
    ///
    /// # Errors
    /// [`KernelError::Readback`] when the device is lost.
    pub async fn begin(device: &Device) -> Result<Option<Self>, KernelError> {
        let is_gpu = !matches!(device.as_dispatch(), DispatchDevice::Flex(_));
        if !cfg!(target_family = "wasm") || !is_gpu {
            return Ok(None);
        }
        launched(device).await?;
        switch(true);
        let device = device.clone();
        Ok(Some(Self { device }))
    }

    /// Ends it and waits until everything that it launched is compiled; says how many shaders that were. To give up
    /// waiting does no harm: launches wait for what they need.
    ///
    /// # Errors
    /// [`KernelError::Pipeline`] with what the browser says of a shader; [`KernelError::Readback`] when the device is
    /// lost.
    pub async fn compiled(self) -> Result<usize, KernelError> {
        launched(&self.device).await?;
        drop(self);
        compiled().await
    }

    /// Whether one goes on.
    pub(crate) fn is_on() -> bool {
        IS_ON.load(Ordering::Relaxed)
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        switch(false);
    }
}

fn switch(on: bool) {
    IS_ON.store(on, Ordering::Relaxed);
    #[cfg(target_family = "wasm")]
    browser::rehearse(on);
}

#[cfg(target_family = "wasm")]
async fn compiled() -> Result<usize, KernelError> {
    let outcome = browser::compiled().await;
    let count = outcome.map_err(|error| {
        let message = js_sys::Reflect::get(&error, &"message".into());
        let message = message.ok().and_then(|message| message.as_string());
        KernelError::Pipeline {
            reason: message.unwrap_or_else(|| format!("{error:?}")),
        }
    })?;
    Ok(count.as_f64().unwrap_or_default() as usize)
}

#[cfg(not(target_family = "wasm"))]
async fn compiled() -> Result<usize, KernelError> {
    Ok(0)
}

/// Waits until everything so far has been handed to the device, in whose queue a result is read behind it.
async fn launched(device: &Device) -> Result<(), KernelError> {
    let mark = Tensor::<1>::from_data([0.0], device);
    match mark.into_data_async().await {
        Ok(_) => Ok(()),
        Err(error) => Err(KernelError::Readback {
            op: "rehearsal",
            reason: error.to_string(),
        }),
    }
}
