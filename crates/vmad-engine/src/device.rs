//! Which device computes.

use std::fmt;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use vmad_kernels::{AdapterInfo, DeviceKind, KernelError, cpu_device};

use crate::EngineError;

/// Which device the caller wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// A hardware GPU if there is one that computes right, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, even one that is emulated on the CPU and therefore much slower than it.
    Gpu,
}

/// What the caller knows of the GPU before it is set up. A browser tells more about its adapter
/// than the graphics layer passes on, and a GPU that is not taken need not be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GpuHint {
    /// There is none.
    Missing {
        /// Why, for people.
        reason: String,
    },
    /// There is this one.
    Adapter {
        /// What it is called.
        name: String,
        /// Whether it is emulated on the CPU.
        software: bool,
    },
}

/// Why a device was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceReason {
    /// The caller asked for it.
    Requested,
    /// A hardware GPU was found.
    HardwareGpu,
    /// There is no GPU.
    NoGpu,
    /// There is a GPU, but it is emulated on the CPU.
    SoftwareGpu,
    /// There is a GPU, but it computes wrongly.
    GpuFailed,
}

/// The device of a session, and why it is that one.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Where tensors live.
    pub device: Device,
    /// What it is.
    pub kind: DeviceKind,
    /// Why it was chosen.
    pub reason: DeviceReason,
    /// The same for people.
    pub note: String,
    /// The GPU that was looked at, whether or not it was taken.
    pub adapter: Option<String>,
    /// The largest buffer that the device allows.
    pub max_buffer_bytes: Option<u64>,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind, self.note)
    }
}

impl Chosen {
    /// The CPU, as asked for. Needs no waiting.
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

/// Chooses the device. A GPU is trusted only after a test of every operation on it.
///
/// # Errors
/// [`EngineError::Device`] when a GPU is asked for and there is none that computes right. The other
/// choices always find a device.
pub async fn choose(choice: DeviceChoice) -> Result<Chosen, EngineError> {
    choose_knowing(choice, None).await
}

/// [`choose`], by a caller who knows something of the GPU.
///
/// # Errors
/// As [`choose`].
pub async fn choose_knowing(
    choice: DeviceChoice,
    hint: Option<&GpuHint>,
) -> Result<Chosen, EngineError> {
    match choice {
        DeviceChoice::Cpu => Ok(Chosen::cpu()),
        DeviceChoice::Gpu => {
            let (device, info) = adapter(hint).await.map_err(EngineError::Device)?;
            select_features(&device, &info)
                .await
                .map_err(EngineError::Device)?;
            let reason = DeviceReason::Requested;
            Ok(Chosen::gpu(device, &info, reason, "as requested"))
        }
        DeviceChoice::Auto => Ok(automatic(hint).await),
    }
}

async fn automatic(hint: Option<&GpuHint>) -> Chosen {
    let emulated = |name: String| {
        let note = "the only GPU is emulated on the CPU, which is faster without".to_owned();
        Chosen::cpu_because(DeviceReason::SoftwareGpu, note, Some(name))
    };
    if let Some(GpuHint::Adapter {
        name,
        software: true,
    }) = hint
    {
        return emulated(name.clone());
    }
    let (device, info) = match adapter(hint).await {
        Ok(found) => found,
        Err(error) => {
            return Chosen::cpu_because(DeviceReason::NoGpu, error.to_string(), None);
        }
    };
    let name = DeviceKind::from(&info).to_string();
    if info.software {
        return emulated(name);
    }
    match select_features(&device, &info).await {
        Ok(_) => Chosen::gpu(device, &info, DeviceReason::HardwareGpu, "a hardware GPU"),
        Err(error) => {
            let note = format!("the GPU failed its test: {error}");
            Chosen::cpu_because(DeviceReason::GpuFailed, note, Some(name))
        }
    }
}

async fn adapter(hint: Option<&GpuHint>) -> Result<(Device, AdapterInfo), KernelError> {
    if let Some(GpuHint::Missing { reason }) = hint {
        return Err(KernelError::Adapter {
            reason: reason.clone(),
        });
    }
    let (device, mut info) = set_up().await?;
    if let Some(GpuHint::Adapter { name, software }) = hint {
        info.software |= software;
        if info.name.is_empty() {
            info.name.clone_from(name);
        }
    }
    Ok((device, info))
}

#[cfg(feature = "gpu")]
async fn set_up() -> Result<(Device, AdapterInfo), KernelError> {
    vmad_kernels::gpu_device().await
}

#[cfg(feature = "gpu")]
use vmad_kernels::select_features;

#[cfg(not(feature = "gpu"))]
async fn select_features(_: &Device, _: &AdapterInfo) -> Result<(), KernelError> {
    Ok(())
}

#[cfg(not(feature = "gpu"))]
async fn set_up() -> Result<(Device, AdapterInfo), KernelError> {
    Err(KernelError::Adapter {
        reason: "this build runs on the CPU only".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;

    fn known(choice: DeviceChoice, hint: &GpuHint) -> Result<Chosen, EngineError> {
        block_on(choose_knowing(choice, Some(hint)))
    }

    #[test]
    fn what_is_known_decides_without_setting_up() -> Result<(), EngineError> {
        let software = GpuHint::Adapter {
            name: "google swiftshader".to_owned(),
            software: true,
        };
        let missing = GpuHint::Missing {
            reason: "no WebGPU".to_owned(),
        };
        let chosen = known(DeviceChoice::Auto, &software)?;
        assert_eq!(chosen.reason, DeviceReason::SoftwareGpu);
        assert_eq!(chosen.kind, DeviceKind::Cpu);
        assert_eq!(chosen.adapter.as_deref(), Some("google swiftshader"));
        let chosen = known(DeviceChoice::Auto, &missing)?;
        assert_eq!(chosen.reason, DeviceReason::NoGpu);
        assert!(chosen.note.contains("no WebGPU"), "{}", chosen.note);
        let forced = known(DeviceChoice::Gpu, &missing);
        assert!(matches!(forced, Err(EngineError::Device(_))));
        let chosen = known(DeviceChoice::Cpu, &software)?;
        assert_eq!(chosen.reason, DeviceReason::Requested);
        Ok(())
    }
}
