// The loop over the columns of a 64 × 64 tile of x · Wᵀ, and the stores of its results. 64 threads as 8 × 8, each with
// 8 tokens × 8 rows.
// Expects the bindings `out` and `params`; `load_x`, `load_w` and `accumulate` of a tile; `is_gated`, `index_of` and
// `finish` of the epilogue.
const TILE: u32 = 64u;
const STEP: u32 = 32u;
const FOURS: u32 = 16u; // vectors per column

var<private> sums: array<vec4<f32>, 16>; // [half, token] over four rows: eight tokens with rows 0–3, then with rows 4–7

// The index of vector `four` of column `k`, permuted within the column, so that neither threads with neighbouring columns
// nor those four columns apart access the same bank of memory.
fn slot(k: u32, four: u32) -> u32 {
    return k * FOURS + (four ^ ((k ^ (k >> 2u)) & 7u));
}

fn store(local: u32, first_token: u32, first_row: u32) {
    let rows = params.n_rows;
    for (var i = 0u; i < 16u; i++) {
        let token = first_token + (local / 8u) * 8u + i % 8u;
        for (var j = 0u; j < 4u; j++) {
            let row = first_row + (local % 8u) * 8u + (i / 8u) * 4u + j;
            if (token < params.n_tokens && row < rows) {
                out[index_of(token, row)] = finish(token, row, sums[i][j]);
            }
        }
    }
}

// The first eight vectors hold four gate rows, the others the value rows that they gate.
fn store_gated(local: u32, first_token: u32, first_row: u32) {
    let columns = params.n_rows / 2u;
    for (var i = 0u; i < 8u; i++) {
        let token = first_token + (local / 8u) * 8u + i;
        // Clamped so that `exp` stays in range; the result is zero by then.
        let results = sums[i] / (1.0 + exp(min(-sums[i], vec4<f32>(80.0)))) * sums[i + 8u];
        for (var j = 0u; j < 4u; j++) {
            let column = first_row / 2u + (local % 8u) * 4u + j;
            if (token < params.n_tokens && column < columns) {
                out[token * columns + column] = results[j];
            }
        }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let tiles_across = (params.n_rows + TILE - 1u) / TILE;
    let tiles_down = (params.n_tokens + TILE - 1u) / TILE;
    let index = group.y * params.groups_x + group.x;
    if (index >= tiles_across * tiles_down) {
        return;
    }
    let first_row = (index % tiles_across) * TILE;
    let first_token = (index / tiles_across) * TILE;
    let blocks = (params.n_cols + STEP - 1u) / STEP;
    for (var block = 0u; block < blocks; block++) {
        load_x(local, first_token, block * STEP);
        load_w(local, first_row, block, blocks);
        workgroupBarrier();
        accumulate(local);
        workgroupBarrier();
    }
    if (is_gated()) {
        store_gated(local, first_token, first_row);
    } else {
        store(local, first_token, first_row);
    }
}
