// x / √(mean of x² + ε) · weight over each row. Reference: reference::rms_norm.
// One workgroup per row. Workgroups are numbered over two dimensions.
//#include shared/norm.wgsl
//#include shared/reduce.wgsl
@group(0) @binding(0) var<storage, read_write> x: array<f32>;      // [rows, cols], strided
@group(0) @binding(1) var<storage, read_write> weight: array<f32>; // [cols]
@group(0) @binding(2) var<storage, read_write> out: array<f32>;    // as x
@group(0) @binding(3) var<uniform> params: NormParams;

const LANES: u32 = 64u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, thread: Thread) {
    let local = thread.local;
    let row = group.y * params.groups_x + group.x;
    if (row >= params.n_rows) {
        return;
    }
    let columns = params.n_cols;
    let first = first_of(row);
    let stride = params.col_stride;
    var squares = 0.0;
    for (var i = local; i < columns; i += LANES) {
        let value = x[first + i * stride];
        squares += value * value;
    }
    let mean = workgroup_sum(thread, squares) / f32(columns);
    let scale = inverseSqrt(mean + params.eps);
    for (var i = local; i < columns; i += LANES) {
        let at = first + i * stride;
        out[at] = x[at] * scale * weight[i];
    }
}
