// shared/reduce.wgsl with subgroups: each subgroup contributes one number.
// Threads are assumed to be numbered through the subgroups in order, as every known driver does; WGSL leaves the order
// open. On a driver with another order the self-test fails and this variant is not used.
struct Thread {
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane_in_subgroup: u32,
    @builtin(subgroup_size) subgroup_size: u32,
}

var<workgroup> lanes: array<f32, LANES>;
var<workgroup> words: array<u32, LANES>;

fn n_subgroups(thread: Thread) -> u32 {
    return (LANES + thread.subgroup_size - 1u) / thread.subgroup_size;
}

fn workgroup_sum(thread: Thread, value: f32) -> f32 {
    let part = subgroupAdd(value);
    workgroupBarrier();
    if (thread.lane_in_subgroup == 0u) {
        lanes[thread.local / thread.subgroup_size] = part;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < n_subgroups(thread); i++) {
        sum += lanes[i];
    }
    return sum;
}

fn workgroup_max(thread: Thread, value: f32) -> f32 {
    let part = subgroupMax(value);
    workgroupBarrier();
    if (thread.lane_in_subgroup == 0u) {
        lanes[thread.local / thread.subgroup_size] = part;
    }
    workgroupBarrier();
    var largest = value;
    for (var i = 0u; i < n_subgroups(thread); i++) {
        largest = max(largest, lanes[i]);
    }
    return largest;
}

fn workgroup_max_u32(thread: Thread, value: u32) -> u32 {
    let part = subgroupMax(value);
    workgroupBarrier();
    if (thread.lane_in_subgroup == 0u) {
        words[thread.local / thread.subgroup_size] = part;
    }
    workgroupBarrier();
    var largest = value;
    for (var i = 0u; i < n_subgroups(thread); i++) {
        largest = max(largest, words[i]);
    }
    return largest;
}
