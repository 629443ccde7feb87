// The end of a product: added to what went around it.
//#include shared/straight.wgsl
@group(0) @binding(3) var<storage, read_write> residual: array<f32>; // [tokens, rows]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;      // [tokens, rows]
@group(0) @binding(5) var<uniform> info: array<vec4<u32>, 2>;

fn finish(token: u32, row: u32, sums: vec3<f32>) -> f32 {
    return sums.x + residual[token * info[0].y + row];
}
