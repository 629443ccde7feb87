// One 64×64 tile of x · Wᵀ: 64 threads as 8×8, each with 8 tokens × 8 rows in registers, 32 columns (one
// block) a step. Both halves are stored column by column, four tokens or rows to a vector, so that a thread
// has its 64 products from four reads. 2 × 8 KiB is the default limit of WebGPU exactly.
// Expects the bindings `x`, `out` and `info`, `weight_at`, and `place` and `finish` of the end.
// info[0]: tokens, rows, cols, workgroups along x. info[1]: what the end needs.
const TILE: u32 = 64u;
const STEP: u32 = 32u;
const FOURS: u32 = 16u; // vectors of a column

var<workgroup> x_tile: array<vec4<f32>, 512>; // [STEP, FOURS]
var<workgroup> w_tile: array<vec4<f32>, 512>; // [STEP, FOURS]
var<private> sums: array<vec4<f32>, 16>;      // over four rows, for each of eight tokens; then four more rows

// Where the vector `four` of column `k` lies: turned around within the column, so that neither threads with
// columns side by side nor those four apart meet in a bank of memory.
fn slot(k: u32, four: u32) -> u32 {
    return k * FOURS + (four ^ ((k ^ (k >> 2u)) & 7u));
}

fn load_x(local: u32, first_token: u32, first_col: u32) {
    let k = local % STEP;
    let col = first_col + k;
    for (var four = local / STEP; four < FOURS; four += 2u) {
        let token = first_token + four * 4u;
        var values = vec4<f32>(0.0);
        // Columns past the end read as zero: whatever the padding of the last block holds cannot reach a
        // result.
        if (col < info[0].z) {
            for (var i = 0u; i < 4u; i++) {
                if (token + i < info[0].x) {
                    values[i] = x[(token + i) * info[0].z + col];
                }
            }
        }
        x_tile[slot(k, four)] = values;
    }
}

// Four columns of four rows a thread, turned around.
fn load_w(local: u32, first_row: u32, block: u32, blocks: u32) {
    let part = local % 8u;
    for (var four = local / 8u; four < FOURS; four += 8u) {
        var rows: mat4x4<f32>;
        for (var i = 0u; i < 4u; i++) {
            let row = first_row + four * 4u + i;
            var values = vec4<f32>(0.0);
            if (row < info[0].y) {
                values = weight_at(row, block, blocks, part);
            }
            rows[i] = values;
        }
        let columns = transpose(rows);
        for (var i = 0u; i < 4u; i++) {
            w_tile[slot(part * 4u + i, four)] = columns[i];
        }
    }
}

fn accumulate(local: u32) {
    let tokens = (local / 8u) * 2u;
    let rows = (local % 8u) * 2u;
    for (var k = 0u; k < STEP; k++) {
        let low = w_tile[slot(k, rows)];
        let high = w_tile[slot(k, rows + 1u)];
        let first = x_tile[slot(k, tokens)];
        let second = x_tile[slot(k, tokens + 1u)];
        sums[0] += first.x * low;
        sums[1] += first.y * low;
        sums[2] += first.z * low;
        sums[3] += first.w * low;
        sums[4] += second.x * low;
        sums[5] += second.y * low;
        sums[6] += second.z * low;
        sums[7] += second.w * low;
        sums[8] += first.x * high;
        sums[9] += first.y * high;
        sums[10] += first.z * high;
        sums[11] += first.w * high;
        sums[12] += second.x * high;
        sums[13] += second.y * high;
        sums[14] += second.z * high;
        sums[15] += second.w * high;
    }
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
    store(local, first_token, first_row);
}
