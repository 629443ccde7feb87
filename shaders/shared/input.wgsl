// Four inputs of one row of x from column `col` on; columns past the end read as zero, so that
// whatever the padding of the last block holds cannot reach a result.
// Expects the bindings `x` and `info`.
fn input_at(token: u32, col: u32) -> vec4<f32> {
    let cols = info[0].z;
    let at = vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u);
    // Read anyway and not kept: a branch costs an emulated GPU more.
    let read = vec4<u32>(token * cols) + min(at, vec4<u32>(cols - 1u));
    let some = vec4<f32>(x[read.x], x[read.y], x[read.z], x[read.w]);
    return select(vec4<f32>(0.0), some, at < vec4<u32>(cols));
}
