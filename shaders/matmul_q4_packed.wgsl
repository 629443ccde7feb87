// `matmul_q4` in integers, with packed_4x8_integer_dot_product.
// Reference: vmad_quant::matmul_q4, reference::activated.
// One workgroup per 64 tokens × 64 rows. Workgroups are numbered over two dimensions.
//#include shared/host.wgsl
//#include shared/scale.wgsl
//#include shared/q4.wgsl
//#include shared/input.wgsl
//#include shared/tile_dot4.wgsl
//#include shared/tile_main.wgsl
//#include shared/activation.wgsl
//#include shared/epilogue.wgsl
@group(0) @binding(0) var<storage, read_write> bias: array<f32>;         // [rows], or one unused element
@group(0) @binding(1) var<storage, read_write> residual: array<f32>;     // [tokens, rows], or one unused element
@group(0) @binding(2) var<storage, read_write> x: array<f32>;            // [tokens, cols]
@group(0) @binding(3) var<storage, read_write> packed: array<vec4<u32>>; // [rows, blocks], 32 nibbles each
@group(0) @binding(4) var<storage, read_write> scales: array<u32>;       // [rows * blocks / 2], two f16 each
@group(0) @binding(5) var<storage, read_write> out: array<f32>;          // [parts, tokens, rows of a part]
@group(0) @binding(6) var<uniform> params: LinearParams;

// Four signed bytes of a block: an even `word` holds the even nibbles of eight values, an odd `word` the odd nibbles, so
// that unpacking takes one shift and one mask.
fn word_at(at: u32, word: u32) -> u32 {
    return q4_bytes(packed[at][word / 2u] >> (4u * (word % 2u)));
}

// The inputs that the four bytes of `word_at` are multiplied with.
fn arranged(a: vec4<f32>, b: vec4<f32>, word: u32) -> vec4<f32> {
    return select(vec4<f32>(a.x, a.z, b.x, b.z), vec4<f32>(a.y, a.w, b.y, b.w), word == 1u);
}
