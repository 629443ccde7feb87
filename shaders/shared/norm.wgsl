// What both norms share: a row's columns need not be neighbours, so that images are normalised over
// their channels without being turned around. One workgroup per row.
// Expects the bindings `x`, `weight`, `out` and `info`, and shared/sum.wgsl.
// info[0]: rows, columns, workgroups along x, ε as bits.
// info[1]: rows of an image, strides of an image, of a row, of a column.
fn first_of(row: u32) -> u32 {
    return (row / info[1].x) * info[1].y + (row % info[1].x) * info[1].z;
}
