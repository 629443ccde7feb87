// A linear layer whose weight is floats, x · Wᵀ and what comes after, for an image.
// Reference: reference::matmul, reference::activated.
//#include shared/halves.wgsl
//#include shared/tile.wgsl
//#include shared/tile_main.wgsl
//#include shared/activation.wgsl
//#include shared/linear.wgsl
@group(0) @binding(2) var<storage, read_write> x: array<f32>;      // [tokens, cols]
@group(0) @binding(3) var<storage, read_write> weight: array<f32>; // [rows, cols]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;    // [tokens, rows]
@group(0) @binding(5) var<uniform> info: array<vec4<u32>, 2>;

// Columns `4 part`… of a block of a row; those past the end read as zero.
fn weight_at(row: u32, block: u32, blocks: u32, part: u32) -> vec4<f32> {
    let cols = info[0].z;
    let first = block * STEP + part * 4u;
    var values = vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i++) {
        if (first + i < cols) {
            values[i] = weight[row * cols + first + i];
        }
    }
    return values;
}
