// Turns queries and keys by their positions (Su et al. 2021, in Hugging Face's half layout) and appends
// keys and values to the cache, in place. Reference: reference::rope.
// One thread per pair of a head's columns; the workgroups are numbered over two dimensions.
@group(0) @binding(0) var<storage, read_write> qkv: array<f32>;    // [batch, tokens, heads + 2 · kv_heads, d_head]
@group(0) @binding(1) var<storage, read_write> angles: array<f32>; // [positions, d_head]: cosines, then sines
@group(0) @binding(2) var<storage, read_write> keys: array<f32>;   // [batch, kv_heads, capacity, d_head]
@group(0) @binding(3) var<storage, read_write> values: array<f32>; // as keys
@group(0) @binding(4) var<storage, read_write> out: array<f32>;    // [batch, tokens, heads, d_head]
@group(0) @binding(5) var<uniform> info: array<vec4<u32>, 2>;

// info[0]: batch, tokens, heads, workgroups along x.
// info[1]: kv_heads, d_head / 2, capacity, position of the first token.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let tokens = info[0].y;
    let heads = info[0].z;
    let kv_heads = info[1].x;
    let half = info[1].y;
    let all = heads + 2u * kv_heads;
    let index = (group.y * info[0].w + group.x) * 64u + local;
    if (index >= info[0].x * tokens * all * half) {
        return;
    }
    let i = index % half;
    let head = (index / half) % all;
    let token = (index / half / all) % tokens;
    let batch = index / half / all / tokens;
    let position = info[1].w + token;
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
    let to = ((batch * kv_heads + kv) * info[1].z + position) * 2u * half + i;
    if (head < heads + kv_heads) {
        keys[to] = low * cosine - high * sine;
        keys[to + half] = high * cosine + low * sine;
    } else {
        values[to] = low;
        values[to + half] = high;
    }
}
