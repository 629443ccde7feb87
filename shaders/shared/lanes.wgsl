// What the lanes of a product leave for its sums.
// Expects ROWS and LANES.
struct Thread {
    @builtin(local_invocation_index) local: u32,
}

var<workgroup> left: array<f32, (ROWS + 1u) * LANES>; // [ROWS + 1, LANES], the last of squares

fn leave(thread: Thread, row: u32, value: f32) {
    left[row * LANES + thread.local] = value;
}

// How many numbers of a row are left.
fn n_left(thread: Thread) -> u32 { return LANES; }
