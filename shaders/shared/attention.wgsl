// softmax(q·kᵀ·scale + bias) · v for one tile of queries, key tile after key tile, so that no score
// leaves the workgroup (Milakov & Gimelshein 2018; Dao et al. 2022).
// 64 threads as 8×8: each has the scores of 4 queries and 4 keys, then 4 queries and 4 columns of each
// chunk of the result. The largest score so far is known to all eight threads of a query, what a thread has summed of
// its exponentials only to itself until the end.
// Expects the bindings `q`, `k`, `v`, `out`, `info`, and `bias_at`.
const TILE: u32 = 32u;   // queries, and keys at a time
const CHUNK: u32 = 32u;  // columns of the heads at a time
const CHUNKS: u32 = 4u;  // of a value; the build script sets it
const FOURS: u32 = 8u;   // vectors of a tile's side, or of a chunk
const LOWEST: f32 = -3.0e38;

var<workgroup> left: array<vec4<f32>, 256>;    // of four queries, [CHUNK, FOURS]
var<workgroup> right: array<vec4<f32>, 256>;   // of four keys, [CHUNK, FOURS]; or of four columns, [TILE, FOURS]
var<workgroup> weights: array<vec4<f32>, 256>; // exponentials of four queries' scores, [TILE, FOURS]
var<workgroup> shares: array<vec4<f32>, 64>;   // what each thread has of four queries' largest scores, or sums
var<private> scores: array<vec4<f32>, 4>;      // of four queries, for each of four keys
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

// Where the vector `four` of row `k` lies: turned around within the row, so that neither threads with rows side by side
// nor those four apart meet in a bank of memory.
fn slot(k: u32, four: u32) -> u32 {
    return k * FOURS + (four ^ ((k ^ (k >> 2u)) & 7u));
}

// Queries `first`… in columns `column`…: zero outside.
fn load_left(local: u32, base: u32, first: u32, column: u32) {
    let at = column + local % CHUNK;
    for (var four = local / CHUNK; four < FOURS; four += 2u) {
        var values = vec4<f32>(0.0);
        if (at < d_head()) {
            for (var i = 0u; i < 4u; i++) {
                let row = first + four * 4u + i;
                if (row < n_q()) {
                    values[i] = q[base + row * info[3].z + at];
                }
            }
        }
        left[slot(local % CHUNK, four)] = values;
    }
}

// Behind the first `seen` keys memory may hold anything.
fn load_keys(local: u32, base: u32, first: u32, column: u32, seen: u32) {
    let at = column + local % CHUNK;
    for (var four = local / CHUNK; four < FOURS; four += 2u) {
        var values = vec4<f32>(0.0);
        if (at < d_head()) {
            for (var i = 0u; i < 4u; i++) {
                let row = first + four * 4u + i;
                if (row < seen) {
                    values[i] = k[base + row * info[4].z + at];
                }
            }
        }
        right[slot(local % CHUNK, four)] = values;
    }
}

fn load_values(local: u32, base: u32, first: u32, column: u32, seen: u32) {
    let at = column + local % FOURS * 4u;
    for (var key = local / FOURS; key < TILE; key += FOURS) {
        var values = vec4<f32>(0.0);
        if (first + key < seen) {
            let row = base + (first + key) * info[5].z;
            for (var i = 0u; i < 4u; i++) {
                if (at + i < d_value()) {
                    values[i] = v[row + at + i];
                }
            }
        }
        right[slot(key, local % FOURS)] = values;
    }
}

// Adds the columns of a chunk to the scores of four queries and four keys.
fn multiply(queries: u32, keys: u32) {
    var first = scores[0];
    var second = scores[1];
    var third = scores[2];
    var fourth = scores[3];
    for (var c = 0u; c < CHUNK; c++) {
        let of_queries = left[slot(c, queries)];
        let of_keys = right[slot(c, keys)];
        first += of_queries * of_keys.x;
        second += of_queries * of_keys.y;
        third += of_queries * of_keys.z;
        fourth += of_queries * of_keys.w;
    }
    scores[0] = first;
    scores[1] = second;
    scores[2] = third;
    scores[3] = fourth;
}

// Adds the values of a tile, four columns of a chunk, to what four queries have of them.
fn add_values(queries: u32, columns: u32, chunk: u32, shrink: vec4<f32>) {
    var first = sums[chunk * 4u] * shrink.x;
    var second = sums[chunk * 4u + 1u] * shrink.y;
    var third = sums[chunk * 4u + 2u] * shrink.z;
    var fourth = sums[chunk * 4u + 3u] * shrink.w;
    for (var key = 0u; key < TILE; key++) {
        let values = right[slot(key, columns)];
        let weight = weights[slot(key, queries)];
        first += weight.x * values;
        second += weight.y * values;
        third += weight.z * values;
        fourth += weight.w * values;
    }
    sums[chunk * 4u] = first;
    sums[chunk * 4u + 1u] = second;
    sums[chunk * 4u + 2u] = third;
    sums[chunk * 4u + 3u] = fourth;
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
    let queries = local / FOURS; // of the tile, this thread's four
    let fours = local % FOURS;   // four keys of the tile, or four columns of a chunk
    let query = first_query + queries * 4u;

    var largest = vec4<f32>(LOWEST); // score of each query so far
    var total = vec4<f32>(0.0);      // sum of this thread's exponentials
    let is_one_chunk = d_head() <= CHUNK;
    if (is_one_chunk) {
        load_left(local, q_base, first_query, 0u);
    }
    let seen = visible(min(first_query + TILE, n_q()) - 1u);
    for (var first_key = 0u; first_key < seen; first_key += TILE) {
        for (var i = 0u; i < 4u; i++) {
            scores[i] = vec4<f32>(0.0);
        }
        for (var c = 0u; c < d_head(); c += CHUNK) {
            workgroupBarrier();
            if (!is_one_chunk) {
                load_left(local, q_base, first_query, c);
            }
            load_keys(local, k_base, first_key, c, seen);
            workgroupBarrier();
            multiply(queries, fours);
        }
        var most = vec4<f32>(LOWEST);
        for (var j = 0u; j < 4u; j++) {
            let key = first_key + fours * 4u + j;
            var score = vec4<f32>(LOWEST);
            for (var i = 0u; i < 4u; i++) {
                let at = query + i;
                if (at < n_q() && key < visible(at)) {
                    score[i] = scores[j][i] * bitcast<f32>(info[1].w) + bias_at(batch, head, at, key);
                }
            }
            scores[j] = score;
            most = max(most, score);
        }
        shares[slot(queries, fours)] = most;
        workgroupBarrier();
        most = largest;
        for (var i = 0u; i < FOURS; i++) {
            most = max(most, shares[slot(queries, i)]);
        }
        let shrink = exp(largest - most);
        largest = most;
        total *= shrink;
        for (var j = 0u; j < 4u; j++) {
            // A tile without a visible key has nothing but LOWEST, also as its largest.
            let is_seen = scores[j] > vec4<f32>(LOWEST);
            let weight = select(vec4<f32>(0.0), exp(scores[j] - most), is_seen);
            weights[slot(fours * 4u + j, queries)] = weight;
            total += weight;
        }
        for (var chunk = 0u; chunk < CHUNKS; chunk++) {
            if (chunk > 0u) {
                workgroupBarrier();
            }
            load_values(local, v_base, first_key, chunk * CHUNK, seen);
            workgroupBarrier();
            add_values(queries, fours, chunk, shrink);
        }
    }
    workgroupBarrier();
    shares[slot(queries, fours)] = total;
    workgroupBarrier();
    total = vec4<f32>(0.0);
    for (var i = 0u; i < FOURS; i++) {
        total += shares[slot(queries, i)];
    }
    for (var i = 0u; i < 4u; i++) {
        let at = query + i;
        let to = ((batch * n_q() + at) * n_heads() + head) * d_value();
        for (var c = 0u; c < CHUNKS; c++) {
            let mean = sums[c * 4u + i] / total[i];
            for (var j = 0u; j < 4u; j++) {
                let col = c * CHUNK + fours * 4u + j;
                if (at < n_q() && col < d_value()) {
                    out[to + col] = mean[j];
                }
            }
        }
    }
}
