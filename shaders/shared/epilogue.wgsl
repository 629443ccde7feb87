// The epilogue of a linear layer: bias, activation, residual, in this order. Each is a parameter, so that one pipeline
// serves all combinations.
// Expects shared/host.wgsl, shared/activation.wgsl and the bindings `bias`, `residual` and `params`.
struct LinearParams {
    n_tokens: u32,
    n_rows: u32, // of the weight
    n_cols: u32,
    groups_x: u32,
    has_bias: u32,
    activation: u32, // ACTIVATION_*
    has_residual: u32,
    output_layout: u32, // OUTPUT_*
    part_rows: u32,
}

fn is_gated() -> bool { return params.output_layout == OUTPUT_GATED; }

// The row at index `i` of vector `four` of a tile, or one past the last row. In a gated product every four gate rows are
// followed by their four value rows, so that one thread has both.
fn row_of(first_row: u32, four: u32, i: u32) -> u32 {
    let rows = params.n_rows;
    if (!is_gated()) {
        return first_row + four * 4u + i;
    }
    let column = first_row / 2u + four / 2u * 4u + i;
    return select(rows, four % 2u * (rows / 2u) + column, column < rows / 2u);
}

// The index of a result in `out`.
fn index_of(token: u32, row: u32) -> u32 {
    let width = params.part_rows;
    return (row / width * params.n_tokens + token) * width + row % width;
}

fn finish(token: u32, row: u32, sum: f32) -> f32 {
    var y = sum;
    if (params.has_bias != 0u) {
        y += bias[row];
    }
    y = activated(params.activation, y);
    if (params.has_residual != 0u) {
        y += residual[token * params.n_rows + row];
    }
    return y;
}
