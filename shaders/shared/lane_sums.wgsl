// Per-lane sums of `matvec_*` in workgroup memory, one number per lane and row.
// Expects ROWS and LANES.
struct Thread {
    @builtin(local_invocation_index) local: u32,
}

var<workgroup> lane_values: array<f32, (ROWS + 1u) * LANES>; // [LANES, ROWS + 1]; the last column holds sums of squares

fn lane_index(row: u32, lane: u32) -> u32 { return lane * (ROWS + 1u) + row; }

fn put_lane(thread: Thread, row: u32, value: f32) {
    lane_values[lane_index(row, thread.local)] = value;
}

// The numbers of a row.
fn n_lane_values(thread: Thread) -> u32 { return LANES; }
