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

// Every other nibble of a word as a signed byte, from the lowest on. Raising by 128 before taking eight off keeps
// bytes from borrowing of each other.
fn q4_bytes(word: u32) -> u32 {
    return (((word & 0x0f0f0f0fu) | 0x80808080u) - 0x08080808u) ^ 0x80808080u;
}
