// A linear layer, x · dequant(W_q4)ᵀ and what comes after, for a prompt or an image: in integers.
// Reference: vmad_quant::matmul_q4, reference::activated.
//#include shared/scale.wgsl
//#include shared/q4.wgsl
//#include shared/input.wgsl
//#include shared/tile_of_words.wgsl
//#include shared/tile_main.wgsl
//#include shared/activation.wgsl
//#include shared/linear.wgsl
@group(0) @binding(2) var<storage, read_write> x: array<f32>;            // [tokens, cols]
@group(0) @binding(3) var<storage, read_write> packed: array<vec4<u32>>; // [rows, blocks], 32 nibbles each
@group(0) @binding(4) var<storage, read_write> scales: array<u32>;       // [rows * blocks / 2], two f16 each
@group(0) @binding(5) var<storage, read_write> out: array<f32>;            // [parts, tokens, rows of a part]
@group(0) @binding(6) var<uniform> info: array<vec4<u32>, 2>;

// Word `word` of a block: of every eight values those with even numbers, then those with odd ones, so that a shift and a
// mask are all it takes.
fn word_at(at: u32, word: u32) -> u32 {
    return q4_bytes(packed[at][word / 2u] >> (4u * (word % 2u)));
}

fn arranged(a: vec4<f32>, b: vec4<f32>, word: u32) -> vec4<f32> {
    return select(vec4<f32>(a.x, a.z, b.x, b.z), vec4<f32>(a.y, a.w, b.y, b.w), word == 1u);
}
