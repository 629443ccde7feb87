//! Custom tensor operations of vmad-web, each with a WGSL shader for GPUs (wgpu natively, WebGPU in the browser) and most
//! with a loop for the CPU backend, and the choice of device.
//!
//! A [`QuantWeight`] stays packed in device memory: about 1.06 bytes per weight as int8 and 0.56 as int4, scales included.
//! [`matmul_quant`] and [`gather_quant`] decode a tile at a time.
//!
//! This is the only crate of the workspace that touches cubecl and wgpu. It reads no files and does not block on a device:
//! results are read with the `_async` calls. The exception is a [`Readback`] that is dropped before completion, for which
//! native code waits.
//!
//! Layers; calls go downwards, and the implementations know `backend` only for the traits that they implement:
//!
//! | Files | Content |
//! |---|---|
//! | `autotune`, `self_test` | which features of an adapter are enabled |
//! | `ops/` | the public functions: checks, shapes, and one call to a route's implementation |
//! | `route` | the decision: decoding step, tile, loop of the CPU backend, or composed of burn's operations |
//! | `backend` | the operations as traits of burn's backends |
//! | `gpu/`, `cpu/` | their implementations: launches of shaders, loops |
//! | `precompile`, `readback`, `device`, `webgpu_shim` | the device: selection, ahead-of-need compilation, reading back |
//! | `types`, `weight`, `cost`, `features`, `reference`, `error` | what all of these share |

#[cfg(feature = "wgpu")]
mod autotune;
mod backend;
pub mod cost;
mod cpu;
mod device;
mod error;
mod features;
#[cfg(feature = "wgpu")]
mod gpu;
mod ops;
mod precompile;
mod readback;
pub mod reference;
mod route;
mod self_test;
mod types;
#[cfg(all(target_family = "wasm", feature = "wgpu"))]
mod webgpu_shim;
mod weight;

#[cfg(feature = "wgpu")]
pub use autotune::select_features;
pub use burn::tensor::Device;
#[cfg(feature = "wgpu")]
pub use device::gpu_device;
#[cfg(feature = "libtorch")]
pub use device::libtorch_device;
#[cfg(target_family = "wasm")]
pub use device::run_constructors;
pub use device::{AdapterInfo, DeviceKind, cpu_device, is_software_name};
pub use error::KernelError;
pub use features::Features;
pub use ops::{
    ChannelNorm, Epilogue, KvLayer, Points, RmsScale, Rotary, SampledTokens, attention, batch_norm,
    conv2d, deformable_attention, gather_quant, layer_norm, layer_norm_image, linear_f32, matmul,
    matmul_gated, matmul_linear, matmul_normed, matmul_parts, matmul_quant, overlapping_cells,
    region_attention, relative_positions, rms_norm, upsample_2x,
};
pub use precompile::PipelinePrecompile;
pub use readback::Readback;
pub use self_test::self_test;
pub use types::{Activation, Conv2dOptions, Draw, Mask};
pub use weight::{QuantKind, QuantWeight};
