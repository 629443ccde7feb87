// a · b over batches, each read through its strides: products of floats, neither of which is packed.
// Reference: reference::matmul.
// One 32×32 tile of a batch: 64 threads as 8×8, each with 4×4 results in registers, 16 columns of a a step.
@group(0) @binding(0) var<storage, read_write> a: array<f32>;   // [outer, inner, rows, depth], strided
@group(0) @binding(1) var<storage, read_write> b: array<f32>;   // [outer, inner, depth, columns], strided
@group(0) @binding(2) var<storage, read_write> out: array<f32>; // [outer, inner, rows, columns]
@group(0) @binding(3) var<uniform> info: array<vec4<u32>, 4>;

// info[0]: rows, columns, depth, workgroups along x. info[1]: outer, inner.
// info[2], info[3]: strides of a and b, zero along what is repeated.
const TILE: u32 = 32u;
const STEP: u32 = 16u;

var<workgroup> left: array<f32, 512>;  // [STEP, TILE], a turned around
var<workgroup> right: array<f32, 512>; // [STEP, TILE]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let rows = info[0].x;
    let columns = info[0].y;
    let depth = info[0].z;
    let across = (columns + TILE - 1u) / TILE;
    let down = (rows + TILE - 1u) / TILE;
    let index = group.y * info[0].w + group.x;
    let batch = index / across / down;
    if (batch >= info[1].x * info[1].y) {
        return;
    }
    let first_row = index / across % down * TILE;
    let first_column = index % across * TILE;
    let a_base = batch / info[1].y * info[2].x + batch % info[1].y * info[2].y;
    let b_base = batch / info[1].y * info[3].x + batch % info[1].y * info[3].y;
    let row = local / 8u * 4u;
    let column = local % 8u * 4u;
    var sums: array<vec4<f32>, 4>; // of a row, over columns
    for (var first = 0u; first < depth; first += STEP) {
        workgroupBarrier();
        for (var i = local; i < STEP * TILE; i += 64u) {
            // Neighbouring threads read along the dimension that is dense.
            var k = i % STEP;
            var at = i / STEP;
            if (info[2].z == 1u) {
                k = i / TILE;
                at = i % TILE;
            }
            var value = 0.0;
            if (first_row + at < rows && first + k < depth) {
                value = a[a_base + (first_row + at) * info[2].z + (first + k) * info[2].w];
            }
            left[k * TILE + at] = value;
            k = i / TILE;
            at = i % TILE;
            if (info[3].z == 1u) {
                k = i % STEP;
                at = i / STEP;
            }
            value = 0.0;
            if (first_column + at < columns && first + k < depth) {
                value = b[b_base + (first + k) * info[3].z + (first_column + at) * info[3].w];
            }
            right[k * TILE + at] = value;
        }
        workgroupBarrier();
        for (var k = 0u; k < STEP; k++) {
            let at = k * TILE + column;
            let four = vec4<f32>(right[at], right[at + 1u], right[at + 2u], right[at + 3u]);
            for (var i = 0u; i < 4u; i++) {
                sums[i] += left[k * TILE + row + i] * four;
            }
        }
    }
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            if (first_row + row + i < rows && first_column + column + j < columns) {
                let at = (batch * rows + first_row + row + i) * columns + first_column + column + j;
                out[at] = sums[i][j];
            }
        }
    }
}
