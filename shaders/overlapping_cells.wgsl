// For each cell of stride × stride pixels the four blocks that cover it and half a cell around it, one after the other.
// Pixels outside the image are zero. Reference: reference::overlapping_cells.
// One thread per result. Workgroups are numbered over two dimensions.
struct PixelStrides {
    batch: u32,
    row: u32,
    col: u32,
    channel: u32,
}

struct OverlappingCellsParams {
    n_results: u32,
    height: u32,
    width: u32,
    groups_x: u32,
    d: u32,
    stride: u32,
    @align(16) x_strides: PixelStrides,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;   // [batch, height, width, d], strided
@group(0) @binding(1) var<storage, read_write> out: array<f32>; // [batch, height / stride, width / stride, 4 stride² d]
@group(0) @binding(2) var<uniform> params: OverlappingCellsParams;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (group.y * params.groups_x + group.x) * 64u + local;
    if (at >= params.n_results) {
        return;
    }
    let d = params.d;
    let stride = params.stride;
    let size = vec2<u32>(params.height, params.width) / stride;
    let channel = at % d;
    let column_in = at / d % stride;
    let row_in = at / (d * stride) % stride;
    let block = at / (d * stride * stride) % 4u;
    let cell = at / (4u * d * stride * stride);
    // In the padded image, so that no index is negative.
    let row = cell / size.y % size.x * stride + block / 2u * stride + row_in;
    let column = cell % size.y * stride + block % 2u * stride + column_in;
    let border = stride / 2u;
    let is_inside = row >= border && column >= border && row - border < params.height && column - border < params.width;
    var value = 0.0;
    if (is_inside) {
        value = x[cell / (size.x * size.y) * params.x_strides.batch + (row - border) * params.x_strides.row
            + (column - border) * params.x_strides.col + channel * params.x_strides.channel];
    }
    out[at] = value;
}
