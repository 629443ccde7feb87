// Four-bit values, eight to a word, stored plus eight.
// `q4_masked_*` masks values without shifting them, so each is too large by a power of 16. Multiplying by Q4_LOW or
// Q4_HIGH, which a product applies to its input, restores the scale exactly; Q4_*_OFFSETS is the offset to subtract. The
// topmost value of a word is read as signed and has no offset.
const Q4_LOW: vec4<f32> = vec4<f32>(1.0, 0.0625, 0.00390625, 0.000244140625);
const Q4_HIGH: vec4<f32> = vec4<f32>(1.52587890625e-5, 9.5367431640625e-7, 5.9604644775390625e-8, 3.7252902984619140625e-9);
const Q4_LOW_OFFSETS: vec4<f32> = vec4<f32>(8.0);
const Q4_HIGH_OFFSETS: vec4<f32> = vec4<f32>(8.0, 8.0, 8.0, 0.0);

// Nibbles 0..4, and 4..8, of a word, lowest first, masked in place.
fn q4_masked_low(word: u32) -> vec4<f32> {
    return vec4<f32>(bitcast<vec4<i32>>(vec4<u32>(word) & vec4<u32>(0xfu, 0xf0u, 0xf00u, 0xf000u)));
}

fn q4_masked_high(word: u32) -> vec4<f32> {
    let bits = vec4<u32>(word ^ 0x80000000u) & vec4<u32>(0xf0000u, 0xf00000u, 0xf000000u, 0xf0000000u);
    return vec4<f32>(bitcast<vec4<i32>>(bits));
}

// Nibbles 0..4 of a word as numbers.
fn q4_low(word: u32) -> vec4<f32> { return q4_masked_low(word) * Q4_LOW - Q4_LOW_OFFSETS; }

// The even nibbles of a word as signed bytes. Adding 128 before subtracting eight prevents borrows between bytes.
fn q4_bytes(word: u32) -> u32 {
    return (((word & 0x0f0f0f0fu) | 0x80808080u) - 0x08080808u) ^ 0x80808080u;
}
