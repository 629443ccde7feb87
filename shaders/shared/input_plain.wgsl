// The input of `matvec_*` as it is.
// Expects shared/input.wgsl and the binding `params`.
const NORMED: bool = false;
const GATED: bool = false;

fn x_at(token: u32, col: u32) -> vec4<f32> { return input_at(token, col); }

fn n_results() -> u32 { return params.n_rows; }
