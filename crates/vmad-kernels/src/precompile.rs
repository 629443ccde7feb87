//! Compiling the pipelines that a GPU will run ahead of need, many at once.

use burn::backend::DispatchDevice;
use burn::tensor::Device;

use crate::error::KernelError;
#[cfg(all(target_family = "wasm", feature = "wgpu"))]
use crate::webgpu_shim;

/// A pass over code that launches shaders, in which launches compile their pipelines and compute nothing. The browser
/// compiles the pipelines of a pass in parallel; without a pass it compiles each before its first launch, one after the
/// other.
///
/// A launch or read belongs to the pass if and only if the future given to [`Self::launches`] makes it while it is polled.
/// Other tasks are not affected, even those that run between two polls. A read of the pass returns zeros, since its
/// tensor was not computed; tensors that were made in the pass must not be used after it.
#[derive(Debug)]
#[must_use = "a pass compiles what `launches` is given"]
pub struct PipelinePrecompile {
    device: Device,
}

impl PipelinePrecompile {
    /// A pass on this device. `None` where there is nothing to gain: on the CPU, and natively, where wgpu compiles a
    /// pipeline in the launch.
    #[must_use]
    pub fn new(device: &Device) -> Option<Self> {
        let is_gpu = !matches!(device.as_dispatch(), DispatchDevice::Flex(_));
        let in_browser = cfg!(all(target_family = "wasm", feature = "wgpu"));
        (in_browser && is_gpu).then(|| Self {
            device: device.clone(),
        })
    }

    /// Runs `work` inside the pass and returns what it returns.
    pub async fn launches<T>(&self, work: impl Future<Output = T>) -> T {
        #[cfg(all(target_family = "wasm", feature = "wgpu"))]
        {
            let mut work = std::pin::pin!(work);
            std::future::poll_fn(|context| {
                // cubecl queues launches: those before this poll must not be submitted inside the pass, nor those of the
                // pass after it. A lost device is reported by the next read.
                let _ = self.device.flush();
                let scope = webgpu_shim::PassScope::enter();
                let result = work.as_mut().poll(context);
                let _ = self.device.flush();
                drop(scope);
                result
            })
            .await
        }
        #[cfg(not(all(target_family = "wasm", feature = "wgpu")))]
        {
            let _ = &self.device;
            work.await
        }
    }

    /// Waits until all pipelines that passes have requested are compiled, and returns how many those are. Dropping the
    /// future is harmless: a launch waits for its own pipeline.
    ///
    /// # Errors
    /// [`KernelError::Pipeline`] with the browser's message for the first pipeline that it rejects.
    pub async fn compiled(self) -> Result<usize, KernelError> {
        #[cfg(all(target_family = "wasm", feature = "wgpu"))]
        return webgpu_shim::compiled_pipelines().await;
        #[cfg(not(all(target_family = "wasm", feature = "wgpu")))]
        Ok(0)
    }
}
