// One workgroup per eight results of a token; its lanes stride over the blocks of all eight rows, so that each
// input is read once for them, and are summed.
// Expects the bindings `out` and `info`, `block_dot` of the weight, and of the end `NORMED`, `GATED`, `results`
// and `finish`.
// info[0]: tokens, rows of W, cols, workgroups along x. info[1]: what the end needs.
const ROWS: u32 = 8u;
const LANES: u32 = 32u;

var<workgroup> partial: array<f32, 256>; // [ROWS, LANES]
var<workgroup> squares: array<f32, LANES>;
var<private> xs: array<vec4<f32>, 8>;    // a block's input
var<private> x_sum: f32;                 // of that input
var<private> sums: array<vec4<f32>, 2>;  // of this lane, for the eight rows

// What the blocks of one lane add to the products of a token with `row`… up to `last`.
fn add_blocks(token: u32, row: u32, last: u32, lane: u32) {
    let blocks = (info[0].z + 31u) / 32u;
    sums[0] = vec4<f32>(0.0);
    sums[1] = vec4<f32>(0.0);
    for (var block = lane; block < blocks; block += LANES) {
        var all = vec4<f32>(0.0);
        for (var i = 0u; i < 8u; i++) {
            xs[i] = x_at(token, block * 32u + i * 4u);
            all += xs[i];
        }
        x_sum = all.x + all.y + all.z + all.w;
        // Rows past the last are computed like it, and not stored.
        sums[0] += vec4<f32>(
            block_dot(min(row, last) * blocks + block),
            block_dot(min(row + 1u, last) * blocks + block),
            block_dot(min(row + 2u, last) * blocks + block),
            block_dot(min(row + 3u, last) * blocks + block),
        );
        sums[1] += vec4<f32>(
            block_dot(min(row + 4u, last) * blocks + block),
            block_dot(min(row + 5u, last) * blocks + block),
            block_dot(min(row + 6u, last) * blocks + block),
            block_dot(min(row + 7u, last) * blocks + block),
        );
    }
}

// What a lane adds to the sum of squares of a token.
fn lane_squares(token: u32, lane: u32) -> f32 {
    var sum = 0.0;
    for (var col = lane * 4u; col < info[0].z; col += LANES * 4u) {
        let some = input_at(token, col);
        sum += dot(some, some);
    }
    return sum;
}

// The sums of all lanes, for one row in each of the first eight threads; all threads call it.
fn over_lanes(lane: u32) -> f32 {
    for (var i = 0u; i < 4u; i++) {
        partial[i * LANES + lane] = sums[0][i];
        partial[(i + 4u) * LANES + lane] = sums[1][i];
    }
    workgroupBarrier();
    var total = 0.0;
    if (lane < ROWS) {
        for (var i = 0u; i < LANES; i++) {
            total += partial[lane * LANES + i];
        }
    }
    return total;
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let rows = results();
    let row_groups = (rows + ROWS - 1u) / ROWS;
    let index = group.y * info[0].w + group.x;
    if (index >= row_groups * info[0].x) {
        return;
    }
    let token = index / row_groups;
    let row = (index % row_groups) * ROWS;
    if (NORMED) {
        squares[lane] = lane_squares(token, lane);
    }
    add_blocks(token, row, rows - 1u, lane);
    var total = vec3<f32>(over_lanes(lane), 0.0, 0.0);
    if (GATED) {
        workgroupBarrier();
        add_blocks(token, row + rows, 2u * rows - 1u, lane);
        total.y = over_lanes(lane);
    }
    if (lane < ROWS && row + lane < rows) {
        if (NORMED) {
            for (var i = 0u; i < LANES; i++) {
                total.z += squares[i];
            }
        }
        out[token * rows + row + lane] = finish(token, row + lane, total);
    }
}
