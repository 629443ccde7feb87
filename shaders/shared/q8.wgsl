// The four signed bytes of a word as numbers, lowest first.
// Shifting up and back down extends the sign without the optional packed-integer built-ins.
fn q8_word(word: u32) -> vec4<f32> {
    let raised = vec4<i32>(bitcast<i32>(word)) << vec4<u32>(24u, 16u, 8u, 0u);
    return vec4<f32>(raised >> vec4<u32>(24u));
}
