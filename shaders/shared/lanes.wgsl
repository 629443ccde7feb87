// What the lanes of a product leave for its sums.
// Expects ROWS and LANES.
struct Thread {
    @builtin(local_invocation_index) local: u32,
}

var<workgroup> left: array<f32, (ROWS + 1u) * LANES>; // [LANES, ROWS + 1], the last of squares

fn left_at(row: u32, lane: u32) -> u32 { return lane * (ROWS + 1u) + row; }

fn leave(thread: Thread, row: u32, value: f32) {
    left[left_at(row, thread.local)] = value;
}

// How many numbers of a row are left.
fn n_left(thread: Thread) -> u32 { return LANES; }
