// A linear layer, x · dequant(W_q8)ᵀ and its epilogue, for the many tokens of a prompt or an image.
// Reference: vmad_quant::matmul_q8, reference::activated.
// One workgroup per 64 tokens × 64 rows. Workgroups are numbered over two dimensions.
//#include shared/host.wgsl
//#include shared/scale.wgsl
//#include shared/q8.wgsl
//#include shared/tile_memory.wgsl
//#include shared/tile.wgsl
//#include shared/tile_main.wgsl
//#include shared/activation.wgsl
//#include shared/epilogue.wgsl
@group(0) @binding(0) var<storage, read_write> bias: array<f32>;         // [rows], or one unused element
@group(0) @binding(1) var<storage, read_write> residual: array<f32>;     // [tokens, rows], or one unused element
@group(0) @binding(2) var<storage, read_write> x: array<f32>;            // [tokens, cols]
@group(0) @binding(3) var<storage, read_write> packed: array<vec4<u32>>; // [rows, blocks, 2], 16 bytes each
@group(0) @binding(4) var<storage, read_write> scales: array<u32>;       // [rows * blocks / 2], two f16 each
@group(0) @binding(5) var<storage, read_write> out: array<f32>;          // [parts, tokens, rows of a part]
@group(0) @binding(6) var<uniform> params: LinearParams;

// Four weights of a row, from column `4 part` of a block on.
fn weight_at(row: u32, block: u32, blocks: u32, part: u32) -> vec4<f32> {
    let at = row * blocks + block;
    return q8_word(packed[at * 2u + part / 4u][part % 4u]) * scale_at(at);
}
