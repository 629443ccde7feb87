// softmax(q·kᵀ·scale + bias) · v with a bias for every query and key.
// Reference: reference::attention.
// One workgroup per 32 queries of a head. Workgroups are numbered over two dimensions.
//#include shared/attention_params.wgsl
//#include shared/attention.wgsl
@group(0) @binding(0) var<storage, read_write> q: array<f32>;    // [batch, heads, queries, d_head], strided
@group(0) @binding(1) var<storage, read_write> k: array<f32>;    // [batch, kv_heads, keys, d_head], strided
@group(0) @binding(2) var<storage, read_write> v: array<f32>;    // [batch, kv_heads, keys, d_value], strided
@group(0) @binding(3) var<storage, read_write> bias: array<f32>; // [batch or 1, heads or 1, queries, keys], strided
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // [batch, queries, heads, d_value]
@group(0) @binding(5) var<uniform> params: AttentionParams;

fn bias_at(batch: u32, head: u32, query: u32, key: u32) -> f32 {
    return bias[batch * params.bias_strides.batch + head * params.bias_strides.head + query * params.bias_strides.row + key];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    attend(group, local);
}
