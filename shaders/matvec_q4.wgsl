// x · dequant(W_q4)ᵀ for the few tokens of a decoding step, with one of the fusions shared/fusion_*.wgsl, which the
// build script appends. Reference: vmad_quant::matmul_q4.
// One workgroup per 8 rows of a token. Workgroups are numbered over two dimensions.
//#include shared/scale.wgsl
//#include shared/q4.wgsl
//#include shared/input.wgsl
//#include shared/lane_sums.wgsl
//#include shared/matvec.wgsl
@group(0) @binding(0) var<storage, read_write> packed: array<u32>; // [rows, blocks, 4], eight nibbles each
@group(0) @binding(1) var<storage, read_write> scales: array<u32>; // [rows * blocks / 2], two f16 each
@group(0) @binding(2) var<storage, read_write> x: array<f32>;      // [tokens, cols]

// A lane reads one word of its block.
const BLOCK_WORDS: u32 = 4u;
const COLS_STEP: u32 = 8u;
const LATER: u32 = 4u;
const FIRST_SCALES: vec4<f32> = Q4_LOW;
const LATER_SCALES: vec4<f32> = Q4_HIGH;
const FIRST_OFFSETS: vec4<f32> = Q4_LOW_OFFSETS;
const LATER_OFFSETS: vec4<f32> = Q4_HIGH_OFFSETS;

fn quarter_dot(word: u32, first: vec4<f32>, later: vec4<f32>) -> f32 {
    let values = packed[word];
    return dot(q4_masked_low(values), first) + dot(q4_masked_high(values), later);
}
