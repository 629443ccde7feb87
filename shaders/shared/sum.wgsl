// Sums over the 64 threads of a workgroup.
const LANES: u32 = 64u;

var<workgroup> lanes: array<f32, LANES>;

// The sum of what each thread brings; all threads call it.
fn sum_over_lanes(local: u32, value: f32) -> f32 {
    workgroupBarrier();
    lanes[local] = value;
    workgroupBarrier();
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        if (local < step) {
            lanes[local] += lanes[local + step];
        }
        workgroupBarrier();
    }
    return lanes[0];
}
