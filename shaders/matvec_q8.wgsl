// x · dequant(W_q8)ᵀ for a few tokens (a decoding step), and what its end makes of it: the build script
// appends one of shared/end_*.wgsl. Reference: vmad_quant::matmul_q8.
//#include shared/scale.wgsl
//#include shared/q8.wgsl
//#include shared/input.wgsl
//#include shared/lanes.wgsl
//#include shared/matvec.wgsl
@group(0) @binding(0) var<storage, read_write> packed: array<vec4<u32>>; // [rows, blocks, 2], 16 bytes each
@group(0) @binding(1) var<storage, read_write> scales: array<u32>;       // [rows * blocks / 2], two f16 each
@group(0) @binding(2) var<storage, read_write> x: array<f32>;            // [tokens, cols]

// The product of block `at` with the input in `xs`.
fn block_dot(at: u32) -> f32 {
    let low = packed[at * 2u];
    let high = packed[at * 2u + 1u];
    let sum = dot(q8_word(low.x), xs[0]) + dot(q8_word(low.y), xs[1])
        + dot(q8_word(low.z), xs[2]) + dot(q8_word(low.w), xs[3])
        + dot(q8_word(high.x), xs[4]) + dot(q8_word(high.y), xs[5])
        + dot(q8_word(high.z), xs[6]) + dot(q8_word(high.w), xs[7]);
    return sum * scale_at(at);
}
