// Nibbles 0..4 and 4..8 of a word as numbers; a nibble holds the value plus eight, lowest first.
fn q4_low(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u)) - vec4<f32>(8.0);
}

fn q4_high(word: u32) -> vec4<f32> {
    return q4_low(word >> 16u);
}
