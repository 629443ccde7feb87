//! The devices, and their description.

use std::fmt;

use burn::tensor::Device;

#[cfg(feature = "wgpu")]
use crate::error::KernelError;
use crate::features::Features;

/// Description of a graphics adapter. Browsers may leave every text blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterInfo {
    /// Name of the adapter, e.g. `NVIDIA GeForce RTX 4070`.
    pub name: String,
    /// Driver and its version.
    pub driver: String,
    /// Type in words, e.g. `DiscreteGpu`, `Cpu`.
    pub device_type: String,
    /// Graphics API, e.g. `vulkan`, `webgpu`.
    pub backend: String,
    /// Emulated on the CPU: tens of times slower than the CPU backend.
    pub software: bool,
    /// The largest buffer that a shader can bind, in bytes. A packed weight must fit.
    pub max_binding_bytes: u64,
    /// Its optional features that shaders can use.
    pub features: Features,
}

/// The kinds of device a session can run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// The CPU backend.
    Cpu,
    /// A graphics adapter.
    Gpu {
        /// Name of the adapter; may be empty in a browser.
        name: String,
        /// Emulated on the CPU.
        software: bool,
        /// Graphics API.
        backend: String,
    },
}

impl From<&AdapterInfo> for DeviceKind {
    fn from(info: &AdapterInfo) -> Self {
        Self::Gpu {
            name: info.name.clone(),
            software: info.software,
            backend: info.backend.clone(),
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("CPU"),
            Self::Gpu {
                name,
                software,
                backend,
            } => {
                let name = if name.is_empty() { "GPU" } else { name };
                let note = if *software { ", software" } else { "" };
                write!(f, "{name} ({backend}{note})")
            }
        }
    }
}

/// Whether an adapter's name, vendor, architecture or driver belongs to one that is emulated on the
/// CPU. In a browser the caller passes what `GPUAdapterInfo` holds.
pub fn is_software_name(name: &str) -> bool {
    const KNOWN: &[&str] = &[
        "swiftshader",
        "llvmpipe",
        "lavapipe",
        "softpipe",
        "basic render",
        "software rasterizer",
    ];
    let name = name.to_lowercase();
    KNOWN.iter().any(|known| name.contains(known))
        // A short word that names like "warped" may contain.
        || name
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| word == "warp")
}

/// Runs the constructors that other crates, cubecl above all, have registered to run before `main`. Call it when a wasm
/// module starts; later calls do nothing.
///
/// Without this call the linker treats the module as a command and runs all constructors again in *every* call from
/// JavaScript, which costs milliseconds each time.
#[cfg(target_family = "wasm")]
pub fn run_constructors() {
    use std::sync::Once;
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    static FIRST: Once = Once::new();
    // SAFETY: the linker provides this function, without arguments or result, in every module, and
    // it is called once, before anything that the constructors register could be in use.
    FIRST.call_once(|| unsafe { __wasm_call_ctors() });
}

/// The CPU backend. It always exists.
pub fn cpu_device() -> Device {
    Device::flex()
}

/// LibTorch on the CPU, for training: none of this crate's operations on packed weights runs there.
#[cfg(feature = "libtorch")]
#[expect(
    deprecated,
    reason = "burn 0.22 has no other backend as fast at training on a CPU"
)]
pub fn libtorch_device() -> Device {
    Device::libtorch()
}

/// Launches per submission, unless [`crate::cost`] ends it earlier: a submission costs the page's processor as much as many
/// launches. `npm run bench -- --only models` measures it.
#[cfg(feature = "wgpu")]
const LAUNCHES: usize = 128;

/// The graphics adapter with the most power, initialised.
///
/// Launches then use those of its optional features that do not round; [`select_features`](crate::select_features) tries all
/// of them.
///
/// An adapter can be initialised once per process (once per wasm instance in a browser); later
/// calls return the device of the first. A device that was lost needs a new process or instance.
///
/// # Errors
/// [`KernelError::Adapter`] when there is none, or its driver refuses.
#[cfg(feature = "wgpu")]
pub async fn gpu_device() -> Result<(Device, AdapterInfo), KernelError> {
    use std::sync::OnceLock;
    static FIRST: OnceLock<(Device, AdapterInfo)> = OnceLock::new();

    if let Some(first) = FIRST.get() {
        return Ok(first.clone());
    }
    #[cfg(target_family = "wasm")]
    let patch = crate::webgpu_shim::RequestDevicePatch::begin();
    let (device, setup) = Device::wgpu_options()
        .tasks_max(LAUNCHES)
        .init_with_setup_async()
        .await
        .map_err(|error| KernelError::Adapter {
            reason: error.to_string(),
        })?;
    #[cfg(target_family = "wasm")]
    let features = patch.granted(&setup);
    #[cfg(not(target_family = "wasm"))]
    let features = native_features(&setup);
    let info = describe(&setup, features);
    features.exact().enable();
    Ok(FIRST.get_or_init(|| (device, info)).clone())
}

#[cfg(all(feature = "wgpu", not(target_family = "wasm")))]
fn native_features(setup: &burn::tensor::wgpu::WgpuSetup) -> Features {
    use burn::tensor::wgpu::wgpu;

    let features = setup.device.features();
    Features {
        subgroups: features.contains(wgpu::Features::SUBGROUP),
        // naga emulates it where the driver lacks it.
        packed: true,
        f16: features.contains(wgpu::Features::SHADER_F16),
    }
}

#[cfg(feature = "wgpu")]
fn describe(setup: &burn::tensor::wgpu::WgpuSetup, features: Features) -> AdapterInfo {
    use burn::tensor::wgpu::wgpu::DeviceType;

    let info = setup.adapter.get_info();
    let driver = [info.driver.as_str(), info.driver_info.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let software = info.device_type == DeviceType::Cpu
        || is_software_name(&info.name)
        || is_software_name(&driver);
    AdapterInfo {
        software,
        driver,
        device_type: format!("{:?}", info.device_type),
        backend: info.backend.to_str().to_owned(),
        max_binding_bytes: setup.device.limits().max_storage_buffer_binding_size,
        name: info.name,
        features,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_software_adapters() {
        for name in [
            "SwiftShader Device (Subzero)",
            "Google SwiftShader",
            "llvmpipe (LLVM 19.1.7, 256 bits)",
            "Mesa lavapipe",
            "Microsoft Basic Render Driver",
            "D3D12 WARP",
        ] {
            assert!(is_software_name(name), "{name}");
        }
        for name in [
            "NVIDIA GeForce RTX 4070",
            "Apple M2",
            "Intel(R) Iris(R) Xe Graphics",
            "Warpath GPU",
            "",
        ] {
            assert!(!is_software_name(name), "{name}");
        }
    }

    #[test]
    fn devices_are_described() {
        let gpu = DeviceKind::Gpu {
            name: String::new(),
            software: true,
            backend: "webgpu".to_owned(),
        };
        assert_eq!(gpu.to_string(), "GPU (webgpu, software)");
        assert_eq!(DeviceKind::Cpu.to_string(), "CPU");
    }
}
