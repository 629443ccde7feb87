// What both norms share: a row's columns need not be neighbours, so that images are normalised over
// their channels without being turned around. One workgroup per row.
// Expects the bindings `x`, `weight`, `out` and `info`.
const LANES: u32 = 64u;

var<workgroup> lanes: array<f32, LANES>;

// info[0]: rows, columns, workgroups along x, ε as bits.
// info[1]: rows of an image, strides of an image, of a row, of a column.
fn first_of(row: u32) -> u32 {
    return (row / info[1].x) * info[1].y + (row % info[1].x) * info[1].z;
}

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
