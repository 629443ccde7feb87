// softmax(q·kᵀ·scale + row bias + column bias) · v over a square grid of keys: SAM's decomposed relative
// positions, stored as one number per query and key row and one per query and key column.
// Reference: reference::attention.
// One workgroup per 32 queries of a head. Workgroups are numbered over two dimensions.
//#include shared/attention_params.wgsl
//#include shared/attention.wgsl
@group(0) @binding(0) var<storage, read_write> q: array<f32>;        // [batch, heads, queries, d_head], strided
@group(0) @binding(1) var<storage, read_write> k: array<f32>;        // [batch, heads, side², d_head], strided
@group(0) @binding(2) var<storage, read_write> v: array<f32>;        // [batch, heads, side², d_value], strided
@group(0) @binding(3) var<storage, read_write> relative: array<f32>; // [batch, heads, queries, 2 side], strided
@group(0) @binding(4) var<storage, read_write> out: array<f32>;      // [batch, queries, heads, d_value]
@group(0) @binding(5) var<uniform> params: AttentionParams;

fn bias_at(batch: u32, head: u32, query: u32, key: u32) -> f32 {
    let side = params.side;
    let query_base = batch * params.bias_strides.batch + head * params.bias_strides.head + query * params.bias_strides.row;
    return relative[query_base + key / side] + relative[query_base + side + key % side];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    attend(group, local);
}
