// `matvec_*` with an RMS norm of the input rows.
//#include shared/input_normed.wgsl
const GATED: bool = false;

fn n_results() -> u32 { return params.n_rows; }

fn finish(token: u32, row: u32, sums: vec3<f32>) -> f32 { return normed(sums.x, sums.z); }
