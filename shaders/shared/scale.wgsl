// Scale of block `index`, counted row after row over the whole matrix. Expects the binding `scales`.
// f16 values travel two to a word because `shader-f16` is optional in WebGPU and unpack2x16float is not.
fn scale_at(index: u32) -> f32 {
    let pair = unpack2x16float(scales[index / 2u]);
    return select(pair.x, pair.y, (index & 1u) == 1u);
}
