// Each coarse cell attends to the fine cells that it covers (TokenPacker, Li et al. 2024), which stay where they
// lie. Reference: reference::region_attention.
// One workgroup per head of a coarse cell.
//#include shared/sum.wgsl
@group(0) @binding(0) var<storage, read_write> q: array<f32>;   // [batch, side²/stride², heads · d_head]
@group(0) @binding(1) var<storage, read_write> k: array<f32>;   // [batch, side², heads · d_head]
@group(0) @binding(2) var<storage, read_write> v: array<f32>;   // as k
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // as q
@group(0) @binding(4) var<uniform> info: array<vec4<u32>, 2>;

// info[0]: batch, side, stride, workgroups along x. info[1]: heads, d_head.
// Where the columns of a head of fine cell `key` of the region begin.
fn key_at(batch: u32, region: u32, key: u32, head: u32) -> u32 {
    let side = info[0].y;
    let stride = info[0].z;
    let across = side / stride;
    let row = region / across * stride + key / stride;
    let column = region % across * stride + key % stride;
    return (((batch * side + row) * side + column) * info[1].x + head) * info[1].y;
}

const LANES: u32 = 64u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, thread: Thread) {
    let local = thread.local;
    let heads = info[1].x;
    let d_head = info[1].y;
    let across = info[0].y / info[0].z;
    let index = group.y * info[0].w + group.x;
    if (index >= info[0].x * across * across * heads) {
        return;
    }
    let head = index % heads;
    let region = index / heads % (across * across);
    let batch = index / heads / (across * across);
    let query = index * d_head;
    let scale = inverseSqrt(f32(d_head));
    // Key after key, corrected by the largest score so far; a lane has every 64th column, two at most.
    var most = -3.0e38;
    var total = 0.0;
    var results = vec2<f32>(0.0);
    for (var key = 0u; key < info[0].z * info[0].z; key++) {
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
        let score = sum_over_lanes(thread, part) * scale;
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
