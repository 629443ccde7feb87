// Scales of blocks, two f16 to a word: `shader-f16` is optional in WebGPU, unpack2x16float is not.
// Expects the binding `scales`.

// The scale of block `index`, counted row after row over the whole matrix.
fn scale_at(index: u32) -> f32 {
    let pair = unpack2x16float(scales[index / 2u]);
    return select(pair.x, pair.y, (index & 1u) == 1u);
}

// Four words of scales.
fn scale_words(at: vec4<u32>) -> vec4<u32> {
    return vec4<u32>(scales[at.x], scales[at.y], scales[at.z], scales[at.w]);
}

// The scales of four blocks and of the block after each, two to a word, from words `at` on. Where a row has an odd number
// of blocks, every other row begins in the middle of a word (`odd`). Without a next block (`!both`) its scale is zero.
fn straddling_scales(at: vec4<u32>, odd: vec4<bool>, both: bool) -> vec4<u32> {
    let words = scale_words(at);
    let after = scale_words(at + select(vec4<u32>(0u), vec4<u32>(1u), odd & vec4<bool>(both)));
    let pairs = select(words, (words >> vec4<u32>(16u)) | (after << vec4<u32>(16u)), odd);
    return select(pairs & vec4<u32>(0xffffu), pairs, both);
}
