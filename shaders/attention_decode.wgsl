// softmax(q·kᵀ·scale) · v for few queries over many keys: a decoding step. Reference: reference::attention.
// One workgroup per query, head and part of the keys. It leaves the part's largest score, the sum of its
// exponentials, and its weighted sum of values, which `attention_combine` brings together; or the result,
// where there is one part only.
//#include shared/sum.wgsl
@group(0) @binding(0) var<storage, read_write> q: array<f32>;     // [batch, heads, queries, d_head], strided
@group(0) @binding(1) var<storage, read_write> k: array<f32>;     // [batch, kv_heads, keys, d_head], strided
@group(0) @binding(2) var<storage, read_write> v: array<f32>;     // [batch, kv_heads, keys, d_value], strided
@group(0) @binding(3) var<storage, read_write> parts: array<f32>; // [batch, queries, heads, parts, 2 + d_value]
@group(0) @binding(4) var<uniform> info: array<vec4<u32>, 8>;

const TILE: u32 = 256u; // keys of a part
const LANES: u32 = 64u;
const LOWEST: f32 = -3.0e38;

var<workgroup> query_row: array<f32, 128>;
var<workgroup> weights: array<f32, TILE>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, thread: Thread) {
    let local = thread.local;
    let n_k = info[0].y;
    let n_heads = info[0].z;
    let d_head = info[1].x;
    let d_value = info[1].y;
    let n_parts = info[2].w;
    let index = group.y * info[0].w + group.x;
    if (index >= n_parts * n_heads * info[0].x * info[2].z) {
        return;
    }
    let part = index % n_parts;
    let head = (index / n_parts) % n_heads;
    let query = (index / n_parts / n_heads) % info[0].x;
    let batch = index / n_parts / n_heads / info[0].x;
    let kv_head = head / info[1].z;
    let q_base = batch * info[3].x + head * info[3].y + query * info[3].z;
    let k_base = batch * info[4].x + kv_head * info[4].y;
    let v_base = batch * info[5].x + kv_head * info[5].y;
    let first = part * TILE;
    let seen = min(n_k, info[2].x + info[2].y * query);
    // A part may lie behind what the query sees.
    let n = min(TILE, max(seen, first) - first);

    for (var i = local; i < d_head; i += LANES) {
        query_row[i] = q[q_base + i];
    }
    workgroupBarrier();
    var most = LOWEST;
    for (var key = local; key < n; key += LANES) {
        let row = k_base + (first + key) * info[4].z;
        var sum = 0.0;
        for (var i = 0u; i < d_head; i++) {
            sum += query_row[i] * k[row + i];
        }
        let score = sum * bitcast<f32>(info[1].w);
        weights[key] = score;
        most = max(most, score);
    }
    most = most_of_lanes(thread, most);
    var sum = 0.0;
    for (var key = local; key < n; key += LANES) {
        let weight = exp(weights[key] - most);
        weights[key] = weight;
        sum += weight;
    }
    // The barriers of the sum are those of the weights, too.
    let total = sum_over_lanes(thread, sum);
    // All keys in one part: that is the result.
    let is_all = n_parts == 1u;
    let to = index * select(2u + d_value, d_value, is_all);
    let column = select(2u, 0u, is_all);
    if (!is_all && local == 0u) {
        parts[to] = most;
        parts[to + 1u] = total;
    }
    let share = select(1.0, 1.0 / total, is_all);
    for (var i = local; i < d_value; i += LANES) {
        var mean = 0.0;
        for (var key = 0u; key < n; key++) {
            mean += weights[key] * v[v_base + (first + key) * info[5].z + i];
        }
        parts[to + column + i] = mean * share;
    }
}
