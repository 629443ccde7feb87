// One workgroup per eight results of a token; eight lanes stride over the blocks of a row and are summed.
// Expects the bindings `out` and `info`, and of the end `NORMED`, `results`, `lane_sums` and `finish`.
// info[0]: tokens, rows of W, cols, workgroups along x. info[1]: what the end needs.
const ROWS: u32 = 8u;
const LANES: u32 = 8u;

var<workgroup> partial: array<vec3<f32>, 64>; // [ROWS, LANES]

// What a thread adds to the sum of squares of a token, which all rows of the workgroup share.
fn squares(token: u32, local: u32) -> f32 {
    var sum = 0.0;
    for (var col = local * 4u; col < info[0].z; col += 256u) {
        let some = input_at(token, col);
        sum += dot(some, some);
    }
    return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let rows = results();
    let row_groups = (rows + ROWS - 1u) / ROWS;
    let index = group.y * info[0].w + group.x;
    if (index >= row_groups * info[0].x) {
        return;
    }
    let token = index / row_groups;
    let row = (index % row_groups) * ROWS + local / LANES;
    let lane = local % LANES;
    var sums = vec3<f32>(0.0);
    if (row < rows) {
        sums = vec3<f32>(lane_sums(token, row, lane), 0.0);
    }
    if (NORMED) {
        sums.z = squares(token, local);
    }
    partial[local] = sums;
    workgroupBarrier();
    if (lane == 0u && row < rows) {
        var total = vec3<f32>(0.0);
        for (var i = 0u; i < LANES; i++) {
            total += vec3<f32>(partial[local + i].xy, 0.0);
        }
        if (NORMED) {
            for (var i = 0u; i < 64u; i++) {
                total.z += partial[i].z;
            }
        }
        out[token * rows + row] = finish(token, row, total);
    }
}
