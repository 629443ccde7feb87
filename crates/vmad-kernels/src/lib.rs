//! Custom tensor operations of vmad-web, each with a WGSL shader for GPUs (wgpu natively, WebGPU in
//! the browser) and plain Rust for the CPU backend, and the choice of device.
//!
//! A [`QuantWeight`] stays packed in device memory: about 1.06 bytes per weight as int8 and 0.56 as
//! int4, scales included. [`matmul_quant`] and [`gather_quant`] decode a tile at a time.
//!
//! This is the only crate of the workspace that touches cubecl and wgpu. It never reads files and
//! never blocks on a device: results are read with the `_async` calls. Only a [`Reading`] that is dropped half-way is waited for,
//! outside of browsers.

mod attention;
#[cfg(target_family = "wasm")]
mod browser;
pub mod cost;
mod cpu;
mod deformable;
mod dense;
mod device;
mod error;
mod features;
#[cfg(feature = "wgpu")]
mod gpu;
mod kv;
mod norm;
mod ops;
mod product;
mod reading;
pub mod reference;
mod region;
mod rehearsal;
mod sample;
mod self_test;
mod stem;
#[cfg(feature = "wgpu")]
mod trial;
mod weight;

pub use attention::{Mask, attention, relative_positions};
pub use burn::tensor::Device;
pub use deformable::{Points, deformable_attention};
pub use dense::{Stepping, conv2d, matmul, upsample_2x};
#[cfg(feature = "wgpu")]
pub use device::gpu_device;
#[cfg(feature = "libtorch")]
pub use device::libtorch_device;
#[cfg(target_family = "wasm")]
pub use device::run_constructors;
pub use device::{AdapterInfo, DeviceKind, cpu_device, is_software_name};
pub use error::KernelError;
pub use features::Features;
pub use kv::{KvLayer, Rotary};
pub use norm::{layer_norm, layer_norm_image, rms_norm};
pub use ops::{gather_quant, matmul_quant};
pub use product::{
    Activation, LinearEnd, RmsScale, linear_f32, matmul_gated, matmul_linear, matmul_normed,
    matmul_parts,
};
pub use reading::Reading;
pub use region::region_attention;
pub use rehearsal::Rehearsal;
pub use sample::{Answer, Draw};
pub use self_test::self_test;
pub use stem::{ChannelNorm, batch_norm, overlapping_cells};
#[cfg(feature = "wgpu")]
pub use trial::settle;
pub use weight::{QuantKind, QuantWeight};
