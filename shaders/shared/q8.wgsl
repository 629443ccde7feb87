// Signed bytes, four to a word.
// `q8_masked` masks values without shifting them, so each is too large by a power of 256. Multiplying by Q8_SCALES, which
// a product applies to its input, restores the scale exactly. All but the topmost byte are read with an offset of 128.
const Q8_SCALES: vec4<f32> = vec4<f32>(1.0, 0.00390625, 1.52587890625e-5, 5.9604644775390625e-8);
const Q8_OFFSETS: vec4<f32> = vec4<f32>(128.0, 128.0, 128.0, 0.0);

// The bytes of a word, lowest first, masked in place.
fn q8_masked(word: u32) -> vec4<f32> {
    let bits = vec4<u32>(word ^ 0x00808080u) & vec4<u32>(0xffu, 0xff00u, 0xff0000u, 0xff000000u);
    return vec4<f32>(bitcast<vec4<i32>>(bits));
}

// The bytes of a word as numbers.
fn q8_word(word: u32) -> vec4<f32> { return q8_masked(word) * Q8_SCALES - Q8_OFFSETS; }
