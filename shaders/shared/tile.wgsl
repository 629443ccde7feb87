// One 64×64 tile of x · Wᵀ: 256 threads as 16×16, each with 4×4 results in registers, 32 columns
// (one block) a step. Both halves are stored column-major, so that a thread reads its four rows and
// its four tokens from neighbouring addresses. 2 × 8 KiB is the default limit of WebGPU exactly.
// Expects the bindings `x`, `out` and `info`.
const TILE: u32 = 64u;
const STEP: u32 = 32u;

var<workgroup> x_tile: array<f32, 2048>; // [STEP, TILE]
var<workgroup> w_tile: array<f32, 2048>; // [STEP, TILE]
var<private> sums: array<vec4<f32>, 4>;  // one vector of four rows for each of four tokens

fn load_x(local: u32, first_token: u32, first_col: u32) {
    for (var i = 0u; i < 8u; i++) {
        let at = i * 256u + local;
        let token = first_token + at / STEP;
        let col = first_col + at % STEP;
        var value = 0.0;
        if (token < info.x && col < info.z) {
            value = x[token * info.z + col];
        }
        x_tile[(at % STEP) * TILE + at / STEP] = value;
    }
}

fn accumulate(local: u32) {
    let tokens = (local / 16u) * 4u;
    let rows = (local % 16u) * 4u;
    for (var k = 0u; k < STEP; k++) {
        let r = k * TILE + rows;
        let t = k * TILE + tokens;
        let w = vec4<f32>(w_tile[r], w_tile[r + 1u], w_tile[r + 2u], w_tile[r + 3u]);
        sums[0] += x_tile[t] * w;
        sums[1] += x_tile[t + 1u] * w;
        sums[2] += x_tile[t + 2u] * w;
        sums[3] += x_tile[t + 3u] * w;
    }
}

fn store(local: u32, first_token: u32, first_row: u32) {
    let rows = info.y;
    for (var i = 0u; i < 4u; i++) {
        let token = first_token + (local / 16u) * 4u + i;
        for (var j = 0u; j < 4u; j++) {
            let row = first_row + (local % 16u) * 4u + j;
            if (token < info.x && row < rows) {
                out[token * rows + row] = sums[i][j];
            }
        }
    }
}
