// What a linear layer does with a product. Which of it is data, so that there is one pipeline.
// Expects shared/activation.wgsl and the binding `info`.
// info[1]: whether there is a bias; which activation, or GATED; whether there is a residual; rows of a part.
@group(0) @binding(0) var<storage, read_write> bias: array<f32>;     // [rows], or of one element
@group(0) @binding(1) var<storage, read_write> residual: array<f32>; // [tokens, rows], or of one element

// SiLU of the upper half of the rows times the lower: SwiGLU's end for a prompt. Reference: reference::gated.
const GATED: u32 = 4u;

fn is_gated() -> bool { return info[1].y == GATED; }

// The row that is number `i` of vector `four` of a tile, or one past the last. Four gates are followed by the four rows
// that they gate, so that a thread has both.
fn row_of(first_row: u32, four: u32, i: u32) -> u32 {
    let rows = info[0].y;
    if (!is_gated()) {
        return first_row + four * 4u + i;
    }
    let column = first_row / 2u + four / 2u * 4u + i;
    return select(rows, four % 2u * (rows / 2u) + column, column < rows / 2u);
}

fn place(token: u32, row: u32) -> u32 {
    let width = info[1].w;
    return (row / width * info[0].x + token) * width + row % width;
}

fn finish(token: u32, row: u32, sum: f32) -> f32 {
    var y = sum;
    if (info[1].x != 0u) {
        y += bias[row];
    }
    y = activated(info[1].y, y);
    if (info[1].z != 0u) {
        y += residual[token * info[0].y + row];
    }
    return y;
}
