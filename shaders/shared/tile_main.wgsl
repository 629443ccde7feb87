// Tile after tile along the columns, and its results.
// Expects the bindings `out` and `info`, `load_x`, `load_w` and `accumulate` of a tile, `is_gated`, `place` and `finish` of
// the end. 64 threads as 8×8, each with 8 tokens × 8 rows.
// info[0]: tokens, rows, cols, workgroups along x. info[1]: what the end needs.
const TILE: u32 = 64u;
const STEP: u32 = 32u;
const FOURS: u32 = 16u; // vectors of a column

var<private> sums: array<vec4<f32>, 16>; // over four rows, for each of eight tokens; then four more rows

// Where the vector `four` of column `k` lies: turned around within the column, so that neither threads with
// columns side by side nor those four apart meet in a bank of memory.
fn slot(k: u32, four: u32) -> u32 {
    return k * FOURS + (four ^ ((k ^ (k >> 2u)) & 7u));
}

fn store(local: u32, first_token: u32, first_row: u32) {
    let rows = info[0].y;
    for (var i = 0u; i < 16u; i++) {
        let token = first_token + (local / 8u) * 8u + i % 8u;
        for (var j = 0u; j < 4u; j++) {
            let row = first_row + (local % 8u) * 8u + (i / 8u) * 4u + j;
            if (token < info[0].x && row < rows) {
                out[place(token, row)] = finish(token, row, sums[i][j]);
            }
        }
    }
}

// Of four gates, in the first eight vectors, and what they gate, in the others.
fn store_gated(local: u32, first_token: u32, first_row: u32) {
    let columns = info[0].y / 2u;
    for (var i = 0u; i < 8u; i++) {
        let token = first_token + (local / 8u) * 8u + i;
        // A larger power would leave the range of f32; the result is zero by then.
        let results = sums[i] / (1.0 + exp(min(-sums[i], vec4<f32>(80.0)))) * sums[i + 8u];
        for (var j = 0u; j < 4u; j++) {
            let column = first_row / 2u + (local % 8u) * 4u + j;
            if (token < info[0].x && column < columns) {
                out[token * columns + column] = results[j];
            }
        }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let tiles_across = (info[0].y + TILE - 1u) / TILE;
    let tiles_down = (info[0].x + TILE - 1u) / TILE;
    let index = group.y * info[0].w + group.x;
    if (index >= tiles_across * tiles_down) {
        return;
    }
    let first_row = (index % tiles_across) * TILE;
    let first_token = (index / tiles_across) * TILE;
    let blocks = (info[0].z + STEP - 1u) / STEP;
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
