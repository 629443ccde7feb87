// (x − mean) / √(variance + ε) · weight + bias over each row. Reference: reference::layer_norm.
//#include shared/norm.wgsl
//#include shared/sum.wgsl
@group(0) @binding(0) var<storage, read_write> x: array<f32>;      // rows × columns, strided
@group(0) @binding(1) var<storage, read_write> weight: array<f32>; // [columns]
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;   // [columns]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;    // as x
@group(0) @binding(4) var<uniform> info: array<vec4<u32>, 2>;

const LANES: u32 = 64u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, thread: Thread) {
    let local = thread.local;
    let row = group.y * info[0].z + group.x;
    if (row >= info[0].x) {
        return;
    }
    let columns = info[0].y;
    let first = first_of(row);
    let stride = info[1].w;
    var sum = 0.0;
    for (var i = local; i < columns; i += LANES) {
        sum += x[first + i * stride];
    }
    let mean = sum_over_lanes(thread, sum) / f32(columns);
    var squares = 0.0;
    for (var i = local; i < columns; i += LANES) {
        let off = x[first + i * stride] - mean;
        squares += off * off;
    }
    let variance = sum_over_lanes(thread, squares) / f32(columns);
    let scale = inverseSqrt(variance + bitcast<f32>(info[0].w));
    for (var i = local; i < columns; i += LANES) {
        let at = first + i * stride;
        out[at] = (x[at] - mean) * scale * weight[i] + bias[i];
    }
}
