//! Selection of the device.

use std::fmt;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use vmad_kernels::{AdapterInfo, DeviceKind, KernelError, cpu_device};

use crate::EngineError;

/// The device that the caller requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// A hardware GPU that passes the self-test, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, even a software GPU, which is much slower than the CPU.
    Gpu,
}

/// What the caller knows about the GPU. A browser tells more about its adapter than wgpu passes on,
/// and a GPU that is not selected need not be initialised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GpuHint {
    /// There is no GPU.
    Missing {
        /// Why, as text for users.
        reason: String,
    },
    /// There is a GPU.
    Adapter {
        /// Its name.
        name: String,
        /// Whether the CPU emulates it.
        software: bool,
    },
}

/// Why a device was selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceReason {
    /// The caller requested it.
    Requested,
    /// There is a hardware GPU.
    HardwareGpu,
    /// There is no GPU.
    NoGpu,
    /// The only GPU is a software GPU.
    SoftwareGpu,
    /// The GPU failed its self-test.
    GpuFailed,
}

/// The device of an engine, and why it was selected.
#[derive(Clone, Debug)]
pub struct SelectedDevice {
    /// The device of all tensors.
    pub device: Device,
    /// CPU or GPU, with its name.
    pub kind: DeviceKind,
    /// Why it was selected.
    pub reason: DeviceReason,
    /// The reason as text for users.
    pub note: String,
    /// Name of the GPU that was considered, whether or not it was selected.
    pub adapter: Option<String>,
    /// Bytes of the largest buffer; `None` on the CPU.
    pub max_buffer_bytes: Option<u64>,
}

impl fmt::Display for SelectedDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind, self.note)
    }
}

impl SelectedDevice {
    /// The CPU, as requested by the caller.
    #[must_use]
    pub fn cpu() -> Self {
        Self::cpu_because(DeviceReason::Requested, "as requested".to_owned(), None)
    }

    fn cpu_because(reason: DeviceReason, note: String, adapter: Option<String>) -> Self {
        Self {
            device: cpu_device(),
            kind: DeviceKind::Cpu,
            reason,
            note,
            adapter,
            max_buffer_bytes: None,
        }
    }

    fn gpu(device: Device, info: &AdapterInfo, reason: DeviceReason, note: &str) -> Self {
        let kind = DeviceKind::from(info);
        Self {
            device,
            adapter: Some(kind.to_string()),
            kind,
            reason,
            note: note.to_owned(),
            max_buffer_bytes: Some(info.max_binding_bytes),
        }
    }
}

/// Selects the device. A GPU must pass a self-test of every operation.
///
/// # Errors
/// [`EngineError::Device`] when a GPU is requested and there is none that passes. The other choices
/// never fail.
pub async fn select_device(choice: DeviceChoice) -> Result<SelectedDevice, EngineError> {
    select_device_with_hint(choice, None).await
}

/// As [`select_device`], for a caller who knows something about the GPU.
///
/// # Errors
/// As [`select_device`].
pub async fn select_device_with_hint(
    choice: DeviceChoice,
    hint: Option<&GpuHint>,
) -> Result<SelectedDevice, EngineError> {
    match choice {
        DeviceChoice::Cpu => Ok(SelectedDevice::cpu()),
        DeviceChoice::Gpu => {
            let (device, info) = init_adapter(hint).await.map_err(EngineError::Device)?;
            select_features(&device, &info)
                .await
                .map_err(EngineError::Device)?;
            let reason = DeviceReason::Requested;
            Ok(SelectedDevice::gpu(device, &info, reason, "as requested"))
        }
        DeviceChoice::Auto => Ok(select_automatically(hint).await),
    }
}

async fn select_automatically(hint: Option<&GpuHint>) -> SelectedDevice {
    let software_gpu = |name: String| {
        let note = "the only GPU is emulated on the CPU, which is faster without".to_owned();
        SelectedDevice::cpu_because(DeviceReason::SoftwareGpu, note, Some(name))
    };
    if let Some(GpuHint::Adapter {
        name,
        software: true,
    }) = hint
    {
        return software_gpu(name.clone());
    }
    let (device, info) = match init_adapter(hint).await {
        Ok(initialised) => initialised,
        Err(error) => {
            return SelectedDevice::cpu_because(DeviceReason::NoGpu, error.to_string(), None);
        }
    };
    let name = DeviceKind::from(&info).to_string();
    if info.software {
        return software_gpu(name);
    }
    match select_features(&device, &info).await {
        Ok(_) => SelectedDevice::gpu(device, &info, DeviceReason::HardwareGpu, "a hardware GPU"),
        Err(error) => {
            let note = format!("the GPU failed its test: {error}");
            SelectedDevice::cpu_because(DeviceReason::GpuFailed, note, Some(name))
        }
    }
}

async fn init_adapter(hint: Option<&GpuHint>) -> Result<(Device, AdapterInfo), KernelError> {
    if let Some(GpuHint::Missing { reason }) = hint {
        return Err(KernelError::Adapter {
            reason: reason.clone(),
        });
    }
    let (device, mut info) = init_gpu().await?;
    if let Some(GpuHint::Adapter { name, software }) = hint {
        info.software |= software;
        if info.name.is_empty() {
            info.name.clone_from(name);
        }
    }
    Ok((device, info))
}

#[cfg(feature = "gpu")]
async fn init_gpu() -> Result<(Device, AdapterInfo), KernelError> {
    vmad_kernels::gpu_device().await
}

#[cfg(feature = "gpu")]
use vmad_kernels::select_features;

#[cfg(not(feature = "gpu"))]
async fn select_features(_: &Device, _: &AdapterInfo) -> Result<(), KernelError> {
    Ok(())
}

#[cfg(not(feature = "gpu"))]
async fn init_gpu() -> Result<(Device, AdapterInfo), KernelError> {
    Err(KernelError::Adapter {
        reason: "this build runs on the CPU only".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;

    fn select(choice: DeviceChoice, hint: &GpuHint) -> Result<SelectedDevice, EngineError> {
        block_on(select_device_with_hint(choice, Some(hint)))
    }

    #[test]
    fn the_hint_decides_without_initialising_the_gpu() -> Result<(), EngineError> {
        let software = GpuHint::Adapter {
            name: "google swiftshader".to_owned(),
            software: true,
        };
        let missing = GpuHint::Missing {
            reason: "no WebGPU".to_owned(),
        };
        let selected = select(DeviceChoice::Auto, &software)?;
        assert_eq!(selected.reason, DeviceReason::SoftwareGpu);
        assert_eq!(selected.kind, DeviceKind::Cpu);
        assert_eq!(selected.adapter.as_deref(), Some("google swiftshader"));
        let selected = select(DeviceChoice::Auto, &missing)?;
        assert_eq!(selected.reason, DeviceReason::NoGpu);
        assert!(selected.note.contains("no WebGPU"), "{}", selected.note);
        let forced = select(DeviceChoice::Gpu, &missing);
        assert!(matches!(forced, Err(EngineError::Device(_))));
        let selected = select(DeviceChoice::Cpu, &software)?;
        assert_eq!(selected.reason, DeviceReason::Requested);
        Ok(())
    }
}
