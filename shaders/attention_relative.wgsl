// softmax(q·kᵀ·scale + rows + columns) · v over a square of cells: SAM's decomposed relative positions,
// of which only one number for each query and each row or column is held. Reference: reference::attention.
// One workgroup per 32 queries of a head; the workgroups are numbered over two dimensions.
//#include shared/attention.wgsl
@group(0) @binding(0) var<storage, read_write> q: array<f32>;       // [batch, heads, queries, d_head], strided
@group(0) @binding(1) var<storage, read_write> k: array<f32>;       // [batch, heads, side², d_head], strided
@group(0) @binding(2) var<storage, read_write> v: array<f32>;       // [batch, heads, side², d_value], strided
@group(0) @binding(3) var<storage, read_write> relative: array<f32>; // [batch, heads, queries, 2 side], strided
@group(0) @binding(4) var<storage, read_write> out: array<f32>;     // [batch, queries, heads, d_value]
@group(0) @binding(5) var<uniform> info: array<vec4<u32>, 8>;

fn bias_at(batch: u32, head: u32, query: u32, key: u32) -> f32 {
    let side = info[6].w;
    let of_query = batch * info[6].x + head * info[6].y + query * info[6].z;
    return relative[of_query + key / side] + relative[of_query + side + key % side];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    attend(group, local);
}
