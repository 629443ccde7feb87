// Loading and multiplying the tiles of a 64 × 64 tile of x · Wᵀ, 32 columns (one block) per step. Both tiles are stored
// column by column, four tokens or rows per vector, so that a thread has its 64 products from four reads.
// Expects the bindings `x` and `params`, shared/tile_memory.wgsl, shared/tile_main.wgsl, `row_of` of the epilogue, and
// `weight_at` of the weight.
fn load_x(local: u32, first_token: u32, first_col: u32) {
    let k = local % STEP;
    let col = first_col + k;
    for (var four = local / STEP; four < FOURS; four += 2u) {
        let token = first_token + four * 4u;
        var values = vec4<f32>(0.0);
        // Columns past the end read as zero, so that the padding of the last block cannot reach a result.
        if (col < params.n_cols) {
            for (var i = 0u; i < 4u; i++) {
                if (token + i < params.n_tokens) {
                    values[i] = x[(token + i) * params.n_cols + col];
                }
            }
        }
        put_x(slot(k, four), values);
    }
}

// Each thread loads four columns of four rows, transposed.
fn load_w(local: u32, first_row: u32, block: u32, blocks: u32) {
    let part = local % 8u;
    for (var four = local / 8u; four < FOURS; four += 8u) {
        var rows: mat4x4<f32>;
        for (var i = 0u; i < 4u; i++) {
            let row = row_of(first_row, four, i);
            var values = vec4<f32>(0.0);
            if (row < params.n_rows) {
                values = weight_at(row, block, blocks, part);
            }
            rows[i] = values;
        }
        let columns = transpose(rows);
        for (var i = 0u; i < 4u; i++) {
            put_w(slot(part * 4u + i, four), columns[i]);
        }
    }
}

fn accumulate(local: u32) {
    let tokens = (local / 8u) * 2u;
    let rows = (local % 8u) * 2u;
    for (var k = 0u; k < STEP; k++) {
        let low = w_in(slot(k, rows));
        let high = w_in(slot(k, rows + 1u));
        let first = x_in(slot(k, tokens));
        let second = x_in(slot(k, tokens + 1u));
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
