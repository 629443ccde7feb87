// `matvec_*` without fusion.
//#include shared/input_plain.wgsl
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // [tokens, rows]
@group(0) @binding(4) var<uniform> params: MatvecParams;

fn finish(token: u32, row: u32, sums: vec3<f32>) -> f32 { return sums.x; }
