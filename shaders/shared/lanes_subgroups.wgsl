// The same with subgroups: each leaves one number. As to how threads are numbered, see shared/sum_subgroups.wgsl.
struct Thread {
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) of_subgroup: u32,
    @builtin(subgroup_size) subgroup: u32,
}

var<workgroup> left: array<f32, (ROWS + 1u) * LANES>; // [LANES, ROWS + 1], the last of squares

fn left_at(row: u32, lane: u32) -> u32 { return lane * (ROWS + 1u) + row; }

fn leave(thread: Thread, row: u32, value: f32) {
    let all = subgroupAdd(value);
    if (thread.of_subgroup == 0u) {
        left[left_at(row, thread.local / thread.subgroup)] = all;
    }
}

// How many numbers of a row are left.
fn n_left(thread: Thread) -> u32 {
    return (LANES + thread.subgroup - 1u) / thread.subgroup;
}
