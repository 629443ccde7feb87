// A product of rows as they are.
// Expects `input_at`, `lane_sum` and the binding `info`.
const NORMED: bool = false;

fn x_at(token: u32, col: u32) -> vec4<f32> { return input_at(token, col); }

fn results() -> u32 { return info[0].y; }

fn lane_sums(token: u32, row: u32, lane: u32) -> vec2<f32> {
    return vec2<f32>(lane_sum(token, row, lane), 0.0);
}
