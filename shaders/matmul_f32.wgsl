// a · b of f32 matrices over two batch dimensions, each read through its strides. Reference: reference::matmul.
// One workgroup per 32 × 32 results of a batch: 64 threads as 8 × 8, each with 4 × 4 results in registers, over 16 columns
// of a per step.
struct MatrixStrides {
    outer: u32, // 0 where a batch dimension is broadcast
    inner: u32,
    row: u32,
    col: u32,
}

struct MatmulF32Params {
    n_rows: u32,
    n_cols: u32,
    depth: u32,
    groups_x: u32,
    n_outer: u32,
    n_inner: u32,
    @align(16) a_strides: MatrixStrides,
    @align(16) b_strides: MatrixStrides,
}

@group(0) @binding(0) var<storage, read_write> a: array<f32>;   // [outer, inner, rows, depth], strided
@group(0) @binding(1) var<storage, read_write> b: array<f32>;   // [outer, inner, depth, cols], strided
@group(0) @binding(2) var<storage, read_write> out: array<f32>; // [outer, inner, rows, cols]
@group(0) @binding(3) var<uniform> params: MatmulF32Params;

const TILE: u32 = 32u;
const STEP: u32 = 16u;

var<workgroup> left: array<f32, 512>;  // [STEP, TILE], a transposed
var<workgroup> right: array<f32, 512>; // [STEP, TILE]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let rows = params.n_rows;
    let columns = params.n_cols;
    let depth = params.depth;
    let across = (columns + TILE - 1u) / TILE;
    let down = (rows + TILE - 1u) / TILE;
    let index = group.y * params.groups_x + group.x;
    let batch = index / across / down;
    if (batch >= params.n_outer * params.n_inner) {
        return;
    }
    let first_row = index / across % down * TILE;
    let first_column = index % across * TILE;
    let a_base = batch / params.n_inner * params.a_strides.outer + batch % params.n_inner * params.a_strides.inner;
    let b_base = batch / params.n_inner * params.b_strides.outer + batch % params.n_inner * params.b_strides.inner;
    let row = local / 8u * 4u;
    let column = local % 8u * 4u;
    var sums: array<vec4<f32>, 4>; // [row], over four columns
    for (var first = 0u; first < depth; first += STEP) {
        workgroupBarrier();
        for (var i = local; i < STEP * TILE; i += 64u) {
            // Neighbouring threads read along the dimension of stride 1.
            var k = i % STEP;
            var at = i / STEP;
            if (params.a_strides.row == 1u) {
                k = i / TILE;
                at = i % TILE;
            }
            var value = 0.0;
            if (first_row + at < rows && first + k < depth) {
                value = a[a_base + (first_row + at) * params.a_strides.row + (first + k) * params.a_strides.col];
            }
            left[k * TILE + at] = value;
            k = i / TILE;
            at = i % TILE;
            if (params.b_strides.row == 1u) {
                k = i % STEP;
                at = i / STEP;
            }
            value = 0.0;
            if (first_column + at < columns && first + k < depth) {
                value = b[b_base + (first + k) * params.b_strides.row + (first_column + at) * params.b_strides.col];
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
