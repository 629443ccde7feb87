// For each cell of stride² pixels the four blocks that cover it and half a cell around it, side by side; what lies
// outside the image is zero. Reference: reference::overlapping_cells.
@group(0) @binding(0) var<storage, read_write> x: array<f32>;   // [batch, height, width, d], strided
@group(0) @binding(1) var<storage, read_write> out: array<f32>; // [batch, height / stride, width / stride, 4 stride² d]
@group(0) @binding(2) var<uniform> info: array<vec4<u32>, 3>;
// info[0]: results, height, width, workgroups along x. info[1]: d, stride. info[2]: strides of x.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (group.y * info[0].w + group.x) * 64u + local;
    if (at >= info[0].x) {
        return;
    }
    let d = info[1].x;
    let stride = info[1].y;
    let size = info[0].yz / stride;
    let channel = at % d;
    let column_in = at / d % stride;
    let row_in = at / (d * stride) % stride;
    let block = at / (d * stride * stride) % 4u;
    let cell = at / (4u * d * stride * stride);
    // Counted from the border, so that nothing is negative.
    let row = cell / size.y % size.x * stride + block / 2u * stride + row_in;
    let column = cell % size.y * stride + block % 2u * stride + column_in;
    let border = stride / 2u;
    let is_inside = row >= border && column >= border && row - border < info[0].y && column - border < info[0].z;
    var value = 0.0;
    if (is_inside) {
        value = x[cell / (size.x * size.y) * info[2].x + (row - border) * info[2].y
            + (column - border) * info[2].z + channel * info[2].w];
    }
    out[at] = value;
}
