// Four inputs of a row of x from column `col` on. Columns past the end read as zero, so that the padding of a weight's
// last block cannot reach a result.
// Expects the bindings `x` and `params`.
fn input_at(token: u32, col: u32) -> vec4<f32> {
    let cols = params.n_cols;
    let at = vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u);
    // A clamped read and a select: a branch is slower on an emulated GPU.
    let read = vec4<u32>(token * cols) + min(at, vec4<u32>(cols - 1u));
    let some = vec4<f32>(x[read.x], x[read.y], x[read.z], x[read.w]);
    return select(vec4<f32>(0.0), some, at < vec4<u32>(cols));
}
