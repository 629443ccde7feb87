// x · dequant(W_q8)ᵀ for a few tokens (a decoding step), and what its end makes of it: the build script
// appends one of shared/end_*.wgsl. Reference: vmad_quant::matmul_q8.
//#include shared/scale.wgsl
//#include shared/q8.wgsl
//#include shared/input.wgsl
//#include shared/matvec.wgsl
@group(0) @binding(0) var<storage, read_write> packed: array<vec4<u32>>; // [rows, blocks, 2], 16 bytes each
@group(0) @binding(1) var<storage, read_write> scales: array<u32>;       // [rows * blocks / 2], two f16 each
@group(0) @binding(2) var<storage, read_write> x: array<f32>;            // [tokens, cols]

// What the blocks of one lane add to the product of a token and a row of W.
fn lane_sum(token: u32, row: u32, lane: u32) -> f32 {
    let blocks = (info[0].z + 31u) / 32u;
    var sum = 0.0;
    for (var block = lane; block < blocks; block += LANES) {
        let at = row * blocks + block;
        let col = block * 32u;
        var part = 0.0;
        let first = packed[at * 2u];
        let second = packed[at * 2u + 1u];
        for (var w = 0u; w < 4u; w++) {
            part += dot(q8_word(first[w]), x_at(token, col + w * 4u));
            part += dot(q8_word(second[w]), x_at(token, col + 16u + w * 4u));
        }
        sum += part * scale_at(at);
    }
    return sum;
}
