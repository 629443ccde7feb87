// `matvec_*` with an RMS norm of the input rows and SwiGLU (Shazeer 2020) of the two matrices that the weight stacks:
// SiLU of the first result times the second.
//#include shared/input_normed.wgsl
const GATED: bool = true;

fn n_results() -> u32 { return params.n_rows / 2u; }

fn finish(token: u32, row: u32, sums: vec3<f32>) -> f32 {
    let gate = normed(sums.x, sums.z);
    // Clamped so that `exp` stays in range; the result is zero by then.
    return gate / (1.0 + exp(min(-gate, 80.0))) * normed(sums.y, sums.z);
}
