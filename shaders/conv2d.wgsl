// A convolution over images with zeros around them. Reference: reference::conv2d.
// 64 pixels of four output channels a workgroup, one pixel a thread, so that all of them read the same weights.
@group(0) @binding(0) var<storage, read_write> x: array<f32>;      // [batch, c_in, height, width]
@group(0) @binding(1) var<storage, read_write> weight: array<f32>; // [c_out, c_in / groups, kernel, kernel]
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;   // [c_out], or a number that is not used
@group(0) @binding(3) var<storage, read_write> out: array<f32>;    // [batch, c_out, height', width']
@group(0) @binding(4) var<uniform> info: array<vec4<u32>, 4>;

// info[0]: batch, c_in, c_out, workgroups along x. info[1]: height, width, height', width'.
// info[2]: kernel, stride, padding, groups. info[3]: whether there is a bias.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let c_in = info[0].y / info[2].w;
    let c_out = info[0].z / info[2].w;
    let size = vec2<i32>(i32(info[1].y), i32(info[1].x));
    let n_pixels = info[1].z * info[1].w;
    let kernel = info[2].x;
    let chunks = (n_pixels + 63u) / 64u;
    let fours = (c_out + 3u) / 4u;
    let index = group.y * info[0].w + group.x;
    let pixel = index % chunks * 64u + local;
    let four = index / chunks % fours * 4u;
    let channels = index / chunks / fours % info[2].w;
    let batch = index / chunks / fours / info[2].w;
    if (batch >= info[0].x || pixel >= n_pixels) {
        return;
    }
    let corner = vec2<i32>(vec2<u32>(pixel % info[1].w, pixel / info[1].w) * info[2].y) - i32(info[2].z);
    // Of the four, those beyond the last are the last once more.
    let first = channels * c_out + min(vec4<u32>(four, four + 1u, four + 2u, four + 3u), vec4<u32>(c_out - 1u));
    let area = kernel * kernel;
    var sums = vec4<f32>(0.0);
    for (var channel = 0u; channel < c_in; channel++) {
        let plane = (batch * info[0].y + channels * c_in + channel) * info[1].x * info[1].y;
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
        if (info[3].x == 1u) {
            value += bias[first[i]];
        }
        out[(batch * info[0].z + first[i]) * n_pixels + pixel] = value;
    }
}
