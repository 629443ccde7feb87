// Sums over the 64 threads of a workgroup.
const LANES: u32 = 64u;
const SUMMING: u32 = 8u; // threads that each sum as many lanes

var<workgroup> lanes: array<f32, LANES>;
var<workgroup> parts: array<f32, SUMMING>;

// The sum of what each thread brings; all threads call it.
fn sum_over_lanes(local: u32, value: f32) -> f32 {
    workgroupBarrier();
    lanes[local] = value;
    workgroupBarrier();
    if (local < SUMMING) {
        var part = 0.0;
        for (var i = local; i < LANES; i += SUMMING) {
            part += lanes[i];
        }
        parts[local] = part;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < SUMMING; i++) {
        sum += parts[i];
    }
    return sum;
}
