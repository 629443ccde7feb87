// x · dequant(W_q4)ᵀ for a few tokens (a decoding step), and what its end makes of it: the build script
// appends one of shared/end_*.wgsl. Reference: vmad_quant::matmul_q4.
//#include shared/scale.wgsl
//#include shared/q4.wgsl
//#include shared/input.wgsl
//#include shared/lanes.wgsl
//#include shared/matvec.wgsl
@group(0) @binding(0) var<storage, read_write> packed: array<u32>; // [rows, blocks, 4], eight nibbles each
@group(0) @binding(1) var<storage, read_write> scales: array<u32>; // [rows * blocks / 2], two f16 each
@group(0) @binding(2) var<storage, read_write> x: array<f32>;      // [tokens, cols]

// A quarter takes a word of its block.
const BLOCK_WORDS: u32 = 4u;
const COLS_STEP: u32 = 8u;
const LATER: u32 = 4u;
const FIRST_PLACES: vec4<f32> = Q4_LOW;
const LATER_PLACES: vec4<f32> = Q4_HIGH;
const FIRST_RAISED: vec4<f32> = Q4_LOW_RAISED;
const LATER_RAISED: vec4<f32> = Q4_HIGH_RAISED;

fn quarter_dot(word: u32, first: vec4<f32>, later: vec4<f32>) -> f32 {
    let values = packed[word];
    return dot(q4_standing_low(values), first) + dot(q4_standing_high(values), later);
}
