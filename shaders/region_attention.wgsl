// Each coarse cell attends to the fine cells that it covers (TokenPacker, Li et al. 2024), read in place.
// Reference: reference::region_attention.
// One workgroup per head of a coarse cell. Workgroups are numbered over two dimensions.
//#include shared/host.wgsl
//#include shared/reduce.wgsl
struct RegionAttentionParams {
    batch: u32,
    side: u32,   // side of the fine grid
    stride: u32, // fine cells along the side of a coarse one
    groups_x: u32,
    n_heads: u32,
    d_head: u32, // at most MAX_HEAD_WIDTH
}

@group(0) @binding(0) var<storage, read_write> q: array<f32>;   // [batch, side²/stride², heads · d_head]
@group(0) @binding(1) var<storage, read_write> k: array<f32>;   // [batch, side², heads · d_head]
@group(0) @binding(2) var<storage, read_write> v: array<f32>;   // as k
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // as q
@group(0) @binding(4) var<uniform> params: RegionAttentionParams;

const LANES: u32 = 64u; // each with two columns of a head
const_assert MAX_HEAD_WIDTH == 2u * LANES;

// The index of the first column of a head of fine cell `key` of a region.
fn key_at(batch: u32, region: u32, key: u32, head: u32) -> u32 {
    let side = params.side;
    let stride = params.stride;
    let across = side / stride;
    let row = region / across * stride + key / stride;
    let column = region % across * stride + key % stride;
    return (((batch * side + row) * side + column) * params.n_heads + head) * params.d_head;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, thread: Thread) {
    let local = thread.local;
    let heads = params.n_heads;
    let d_head = params.d_head;
    let across = params.side / params.stride;
    let index = group.y * params.groups_x + group.x;
    if (index >= params.batch * across * across * heads) {
        return;
    }
    let head = index % heads;
    let region = index / heads % (across * across);
    let batch = index / heads / (across * across);
    let query = index * d_head;
    let scale = inverseSqrt(f32(d_head));
    // Online softmax over the keys. A lane has the columns `local` and `local + LANES`.
    var most = -3.0e38;
    var total = 0.0;
    var results = vec2<f32>(0.0);
    for (var key = 0u; key < params.stride * params.stride; key++) {
        let at = key_at(batch, region, key, head);
        var part = 0.0;
        var values = vec2<f32>(0.0);
        for (var i = 0u; i < 2u; i++) {
            let column = local + i * LANES;
            if (column < d_head) {
                part += q[query + column] * k[at + column];
                values[i] = v[at + column];
            }
        }
        let score = workgroup_sum(thread, part) * scale;
        let before = most;
        most = max(most, score);
        let shrink = exp(before - most);
        let weight = exp(score - most);
        total = total * shrink + weight;
        results = results * shrink + weight * values;
    }
    for (var i = 0u; i < 2u; i++) {
        let column = local + i * LANES;
        if (column < d_head) {
            out[query + column] = results[i] / total;
        }
    }
}
