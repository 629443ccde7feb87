// The end of a product of normed rows with two matrices, one below the other: SiLU of the first times the
// second (SwiGLU, Shazeer 2020).
//#include shared/normed.wgsl

fn results() -> u32 { return info[0].y / 2u; }

fn lane_sums(token: u32, row: u32, lane: u32) -> vec2<f32> {
    return vec2<f32>(lane_sum(token, row, lane), lane_sum(token, row + results(), lane));
}

fn finish(token: u32, row: u32, sums: vec3<f32>) -> f32 {
    let gate = normed(sums.x, sums.z);
    // A larger power would leave the range of f32; the result is zero by then.
    return gate / (1.0 + exp(min(-gate, 80.0))) * normed(sums.y, sums.z);
}
