// The end of a product of normed rows with two matrices, one below the other: SiLU of the first times the
// second (SwiGLU, Shazeer 2020).
//#include shared/normed.wgsl
const GATED: bool = true;

fn results() -> u32 { return info[0].y / 2u; }

fn finish(token: u32, row: u32, sums: vec3<f32>) -> f32 {
    let gate = normed(sums.x, sums.z);
    // A larger power would leave the range of f32; the result is zero by then.
    return gate / (1.0 + exp(min(-gate, 80.0))) * normed(sums.y, sums.z);
}
