// The same with subgroups: each brings one number, and those are gathered.
// Threads are numbered through the subgroups one after the other, as every known driver does; the language leaves
// it open. Where one does otherwise, the self-test fails and the variant is not used.
struct Thread {
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) of_subgroup: u32,
    @builtin(subgroup_size) subgroup: u32,
}

var<workgroup> lanes: array<f32, LANES>;
var<workgroup> words: array<u32, LANES>;

fn subgroups(thread: Thread) -> u32 {
    return (LANES + thread.subgroup - 1u) / thread.subgroup;
}

fn sum_over_lanes(thread: Thread, value: f32) -> f32 {
    let part = subgroupAdd(value);
    workgroupBarrier();
    if (thread.of_subgroup == 0u) {
        lanes[thread.local / thread.subgroup] = part;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < subgroups(thread); i++) {
        sum += lanes[i];
    }
    return sum;
}

fn most_of_lanes(thread: Thread, value: f32) -> f32 {
    let part = subgroupMax(value);
    workgroupBarrier();
    if (thread.of_subgroup == 0u) {
        lanes[thread.local / thread.subgroup] = part;
    }
    workgroupBarrier();
    var most = value;
    for (var i = 0u; i < subgroups(thread); i++) {
        most = max(most, lanes[i]);
    }
    return most;
}

fn top_of_lanes(thread: Thread, value: u32) -> u32 {
    let part = subgroupMax(value);
    workgroupBarrier();
    if (thread.of_subgroup == 0u) {
        words[thread.local / thread.subgroup] = part;
    }
    workgroupBarrier();
    var top = value;
    for (var i = 0u; i < subgroups(thread); i++) {
        top = max(top, words[i]);
    }
    return top;
}
