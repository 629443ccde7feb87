// (x − mean) / √(variance + ε) · weight + bias per channel, the last dimension, then an activation.
// Reference: reference::batch_norm, reference::activated.
// One thread per result. Workgroups are numbered over two dimensions.
//#include shared/host.wgsl
//#include shared/activation.wgsl
struct BatchNormParams {
    n_results: u32,
    n_channels: u32,
    groups_x: u32,
    activation: u32, // ACTIVATION_*
    eps: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;        // [..., channels]
@group(0) @binding(1) var<storage, read_write> weight: array<f32>;   // [channels]
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;     // [channels]
@group(0) @binding(3) var<storage, read_write> mean: array<f32>;     // [channels]
@group(0) @binding(4) var<storage, read_write> variance: array<f32>; // [channels]
@group(0) @binding(5) var<storage, read_write> out: array<f32>;      // as x
@group(0) @binding(6) var<uniform> params: BatchNormParams;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (group.y * params.groups_x + group.x) * 64u + local;
    if (at >= params.n_results) {
        return;
    }
    let channel = at % params.n_channels;
    let scale = weight[channel] * inverseSqrt(variance[channel] + params.eps);
    out[at] = activated(params.activation, (x[at] - mean[channel]) * scale + bias[channel]);
}
