// (x − mean) / √(variance + ε) · weight + bias of each channel, the last dimension, and an activation.
// Reference: reference::batch_norm, reference::activated.
//#include shared/activation.wgsl
@group(0) @binding(0) var<storage, read_write> x: array<f32>;        // [..., channels]
@group(0) @binding(1) var<storage, read_write> weight: array<f32>;   // [channels]
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;     // [channels]
@group(0) @binding(3) var<storage, read_write> mean: array<f32>;     // [channels]
@group(0) @binding(4) var<storage, read_write> variance: array<f32>; // [channels]
@group(0) @binding(5) var<storage, read_write> out: array<f32>;      // as x
@group(0) @binding(6) var<uniform> info: array<vec4<u32>, 2>;
// info[0]: results, channels, ε as bits, workgroups along x. info[1]: which activation.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (group.y * info[0].w + group.x) * 64u + local;
    if (at >= info[0].x) {
        return;
    }
    let channel = at % info[0].y;
    let scale = weight[channel] * inverseSqrt(variance[channel] + bitcast<f32>(info[0].z));
    out[at] = activated(info[1].x, (x[at] - mean[channel]) * scale + bias[channel]);
}
