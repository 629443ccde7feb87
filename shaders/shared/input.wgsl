// Four inputs of one row of x from column `col` on; columns past the end read as zero, so that
// whatever the padding of the last block holds cannot reach a result.
// Expects the bindings `x` and `info`.
fn input_at(token: u32, col: u32) -> vec4<f32> {
    let cols = info[0].z;
    let base = token * cols + col;
    if (col + 4u <= cols) {
        return vec4<f32>(x[base], x[base + 1u], x[base + 2u], x[base + 3u]);
    }
    var some = vec4<f32>(0.0);
    if (col < cols) { some.x = x[base]; }
    if (col + 1u < cols) { some.y = x[base + 1u]; }
    if (col + 2u < cols) { some.z = x[base + 2u]; }
    return some;
}
