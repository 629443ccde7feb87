// x · dequant(W_q4)ᵀ for a few tokens (a decoding step), and what its end makes of it: the build script
// appends one of shared/end_*.wgsl. Reference: vmad_quant::matmul_q4.
//#include shared/scale.wgsl
//#include shared/q4.wgsl
//#include shared/input.wgsl
//#include shared/lanes.wgsl
//#include shared/matvec.wgsl
@group(0) @binding(0) var<storage, read_write> packed: array<vec4<u32>>; // [rows, blocks], 32 nibbles each
@group(0) @binding(1) var<storage, read_write> scales: array<u32>;       // [rows * blocks / 2], two f16 each
@group(0) @binding(2) var<storage, read_write> x: array<f32>;            // [tokens, cols]

// The product of block `at` with the input in `xs`. What its values are raised by is taken off at once.
fn block_dot(at: u32) -> f32 {
    let words = packed[at];
    let sum = dot(q4_raised_low(words.x), xs[0]) + dot(q4_raised_high(words.x), xs[1])
        + dot(q4_raised_low(words.y), xs[2]) + dot(q4_raised_high(words.y), xs[3])
        + dot(q4_raised_low(words.z), xs[4]) + dot(q4_raised_high(words.z), xs[5])
        + dot(q4_raised_low(words.w), xs[6]) + dot(q4_raised_high(words.w), xs[7]);
    return (sum - 8.0 * x_sum) * scale_at(at);
}
