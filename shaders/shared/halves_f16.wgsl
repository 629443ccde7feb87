// The same in half precision, which takes half the memory. Inputs are kept as a sixteenth of what they are, so that what
// an f16 cannot hold begins at 2²⁰: the largest activations of known models lie far below.
const SHRINK: f32 = 0.0625;

var<workgroup> x_tile: array<vec4<f16>, 512>; // [STEP, FOURS]
var<workgroup> w_tile: array<vec4<f16>, 512>; // [STEP, FOURS]

fn put_x(at: u32, values: vec4<f32>) { x_tile[at] = vec4<f16>(values * SHRINK); }
fn put_w(at: u32, values: vec4<f32>) { w_tile[at] = vec4<f16>(values); }
fn x_in(at: u32) -> vec4<f32> { return vec4<f32>(x_tile[at]) / SHRINK; }
fn w_in(at: u32) -> vec4<f32> { return vec4<f32>(w_tile[at]); }
