// softmax(q·kᵀ·scale + bias) · v for one tile of queries, key tile after key tile, so that no score
// leaves the workgroup (Milakov & Gimelshein 2018; Dao et al. 2022).
// 64 threads as 8×8: each has the scores of 4 queries and 4 keys, then 4 queries and 4 columns of each
// chunk of the result.
// Expects the bindings `q`, `k`, `v`, `out`, `info`, and `bias_at`.
const TILE: u32 = 32u;   // queries, and keys at a time
const CHUNK: u32 = 32u;  // columns of the heads at a time
const CHUNKS: u32 = 4u;  // of a value; the build script sets it
const LOWEST: f32 = -3.0e38;

var<workgroup> left: array<f32, 1024>;    // queries, [CHUNK, TILE]
var<workgroup> right: array<f32, 1024>;   // keys, [CHUNK, TILE], or values, [TILE, CHUNK]
var<workgroup> weights: array<f32, 1024>; // scores, then their exponentials, [keys, queries]
var<workgroup> largest: array<f32, TILE>; // score of each query so far
var<workgroup> total: array<f32, TILE>;   // sum of its exponentials
var<workgroup> shrink: array<f32, TILE>;  // factor for what was summed before this tile
var<private> scores: array<vec4<f32>, 4>; // of a query, over keys
var<private> sums: array<vec4<f32>, 4 * CHUNKS>; // [chunk, query] over columns

// Words of `info`, see `crates/vmad-kernels/src/gpu/attention.rs`.
fn n_q() -> u32 { return info[0].x; }
fn n_k() -> u32 { return info[0].y; }
fn n_heads() -> u32 { return info[0].z; }
fn d_head() -> u32 { return info[1].x; }
fn d_value() -> u32 { return info[1].y; }

// Keys that a query sees: `start` of them, and `step` more for each query before it.
fn visible(query: u32) -> u32 {
    return min(n_k(), info[2].x + info[2].y * query);
}

// Queries `first`… in columns `column`…, one below the other: zero outside.
fn load_left(local: u32, base: u32, first: u32, column: u32) {
    for (var i = local; i < TILE * CHUNK; i += 64u) {
        let row = first + i / CHUNK;
        let at = column + i % CHUNK;
        var value = 0.0;
        if (row < n_q() && at < d_head()) {
            value = q[base + row * info[3].z + at];
        }
        left[(i % CHUNK) * TILE + i / CHUNK] = value;
    }
}

// Behind the first `seen` keys memory may hold anything.
fn load_keys(local: u32, base: u32, first: u32, column: u32, seen: u32) {
    for (var i = local; i < TILE * CHUNK; i += 64u) {
        let row = first + i / CHUNK;
        let at = column + i % CHUNK;
        var value = 0.0;
        if (row < seen && at < d_head()) {
            value = k[base + row * info[4].z + at];
        }
        right[(i % CHUNK) * TILE + i / CHUNK] = value;
    }
}

fn load_values(local: u32, base: u32, first: u32, column: u32, seen: u32) {
    for (var i = local; i < TILE * CHUNK; i += 64u) {
        let row = first + i / CHUNK;
        let at = column + i % CHUNK;
        var value = 0.0;
        if (row < seen && at < d_value()) {
            value = v[base + row * info[5].z + at];
        }
        right[i] = value;
    }
}

fn four(tile: u32) -> vec4<f32> {
    return vec4<f32>(right[tile], right[tile + 1u], right[tile + 2u], right[tile + 3u]);
}

// The scores of the tile in `scores`.
fn multiply(query: u32, key: u32) {
    for (var c = 0u; c < CHUNK; c++) {
        let keys = four(c * TILE + key);
        for (var i = 0u; i < 4u; i++) {
            scores[i] += left[c * TILE + query + i] * keys;
        }
    }
}

// Largest score, exponentials and their sum, for one query of the tile.
fn normalise(query: u32) {
    let before = largest[query];
    var most = before;
    for (var key = 0u; key < TILE; key++) {
        most = max(most, weights[key * TILE + query]);
    }
    var sum = 0.0;
    for (var key = 0u; key < TILE; key++) {
        let at = key * TILE + query;
        // A tile without a visible key has nothing but LOWEST, also as its largest.
        let weight = select(exp(weights[at] - most), 0.0, weights[at] <= LOWEST);
        weights[at] = weight;
        sum += weight;
    }
    let factor = exp(before - most);
    total[query] = total[query] * factor + sum;
    largest[query] = most;
    shrink[query] = factor;
}

fn attend(group: vec3<u32>, local: u32) {
    let tiles = (n_q() + TILE - 1u) / TILE;
    let index = group.y * info[0].w + group.x;
    if (index >= tiles * n_heads() * info[2].z) {
        return;
    }
    let first_query = (index % tiles) * TILE;
    let head = (index / tiles) % n_heads();
    let batch = index / tiles / n_heads();
    let kv_head = head / info[1].z;
    let q_base = batch * info[3].x + head * info[3].y;
    let k_base = batch * info[4].x + kv_head * info[4].y;
    let v_base = batch * info[5].x + kv_head * info[5].y;
    let query = (local / 8u) * 4u;  // of the tile, this thread's first
    let column = (local % 8u) * 4u; // key of the tile, or column of a chunk

    if (local < TILE) {
        largest[local] = LOWEST;
        total[local] = 0.0;
    }
    let seen = visible(min(first_query + TILE, n_q()) - 1u);
    for (var first_key = 0u; first_key < seen; first_key += TILE) {
        for (var i = 0u; i < 4u; i++) {
            scores[i] = vec4<f32>(0.0);
        }
        for (var c = 0u; c < d_head(); c += CHUNK) {
            workgroupBarrier();
            load_left(local, q_base, first_query, c);
            load_keys(local, k_base, first_key, c, seen);
            workgroupBarrier();
            multiply(query, column);
        }
        for (var i = 0u; i < 4u; i++) {
            let at = first_query + query + i;
            for (var j = 0u; j < 4u; j++) {
                let key = first_key + column + j;
                var score = LOWEST;
                if (at < n_q() && key < visible(at)) {
                    score = scores[i][j] * bitcast<f32>(info[1].w) + bias_at(batch, head, at, key);
                }
                weights[(column + j) * TILE + query + i] = score;
            }
        }
        workgroupBarrier();
        if (local < TILE) {
            normalise(local);
        }
        workgroupBarrier();
        for (var c = 0u; c < CHUNKS; c++) {
            for (var i = 0u; i < 4u; i++) {
                sums[c * 4u + i] *= shrink[query + i];
            }
            load_values(local, v_base, first_key, c * CHUNK, seen);
            workgroupBarrier();
            for (var key = 0u; key < TILE; key++) {
                let values = four(key * CHUNK + column);
                for (var i = 0u; i < 4u; i++) {
                    sums[c * 4u + i] += weights[key * TILE + query + i] * values;
                }
            }
            workgroupBarrier();
        }
    }
    for (var i = 0u; i < 4u; i++) {
        let at = first_query + query + i;
        let to = ((batch * n_q() + at) * n_heads() + head) * d_value();
        for (var c = 0u; c < CHUNKS; c++) {
            let mean = sums[c * 4u + i] / total[query + i];
            for (var j = 0u; j < 4u; j++) {
                let col = c * CHUNK + column + j;
                if (at < n_q() && col < d_value()) {
                    out[to + col] = mean[j];
                }
            }
        }
    }
}
