// One workgroup per eight results of a token; its lanes stride over the blocks of all eight rows, so that each
// input is read once for them, and are summed.
// Expects the bindings `out` and `info`, `block_dot` of the weight, `Thread`, `leave` and `n_left` of shared/lanes.wgsl,
// and of the end `NORMED`, `GATED`, `results` and `finish`.
// info[0]: tokens, rows of W, cols, workgroups along x. info[1]: what the end needs.
const ROWS: u32 = 8u;
const LANES: u32 = 32u;

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

// The sum of what the lanes left for a row.
fn total_left(thread: Thread, row: u32) -> f32 {
    var total = 0.0;
    for (var i = 0u; i < n_left(thread); i++) {
        total += left[row * LANES + i];
    }
    return total;
}

// The sums of all lanes, for one row in each of the first eight threads; all threads call it.
fn over_lanes(thread: Thread) -> f32 {
    for (var i = 0u; i < 4u; i++) {
        leave(thread, i, sums[0][i]);
        leave(thread, i + 4u, sums[1][i]);
    }
    workgroupBarrier();
    var total = 0.0;
    if (thread.local < ROWS) {
        total = total_left(thread, thread.local);
    }
    return total;
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, thread: Thread) {
    let lane = thread.local;
    let rows = results();
    let row_groups = (rows + ROWS - 1u) / ROWS;
    let index = group.y * info[0].w + group.x;
    if (index >= row_groups * info[0].x) {
        return;
    }
    let token = index / row_groups;
    let row = (index % row_groups) * ROWS;
    if (NORMED) {
        leave(thread, ROWS, lane_squares(token, lane));
    }
    add_blocks(token, row, rows - 1u, lane);
    var total = vec3<f32>(over_lanes(thread), 0.0, 0.0);
    if (GATED) {
        workgroupBarrier();
        add_blocks(token, row + rows, 2u * rows - 1u, lane);
        total.y = over_lanes(thread);
    }
    if (lane < ROWS && row + lane < rows) {
        if (NORMED) {
            total.z = total_left(thread, ROWS);
        }
        out[token * rows + row + lane] = finish(token, row + lane, total);
    }
}
