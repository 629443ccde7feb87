// A linear layer with f32 weights, x · Wᵀ and its epilogue, for the many tokens of an image.
// Reference: reference::matmul, reference::activated.
// One workgroup per 64 tokens × 64 rows. Workgroups are numbered over two dimensions.
//#include shared/host.wgsl
//#include shared/tile_memory.wgsl
//#include shared/tile.wgsl
//#include shared/tile_main.wgsl
//#include shared/activation.wgsl
//#include shared/epilogue.wgsl
@group(0) @binding(0) var<storage, read_write> bias: array<f32>;         // [rows], or one unused element
@group(0) @binding(1) var<storage, read_write> residual: array<f32>;     // [tokens, rows], or one unused element
@group(0) @binding(2) var<storage, read_write> x: array<f32>;            // [tokens, cols]
@group(0) @binding(3) var<storage, read_write> weight: array<f32>;       // [rows, cols]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;          // [tokens, rows]
@group(0) @binding(5) var<uniform> params: LinearParams;

// Four weights of a row, from column `4 part` of a block on. Columns past the end read as zero.
fn weight_at(row: u32, block: u32, blocks: u32, part: u32) -> vec4<f32> {
    let cols = params.n_cols;
    let first = block * STEP + part * 4u;
    var values = vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i++) {
        if (first + i < cols) {
            values[i] = weight[row * cols + first + i];
        }
    }
    return values;
}
