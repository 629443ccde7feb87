// The end of a product: added to what went around it.
@group(0) @binding(3) var<storage, read_write> residual: array<f32>; // [tokens, rows]
@group(0) @binding(4) var<storage, read_write> out: array<f32>;      // [tokens, rows]
@group(0) @binding(5) var<uniform> info: array<vec4<u32>, 2>;

fn x_at(token: u32, col: u32) -> vec4<f32> { return input_at(token, col); }

fn results() -> u32 { return info[0].y; }

fn lane_sums(token: u32, row: u32, lane: u32) -> vec3<f32> {
    return vec3<f32>(lane_sum(token, row, lane), 0.0, 0.0);
}

fn finish(token: u32, row: u32, sums: vec3<f32>) -> f32 {
    return sums.x + residual[token * info[0].y + row];
}
