// Signed bytes, four to a word.
// Taken where they stand, without a shift of its own for each, they are numbers once they are multiplied by
// Q8_PLACES, which a product does to its input. All but the topmost are raised by 128 then.
const Q8_PLACES: vec4<f32> = vec4<f32>(1.0, 0.00390625, 1.52587890625e-5, 5.9604644775390625e-8);
const Q8_RAISED: vec4<f32> = vec4<f32>(128.0, 128.0, 128.0, 0.0);

// The bytes of a word, lowest first, where they stand.
fn q8_standing(word: u32) -> vec4<f32> {
    let bits = vec4<u32>(word ^ 0x00808080u) & vec4<u32>(0xffu, 0xff00u, 0xff0000u, 0xff000000u);
    return vec4<f32>(bitcast<vec4<i32>>(bits));
}

// The same as the numbers that they stand for.
fn q8_word(word: u32) -> vec4<f32> { return q8_standing(word) * Q8_PLACES - Q8_RAISED; }
