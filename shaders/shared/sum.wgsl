// Sums and maxima over the threads of a workgroup; all of them call these.
// Expects LANES, the threads of a workgroup.
const GATHERING: u32 = 8u; // threads that each gather as many lanes

// A thread's number in its workgroup.
struct Thread {
    @builtin(local_invocation_index) local: u32,
}

var<workgroup> lanes: array<f32, LANES>;
var<workgroup> gathered: array<f32, GATHERING>;
var<workgroup> words: array<u32, LANES>;
var<workgroup> gathered_words: array<u32, GATHERING>;

fn sum_over_lanes(thread: Thread, value: f32) -> f32 {
    workgroupBarrier();
    lanes[thread.local] = value;
    workgroupBarrier();
    if (thread.local < GATHERING) {
        var part = 0.0;
        for (var i = thread.local; i < LANES; i += GATHERING) {
            part += lanes[i];
        }
        gathered[thread.local] = part;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < GATHERING; i++) {
        sum += gathered[i];
    }
    return sum;
}

fn most_of_lanes(thread: Thread, value: f32) -> f32 {
    workgroupBarrier();
    lanes[thread.local] = value;
    workgroupBarrier();
    if (thread.local < GATHERING) {
        var part = value;
        for (var i = thread.local; i < LANES; i += GATHERING) {
            part = max(part, lanes[i]);
        }
        gathered[thread.local] = part;
    }
    workgroupBarrier();
    var most = value;
    for (var i = 0u; i < GATHERING; i++) {
        most = max(most, gathered[i]);
    }
    return most;
}

fn top_of_lanes(thread: Thread, value: u32) -> u32 {
    workgroupBarrier();
    words[thread.local] = value;
    workgroupBarrier();
    if (thread.local < GATHERING) {
        var part = value;
        for (var i = thread.local; i < LANES; i += GATHERING) {
            part = max(part, words[i]);
        }
        gathered_words[thread.local] = part;
    }
    workgroupBarrier();
    var top = value;
    for (var i = 0u; i < GATHERING; i++) {
        top = max(top, gathered_words[i]);
    }
    return top;
}
