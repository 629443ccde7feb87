// Of each query over a square of cells the products with the vectors of how far away each row of keys lies, then each
// column: what SAM's decomposed relative positions add to its scores. Reference: reference::relative_positions.
@group(0) @binding(0) var<storage, read_write> q: array<f32>;       // [batch, heads, side², d], strided
@group(0) @binding(1) var<storage, read_write> rows: array<f32>;    // [2 side - 1, d]
@group(0) @binding(2) var<storage, read_write> columns: array<f32>; // [2 side - 1, d]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;     // [batch, heads, side², 2 side]
@group(0) @binding(4) var<uniform> info: array<vec4<u32>, 3>;
// info[0]: results, side, d, workgroups along x. info[1]: heads. info[2]: strides of q.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (group.y * info[0].w + group.x) * 64u + local;
    if (at >= info[0].x) {
        return;
    }
    let side = info[0].y;
    let d = info[0].z;
    let key = at % side;
    let is_column = at / side % 2u == 1u;
    let query = at / (2u * side) % (side * side);
    let head = at / (2u * side * side * side);
    let place = select(query / side, query % side, is_column);
    let first = (place + side - 1u - key) * d;
    let from_query = head / info[1].x * info[2].x + head % info[1].x * info[2].y + query * info[2].z;
    var sum = 0.0;
    for (var i = 0u; i < d; i++) {
        let number = q[from_query + i];
        if (is_column) {
            sum += number * columns[first + i];
        } else {
            sum += number * rows[first + i];
        }
    }
    out[at] = sum;
}
