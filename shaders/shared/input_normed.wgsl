// The input of `matvec_*` under an RMS norm, x / √(mean x² + ε) · w: the norm's weights multiply the input, and the
// divisor, which is known at the end of the row only, multiplies the sums.
// Expects shared/input.wgsl.
@group(0) @binding(3) var<storage, read_write> norm: array<f32>; // [cols]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // [tokens, results]
@group(0) @binding(5) var<uniform> params: MatvecParams;

const NORMED: bool = true;

fn x_at(token: u32, col: u32) -> vec4<f32> {
    let last = params.n_cols - 1u;
    // Past the end the input is zero, so that any weight will do.
    let at = min(vec4<u32>(col, col + 1u, col + 2u, col + 3u), vec4<u32>(last));
    return input_at(token, col) * vec4<f32>(norm[at.x], norm[at.y], norm[at.z], norm[at.w]);
}

fn normed(sum: f32, squares: f32) -> f32 {
    return sum * inverseSqrt(squares / f32(params.n_cols) + params.eps);
}
