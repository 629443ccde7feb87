// x · dequant(W_q8)ᵀ for a few tokens (a decoding step), and what its end makes of it: the build script
// appends one of shared/end_*.wgsl. Reference: vmad_quant::matmul_q8.
//#include shared/scale.wgsl
//#include shared/q8.wgsl
//#include shared/input.wgsl
//#include shared/lanes.wgsl
//#include shared/matvec.wgsl
@group(0) @binding(0) var<storage, read_write> packed: array<u32>; // [rows, blocks, 8], four bytes each
@group(0) @binding(1) var<storage, read_write> scales: array<u32>; // [rows * blocks / 2], two f16 each
@group(0) @binding(2) var<storage, read_write> x: array<f32>;      // [tokens, cols]

// A quarter takes a word of each half of its block, so that neighbours read neighbours.
const BLOCK_WORDS: u32 = 8u;
const COLS_STEP: u32 = 4u;
const LATER: u32 = 16u;
const FIRST_PLACES: vec4<f32> = Q8_PLACES;
const LATER_PLACES: vec4<f32> = Q8_PLACES;
const FIRST_RAISED: vec4<f32> = Q8_RAISED;
const LATER_RAISED: vec4<f32> = Q8_RAISED;

fn quarter_dot(word: u32, first: vec4<f32>, later: vec4<f32>) -> f32 {
    return dot(q8_standing(packed[word]), first) + dot(q8_standing(packed[word + 4u]), later);
}
