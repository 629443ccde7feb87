// shared/lane_sums.wgsl with subgroups: one number per subgroup and row. It numbers threads as
// shared/reduce_subgroups.wgsl does.
struct Thread {
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane_in_subgroup: u32,
    @builtin(subgroup_size) subgroup_size: u32,
}

var<workgroup> lane_values: array<f32, (ROWS + 1u) * LANES>; // [LANES, ROWS + 1]; the last column holds sums of squares

fn lane_index(row: u32, lane: u32) -> u32 { return lane * (ROWS + 1u) + row; }

fn put_lane(thread: Thread, row: u32, value: f32) {
    let all = subgroupAdd(value);
    if (thread.lane_in_subgroup == 0u) {
        lane_values[lane_index(row, thread.local / thread.subgroup_size)] = all;
    }
}

// The numbers of a row.
fn n_lane_values(thread: Thread) -> u32 {
    return (LANES + thread.subgroup_size - 1u) / thread.subgroup_size;
}
