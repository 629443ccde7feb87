// The tiles of a product in workgroup memory, four tokens or rows per vector: 2 × 8 KiB, the default limit of WebGPU.
var<workgroup> x_tile: array<vec4<f32>, 512>; // [STEP, FOURS]
var<workgroup> w_tile: array<vec4<f32>, 512>; // [STEP, FOURS]

fn put_x(at: u32, values: vec4<f32>) { x_tile[at] = values; }
fn put_w(at: u32, values: vec4<f32>) { w_tile[at] = values; }
fn x_in(at: u32) -> vec4<f32> { return x_tile[at]; }
fn w_in(at: u32) -> vec4<f32> { return w_tile[at]; }
