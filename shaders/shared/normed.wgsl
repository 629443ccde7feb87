// A product of rows that are normed on the way, x / √(mean x² + ε) · w: the columns' weights go into the
// terms, and what the row is divided by, known only at its end, into the sum.
// info[1].x: ε.
const NORMED: bool = true;
@group(0) @binding(3) var<storage, read_write> norm: array<f32>; // [cols]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;  // [tokens, results]
@group(0) @binding(5) var<uniform> info: array<vec4<u32>, 2>;

fn x_at(token: u32, col: u32) -> vec4<f32> {
    let last = info[0].z - 1u;
    // Past the end the input is zero, whatever is read here.
    let at = min(vec4<u32>(col, col + 1u, col + 2u, col + 3u), vec4<u32>(last));
    return input_at(token, col) * vec4<f32>(norm[at.x], norm[at.y], norm[at.z], norm[at.w]);
}

fn normed(sum: f32, squares: f32) -> f32 {
    return sum * inverseSqrt(squares / f32(info[0].z) + bitcast<f32>(info[1].x));
}
