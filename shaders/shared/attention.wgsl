// softmax(q·kᵀ·scale + bias) · v for one tile of queries, one tile of keys after the other, so that no score leaves the
// workgroup (Milakov & Gimelshein 2018; Dao et al. 2022).
// 64 threads as 8 × 8. Each computes the scores of 4 queries and 4 keys, then 4 queries and 4 columns of each chunk of the
// result. All eight threads of a query know its largest score so far; the sum of exponentials stays per thread until the end.
// Expects shared/attention_params.wgsl, the bindings `q`, `k`, `v`, `out` and `params`, and `bias_at`.
const TILE: u32 = 32u;   // queries, and keys at a time
const CHUNK: u32 = 32u;  // columns of the heads at a time
const CHUNKS: u32 = 4u;  // of a value; set by the build script
const FOURS: u32 = 8u;   // vectors of a tile's side, or of a chunk
const LOWEST: f32 = -3.0e38;

var<workgroup> query_tile: array<vec4<f32>, 256>; // four queries each, [CHUNK, FOURS]
var<workgroup> kv_tile: array<vec4<f32>, 256>;    // four keys each, [CHUNK, FOURS]; or four columns of values, [TILE, FOURS]
var<workgroup> weights: array<vec4<f32>, 256>;    // exponentials of four queries' scores, [TILE, FOURS]
var<workgroup> partials: array<vec4<f32>, 64>;    // per thread, of four queries: largest scores, or sums
var<private> scores: array<vec4<f32>, 4>;         // of four queries, for each of four keys
var<private> sums: array<vec4<f32>, 4 * CHUNKS>;  // [chunk, query] over columns

// The number of keys that a query sees.
fn visible_keys(query: u32) -> u32 {
    return min(params.n_k, params.first_visible + params.visible_step * query);
}

// The index of vector `four` of row `k`, permuted within the row, so that neither threads with neighbouring rows nor those
// four rows apart access the same bank of memory.
fn slot(k: u32, four: u32) -> u32 {
    return k * FOURS + (four ^ ((k ^ (k >> 2u)) & 7u));
}

// Loads the tile of queries from `first` on, columns from `column` on; zero outside.
fn load_queries(local: u32, base: u32, first: u32, column: u32) {
    let at = column + local % CHUNK;
    for (var four = local / CHUNK; four < FOURS; four += 2u) {
        var values = vec4<f32>(0.0);
        if (at < params.d_head) {
            for (var i = 0u; i < 4u; i++) {
                let row = first + four * 4u + i;
                if (row < params.n_q) {
                    values[i] = q[base + row * params.q_strides.row + at];
                }
            }
        }
        query_tile[slot(local % CHUNK, four)] = values;
    }
}

// Keys past the first `n_visible` are never read: the cache holds no values there.
fn load_keys(local: u32, base: u32, first: u32, column: u32, n_visible: u32) {
    let at = column + local % CHUNK;
    for (var four = local / CHUNK; four < FOURS; four += 2u) {
        var values = vec4<f32>(0.0);
        if (at < params.d_head) {
            for (var i = 0u; i < 4u; i++) {
                let row = first + four * 4u + i;
                if (row < n_visible) {
                    values[i] = k[base + row * params.k_strides.row + at];
                }
            }
        }
        kv_tile[slot(local % CHUNK, four)] = values;
    }
}

fn load_values(local: u32, base: u32, first: u32, column: u32, n_visible: u32) {
    let at = column + local % FOURS * 4u;
    for (var key = local / FOURS; key < TILE; key += FOURS) {
        var values = vec4<f32>(0.0);
        if (first + key < n_visible) {
            let row = base + (first + key) * params.v_strides.row;
            for (var i = 0u; i < 4u; i++) {
                if (at + i < params.d_value) {
                    values[i] = v[row + at + i];
                }
            }
        }
        kv_tile[slot(key, local % FOURS)] = values;
    }
}

// Adds the products over the columns of a chunk to the scores of four queries and four keys.
fn add_scores(queries: u32, keys: u32) {
    var first = scores[0];
    var second = scores[1];
    var third = scores[2];
    var fourth = scores[3];
    for (var c = 0u; c < CHUNK; c++) {
        let of_queries = query_tile[slot(c, queries)];
        let of_keys = kv_tile[slot(c, keys)];
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

// Rescales the sums of four queries over four columns of a chunk and adds the weighted values of a tile.
fn add_values(queries: u32, columns: u32, chunk: u32, shrink: vec4<f32>) {
    var first = sums[chunk * 4u] * shrink.x;
    var second = sums[chunk * 4u + 1u] * shrink.y;
    var third = sums[chunk * 4u + 2u] * shrink.z;
    var fourth = sums[chunk * 4u + 3u] * shrink.w;
    for (var key = 0u; key < TILE; key++) {
        let values = kv_tile[slot(key, columns)];
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
    let tiles = (params.n_q + TILE - 1u) / TILE;
    let index = group.y * params.groups_x + group.x;
    if (index >= tiles * params.n_heads * params.batch) {
        return;
    }
    let first_query = (index % tiles) * TILE;
    let head = (index / tiles) % params.n_heads;
    let batch = index / tiles / params.n_heads;
    let kv_head = head / params.heads_per_kv;
    let q_base = batch * params.q_strides.batch + head * params.q_strides.head;
    let k_base = batch * params.k_strides.batch + kv_head * params.k_strides.head;
    let v_base = batch * params.v_strides.batch + kv_head * params.v_strides.head;
    let queries = local / FOURS; // of the tile, this thread's four
    let fours = local % FOURS;   // four keys of the tile, or four columns of a chunk
    let query = first_query + queries * 4u;

    var largest = vec4<f32>(LOWEST); // score of each query so far
    var total = vec4<f32>(0.0);      // sum of this thread's exponentials
    let is_one_chunk = params.d_head <= CHUNK;
    if (is_one_chunk) {
        load_queries(local, q_base, first_query, 0u);
    }
    let n_visible = visible_keys(min(first_query + TILE, params.n_q) - 1u);
    for (var first_key = 0u; first_key < n_visible; first_key += TILE) {
        for (var i = 0u; i < 4u; i++) {
            scores[i] = vec4<f32>(0.0);
        }
        for (var c = 0u; c < params.d_head; c += CHUNK) {
            workgroupBarrier();
            if (!is_one_chunk) {
                load_queries(local, q_base, first_query, c);
            }
            load_keys(local, k_base, first_key, c, n_visible);
            workgroupBarrier();
            add_scores(queries, fours);
        }
        var largest_now = vec4<f32>(LOWEST);
        for (var j = 0u; j < 4u; j++) {
            let key = first_key + fours * 4u + j;
            var score = vec4<f32>(LOWEST);
            for (var i = 0u; i < 4u; i++) {
                let at = query + i;
                if (at < params.n_q && key < visible_keys(at)) {
                    score[i] = scores[j][i] * params.scale + bias_at(batch, head, at, key);
                }
            }
            scores[j] = score;
            largest_now = max(largest_now, score);
        }
        partials[slot(queries, fours)] = largest_now;
        workgroupBarrier();
        largest_now = largest;
        for (var i = 0u; i < FOURS; i++) {
            largest_now = max(largest_now, partials[slot(queries, i)]);
        }
        let shrink = exp(largest - largest_now);
        largest = largest_now;
        total *= shrink;
        for (var j = 0u; j < 4u; j++) {
            // In a tile without a visible key even the largest score is LOWEST.
            let is_visible = scores[j] > vec4<f32>(LOWEST);
            let weight = select(vec4<f32>(0.0), exp(scores[j] - largest_now), is_visible);
            weights[slot(fours * 4u + j, queries)] = weight;
            total += weight;
        }
        for (var chunk = 0u; chunk < CHUNKS; chunk++) {
            if (chunk > 0u) {
                workgroupBarrier();
            }
            load_values(local, v_base, first_key, chunk * CHUNK, n_visible);
            workgroupBarrier();
            add_values(queries, fours, chunk, shrink);
        }
    }
    workgroupBarrier();
    partials[slot(queries, fours)] = total;
    workgroupBarrier();
    total = vec4<f32>(0.0);
    for (var i = 0u; i < FOURS; i++) {
        total += partials[slot(queries, i)];
    }
    for (var i = 0u; i < 4u; i++) {
        let at = query + i;
        let to = ((batch * params.n_q + at) * params.n_heads + head) * params.d_value;
        for (var c = 0u; c < CHUNKS; c++) {
            let mean = sums[c * 4u + i] / total[i];
            for (var j = 0u; j < 4u; j++) {
                let col = c * CHUNK + fours * 4u + j;
                if (at < params.n_q && col < params.d_value) {
                    out[to + col] = mean[j];
                }
            }
        }
    }
}
