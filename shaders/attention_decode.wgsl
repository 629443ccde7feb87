// softmax(q·kᵀ·scale) · v for the few queries of a decoding step. Reference: reference::attention.
// One workgroup per query, head and part of the keys. With several parts it writes the part's largest score, the sum of
// its exponentials and its unnormalised sum of values, which `attention_combine` combines. With one part it writes the
// result.
//#include shared/host.wgsl
//#include shared/attention_params.wgsl
//#include shared/reduce.wgsl
@group(0) @binding(0) var<storage, read_write> q: array<f32>;     // [batch, heads, queries, d_head], strided
@group(0) @binding(1) var<storage, read_write> k: array<f32>;     // [batch, kv_heads, keys, d_head], strided
@group(0) @binding(2) var<storage, read_write> v: array<f32>;     // [batch, kv_heads, keys, d_value], strided
@group(0) @binding(3) var<storage, read_write> parts: array<f32>; // [batch, queries, heads, parts, 2 + d_value]
@group(0) @binding(4) var<uniform> params: AttentionParams;

const TILE: u32 = 256u; // keys of a part
const LANES: u32 = 64u;
const LOWEST: f32 = -3.0e38;

var<workgroup> query_row: array<f32, MAX_HEAD_WIDTH>;
var<workgroup> weights: array<f32, TILE>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, thread: Thread) {
    let local = thread.local;
    let n_k = params.n_k;
    let n_heads = params.n_heads;
    let d_head = params.d_head;
    let d_value = params.d_value;
    let n_parts = params.n_parts;
    let index = group.y * params.groups_x + group.x;
    if (index >= n_parts * n_heads * params.n_q * params.batch) {
        return;
    }
    let part = index % n_parts;
    let head = (index / n_parts) % n_heads;
    let query = (index / n_parts / n_heads) % params.n_q;
    let batch = index / n_parts / n_heads / params.n_q;
    let kv_head = head / params.heads_per_kv;
    let q_base = batch * params.q_strides.batch + head * params.q_strides.head + query * params.q_strides.row;
    let k_base = batch * params.k_strides.batch + kv_head * params.k_strides.head;
    let v_base = batch * params.v_strides.batch + kv_head * params.v_strides.head;
    let first = part * TILE;
    let visible = min(n_k, params.first_visible + params.visible_step * query);
    // A part may lie entirely behind the last visible key.
    let n = min(TILE, max(visible, first) - first);

    for (var i = local; i < d_head; i += LANES) {
        query_row[i] = q[q_base + i];
    }
    workgroupBarrier();
    var most = LOWEST;
    for (var key = local; key < n; key += LANES) {
        let row = k_base + (first + key) * params.k_strides.row;
        var sum = 0.0;
        for (var i = 0u; i < d_head; i++) {
            sum += query_row[i] * k[row + i];
        }
        let score = sum * params.scale;
        weights[key] = score;
        most = max(most, score);
    }
    most = workgroup_max(thread, most);
    var sum = 0.0;
    for (var key = local; key < n; key += LANES) {
        let weight = exp(weights[key] - most);
        weights[key] = weight;
        sum += weight;
    }
    // The barriers of the sum also order the writes of `weights` before their reads below.
    let total = workgroup_sum(thread, sum);
    let is_single = n_parts == 1u;
    let to = index * select(2u + d_value, d_value, is_single);
    let column = select(2u, 0u, is_single);
    if (!is_single && local == 0u) {
        parts[to] = most;
        parts[to + 1u] = total;
    }
    let share = select(1.0, 1.0 / total, is_single);
    for (var i = local; i < d_value; i += LANES) {
        var mean = 0.0;
        for (var key = 0u; key < n; key++) {
            mean += weights[key] * v[v_base + (first + key) * params.v_strides.row + i];
        }
        parts[to + column + i] = mean * share;
    }
}
