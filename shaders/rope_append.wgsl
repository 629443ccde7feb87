// Applies the rotary embedding (Su et al. 2021, in Hugging Face's half layout) to queries and keys and appends keys and
// values to the cache in place. Reference: reference::rope.
// One thread per pair of a head's columns. Workgroups are numbered over two dimensions.
struct RopeAppendParams {
    batch: u32,
    n_tokens: u32,
    n_heads: u32,
    groups_x: u32,
    n_kv_heads: u32,
    half_head: u32, // d_head / 2
    capacity: u32,  // positions of the cache
    start: u32,     // position of the first token
}

@group(0) @binding(0) var<storage, read_write> qkv: array<f32>;    // [batch, tokens, heads + 2 · kv_heads, d_head]
@group(0) @binding(1) var<storage, read_write> angles: array<f32>; // [positions, d_head]: cosines, then sines
@group(0) @binding(2) var<storage, read_write> keys: array<f32>;   // [batch, kv_heads, capacity, d_head]
@group(0) @binding(3) var<storage, read_write> values: array<f32>; // as keys
@group(0) @binding(4) var<storage, read_write> out: array<f32>;    // [batch, tokens, heads, d_head]
@group(0) @binding(5) var<uniform> params: RopeAppendParams;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let tokens = params.n_tokens;
    let heads = params.n_heads;
    let kv_heads = params.n_kv_heads;
    let half = params.half_head;
    let all = heads + 2u * kv_heads;
    let index = (group.y * params.groups_x + group.x) * 64u + local;
    if (index >= params.batch * tokens * all * half) {
        return;
    }
    let i = index % half;
    let head = (index / half) % all;
    let token = (index / half / all) % tokens;
    let batch = index / half / all / tokens;
    let position = params.start + token;
    let cosine = angles[position * 2u * half + i];
    let sine = angles[position * 2u * half + half + i];
    let at = ((batch * tokens + token) * all + head) * 2u * half + i;
    let low = qkv[at];
    let high = qkv[at + half];
    if (head < heads) {
        let to = ((batch * tokens + token) * heads + head) * 2u * half + i;
        out[to] = low * cosine - high * sine;
        out[to + half] = high * cosine + low * sine;
        return;
    }
    let kv = (head - heads) % kv_heads;
    let to = ((batch * kv_heads + kv) * params.capacity + position) * 2u * half + i;
    if (head < heads + kv_heads) {
        keys[to] = low * cosine - high * sine;
        keys[to + half] = high * cosine + low * sine;
    } else {
        values[to] = low;
        values[to + half] = high;
    }
}
