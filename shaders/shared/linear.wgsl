// What a linear layer does with a product. Which of it is data, so that there is one pipeline.
// info[1]: whether there is a bias; 0, or 1 for GELU, 2 for QuickGELU, 3 for ReLU; whether there is a residual.
@group(0) @binding(3) var<storage, read_write> bias: array<f32>;     // [rows], or of one element
@group(0) @binding(4) var<storage, read_write> residual: array<f32>; // [tokens, rows], or of one element
@group(0) @binding(5) var<storage, read_write> out: array<f32>;      // [tokens, rows]
@group(0) @binding(6) var<uniform> info: array<vec4<u32>, 2>;

// Abramowitz and Stegun 1964, 7.1.26: off by at most 1.5e-7.
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return sign(x) * (1.0 - p * exp(-min(x * x, 80.0)));
}

fn finish(token: u32, row: u32, sum: f32) -> f32 {
    var y = sum;
    if (info[1].x != 0u) {
        y += bias[row];
    }
    if (info[1].y == 1u) {
        y = 0.5 * y * (1.0 + erf(y * 0.70710678));
    } else if (info[1].y == 2u) {
        y = y / (1.0 + exp(min(-1.702 * y, 80.0)));
    } else if (info[1].y == 3u) {
        y = max(y, 0.0);
    }
    if (info[1].z != 0u) {
        y += residual[token * info[0].y + row];
    }
    return y;
}
