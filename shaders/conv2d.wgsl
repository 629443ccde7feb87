// A convolution over images with zero padding. Reference: reference::conv2d.
// One workgroup per 64 pixels of four output channels, one pixel per thread, so that all threads read the same weights.
struct Conv2dParams {
    batch: u32,
    c_in: u32,
    c_out: u32,
    groups_x: u32,
    height_in: u32,
    width_in: u32,
    height_out: u32,
    width_out: u32,
    kernel_size: u32,
    stride: u32,
    padding: u32,
    n_groups: u32,
    has_bias: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;      // [batch, c_in, height_in, width_in]
@group(0) @binding(1) var<storage, read_write> weight: array<f32>; // [c_out, c_in / groups, kernel, kernel]
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;   // [c_out], or one unused element
@group(0) @binding(3) var<storage, read_write> out: array<f32>;    // [batch, c_out, height_out, width_out]
@group(0) @binding(4) var<uniform> params: Conv2dParams;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let c_in = params.c_in / params.n_groups;
    let c_out = params.c_out / params.n_groups;
    let size = vec2<i32>(i32(params.width_in), i32(params.height_in));
    let n_pixels = params.height_out * params.width_out;
    let kernel = params.kernel_size;
    let chunks = (n_pixels + 63u) / 64u;
    let fours = (c_out + 3u) / 4u;
    let index = group.y * params.groups_x + group.x;
    let pixel = index % chunks * 64u + local;
    let four = index / chunks % fours * 4u;
    let channels = index / chunks / fours % params.n_groups;
    let batch = index / chunks / fours / params.n_groups;
    if (batch >= params.batch || pixel >= n_pixels) {
        return;
    }
    let corner = vec2<i32>(vec2<u32>(pixel % params.width_out, pixel / params.width_out) * params.stride) - i32(params.padding);
    // Channels past the last are computed as the last and not stored.
    let first = channels * c_out + min(vec4<u32>(four, four + 1u, four + 2u, four + 3u), vec4<u32>(c_out - 1u));
    let area = kernel * kernel;
    var sums = vec4<f32>(0.0);
    for (var channel = 0u; channel < c_in; channel++) {
        let plane = (batch * params.c_in + channels * c_in + channel) * params.height_in * params.width_in;
        for (var i = 0u; i < area; i++) {
            let at = corner + vec2<i32>(i32(i % kernel), i32(i / kernel));
            if (all(at >= vec2<i32>(0)) && all(at < size)) {
                let value = x[plane + u32(at.y * size.x + at.x)];
                let w = (first * c_in + channel) * area + i;
                sums += value * vec4<f32>(weight[w.x], weight[w.y], weight[w.z], weight[w.w]);
            }
        }
    }
    for (var i = 0u; i < min(4u, c_out - four); i++) {
        var value = sums[i];
        if (params.has_bias != 0u) {
            value += bias[first[i]];
        }
        out[(batch * params.c_out + first[i]) * n_pixels + pixel] = value;
    }
}
