// Sums and maxima over the threads of a workgroup. Every thread of the workgroup must call them.
// Expects LANES, the number of threads.
const GATHERERS: u32 = 8u; // threads of the second stage

struct Thread {
    @builtin(local_invocation_index) local: u32,
}

var<workgroup> lanes: array<f32, LANES>;
var<workgroup> gathered: array<f32, GATHERERS>;
var<workgroup> words: array<u32, LANES>;
var<workgroup> gathered_words: array<u32, GATHERERS>;

fn workgroup_sum(thread: Thread, value: f32) -> f32 {
    workgroupBarrier();
    lanes[thread.local] = value;
    workgroupBarrier();
    if (thread.local < GATHERERS) {
        var part = 0.0;
        for (var i = thread.local; i < LANES; i += GATHERERS) {
            part += lanes[i];
        }
        gathered[thread.local] = part;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < GATHERERS; i++) {
        sum += gathered[i];
    }
    return sum;
}

fn workgroup_max(thread: Thread, value: f32) -> f32 {
    workgroupBarrier();
    lanes[thread.local] = value;
    workgroupBarrier();
    if (thread.local < GATHERERS) {
        var part = value;
        for (var i = thread.local; i < LANES; i += GATHERERS) {
            part = max(part, lanes[i]);
        }
        gathered[thread.local] = part;
    }
    workgroupBarrier();
    var largest = value;
    for (var i = 0u; i < GATHERERS; i++) {
        largest = max(largest, gathered[i]);
    }
    return largest;
}

fn workgroup_max_u32(thread: Thread, value: u32) -> u32 {
    workgroupBarrier();
    words[thread.local] = value;
    workgroupBarrier();
    if (thread.local < GATHERERS) {
        var part = value;
        for (var i = thread.local; i < LANES; i += GATHERERS) {
            part = max(part, words[i]);
        }
        gathered_words[thread.local] = part;
    }
    workgroupBarrier();
    var largest = value;
    for (var i = 0u; i < GATHERERS; i++) {
        largest = max(largest, gathered_words[i]);
    }
    return largest;
}
