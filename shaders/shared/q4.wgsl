// Nibbles 0..4 and 4..8 of a word, lowest first, as they are stored: the values plus eight.
fn q4_raised_low(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u));
}

fn q4_raised_high(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4<u32>(word) >> vec4<u32>(16u, 20u, 24u, 28u)) & vec4<u32>(15u));
}

// The same as numbers.
fn q4_low(word: u32) -> vec4<f32> { return q4_raised_low(word) - vec4<f32>(8.0); }

fn q4_high(word: u32) -> vec4<f32> { return q4_raised_high(word) - vec4<f32>(8.0); }
