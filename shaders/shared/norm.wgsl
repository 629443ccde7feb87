// The strided rows of `layer_norm` and `rms_norm`: the columns of a row need not be neighbours, so that images are
// normalised over their channels without a transposed copy.
// Expects the binding `params`.
struct NormParams {
    n_rows: u32,
    n_cols: u32,
    groups_x: u32,
    eps: f32,
    rows_per_image: u32,
    image_stride: u32,
    row_stride: u32,
    col_stride: u32,
}

// The index of the first element of a row.
fn first_of(row: u32) -> u32 {
    return (row / params.rows_per_image) * params.image_stride + (row % params.rows_per_image) * params.row_stride;
}
