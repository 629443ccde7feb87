//! Patches of the browser's WebGPU objects, for what wgpu's web backend does not support. All of them live in this folder
//! and in one JavaScript file.
//!
//! | Patch | Where | Upstream | Ends when |
//! |---|---|---|---|
//! | `GPUAdapter.requestDevice` also requests `subgroups` | `request_device.rs` | [wgpu#10146](https://github.com/gfx-rs/wgpu/issues/10146) | wgpu's web backend maps `Features::SUBGROUP` |
//! | `GPUDevice.createComputePipeline` calls `createComputePipelineAsync` inside a precompile pass; `GPUComputePassEncoder.setPipeline` takes the result | `shim.js` | [wgpu#3794](https://github.com/gfx-rs/wgpu/issues/3794) | wgpu creates pipelines asynchronously and cubecl uses that |
//! | `GPUCommandEncoder.copyBufferToBuffer` writes zeros to a staging buffer inside a precompile pass | `shim.js` | as above | as above |
//! | `uncapturederror` destroys the device, whose `lost` then carries the message | `shim.js` | [wgpu#3675](https://github.com/gfx-rs/wgpu/issues/3675) | cubecl returns uncaptured errors from reads |

mod js;
mod pass;
mod request_device;

pub(crate) use pass::{PassScope, compiled_pipelines};
pub(crate) use request_device::RequestDevicePatch;
