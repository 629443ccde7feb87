// SAM's decomposed relative positions: the product of each query on a square grid with the vector of its distance to each
// row of keys, then to each column of keys. Reference: reference::relative_positions.
// One thread per result. Workgroups are numbered over two dimensions.
//#include shared/attention_params.wgsl
struct RelativePositionsParams {
    n_results: u32,
    side: u32,
    d_head: u32,
    groups_x: u32,
    n_heads: u32,
    @align(16) q_strides: HeadStrides,
}

@group(0) @binding(0) var<storage, read_write> q: array<f32>;       // [batch, heads, side², d_head], strided
@group(0) @binding(1) var<storage, read_write> rows: array<f32>;    // [2 side - 1, d_head]
@group(0) @binding(2) var<storage, read_write> columns: array<f32>; // [2 side - 1, d_head]
@group(0) @binding(3) var<storage, read_write> out: array<f32>;     // [batch, heads, side², 2 side]
@group(0) @binding(4) var<uniform> params: RelativePositionsParams;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (group.y * params.groups_x + group.x) * 64u + local;
    if (at >= params.n_results) {
        return;
    }
    let side = params.side;
    let d = params.d_head;
    let key = at % side;
    let is_column = at / side % 2u == 1u;
    let query = at / (2u * side) % (side * side);
    let head = at / (2u * side * side * side);
    let position = select(query / side, query % side, is_column);
    let first = (position + side - 1u - key) * d;
    let query_base = head / params.n_heads * params.q_strides.batch + head % params.n_heads * params.q_strides.head + query * params.q_strides.row;
    var sum = 0.0;
    for (var i = 0u; i < d; i++) {
        let number = q[query_base + i];
        if (is_column) {
            sum += number * columns[first + i];
        } else {
            sum += number * rows[first + i];
        }
    }
    out[at] = sum;
}
