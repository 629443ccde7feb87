// The activations of shared/host.wgsl.

// Abramowitz and Stegun 1964, 7.1.26: off by at most 1.5e-7.
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return sign(x) * (1.0 - p * exp(-min(x * x, 80.0)));
}

fn activated(kind: u32, y: f32) -> f32 {
    if (kind == ACTIVATION_GELU) {
        return 0.5 * y * (1.0 + erf(y * 0.70710678));
    }
    if (kind == ACTIVATION_QUICK_GELU) {
        return y / (1.0 + exp(min(-1.702 * y, 80.0)));
    }
    if (kind == ACTIVATION_RELU) {
        return max(y, 0.0);
    }
    return y;
}
