// x · dequant(W_q8)ᵀ for the few tokens of a decoding step, with one of the fusions shared/fusion_*.wgsl, which the
// build script appends. Reference: vmad_quant::matmul_q8.
// One workgroup per 8 rows of a token. Workgroups are numbered over two dimensions.
//#include shared/scale.wgsl
//#include shared/q8.wgsl
//#include shared/input.wgsl
//#include shared/lane_sums.wgsl
//#include shared/matvec.wgsl
@group(0) @binding(0) var<storage, read_write> packed: array<u32>; // [rows, blocks, 8], four bytes each
@group(0) @binding(1) var<storage, read_write> scales: array<u32>; // [rows * blocks / 2], two f16 each
@group(0) @binding(2) var<storage, read_write> x: array<f32>;      // [tokens, cols]

// A lane reads one word of each half of its block, so that neighbouring lanes read neighbouring words.
const BLOCK_WORDS: u32 = 8u;
const COLS_STEP: u32 = 4u;
const LATER: u32 = 16u;
const FIRST_SCALES: vec4<f32> = Q8_SCALES;
const LATER_SCALES: vec4<f32> = Q8_SCALES;
const FIRST_OFFSETS: vec4<f32> = Q8_OFFSETS;
const LATER_OFFSETS: vec4<f32> = Q8_OFFSETS;

fn quarter_dot(word: u32, first: vec4<f32>, later: vec4<f32>) -> f32 {
    return dot(q8_masked(packed[word]), first) + dot(q8_masked(packed[word + 4u]), later);
}
