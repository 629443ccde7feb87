//! Elementwise loops and reductions, four numbers at a time.

use wide::{f32x4, i32x4};

use crate::types::Activation;

const LANES: usize = 4;

/// Replaces every number by `f` of it and its partner.
pub(super) fn each(numbers: &mut [f32], partners: &[f32], f: impl Fn(f32x4, f32x4) -> f32x4) {
    let (whole, rest) = numbers.as_chunks_mut::<LANES>();
    let (partners, partners_rest) = partners.as_chunks::<LANES>();
    for (x, y) in whole.iter_mut().zip(partners) {
        *x = f(f32x4::new(*x), f32x4::new(*y)).to_array();
    }
    let last = f(padded(rest, 0.0), padded(partners_rest, 0.0)).to_array();
    rest.copy_from_slice(&last[..rest.len()]);
}

/// Replaces every number by `f` of it.
fn map(numbers: &mut [f32], f: impl Fn(f32x4) -> f32x4) {
    let (whole, rest) = numbers.as_chunks_mut::<LANES>();
    for x in whole {
        *x = f(f32x4::new(*x)).to_array();
    }
    let last = f(padded(rest, 0.0)).to_array();
    rest.copy_from_slice(&last[..rest.len()]);
}

/// Multiplies every number by its scale and adds its shift.
pub(super) fn scale_and_shift(numbers: &mut [f32], scales: &[f32], shifts: &[f32]) {
    each(numbers, scales, |x, scale| x * scale);
    each(numbers, shifts, |x, shift| x + shift);
}

/// Up to four numbers, and `other` where there are fewer.
fn padded(numbers: &[f32], other: f32) -> f32x4 {
    let mut lanes = [other; LANES];
    lanes[..numbers.len()].copy_from_slice(numbers);
    f32x4::new(lanes)
}

/// The largest number; NaNs are ignored.
pub(super) fn largest(numbers: &[f32]) -> f32 {
    let (whole, rest) = numbers.as_chunks::<LANES>();
    let mut most = padded(rest, f32::MIN);
    for x in whole {
        most = most.fast_max(f32x4::new(*x));
    }
    most.to_array().into_iter().fold(f32::MIN, f32::max)
}

/// Replaces every number by the exponential of its difference from `most`; returns their sum.
pub(super) fn exp_sum(numbers: &mut [f32], most: f32) -> f32 {
    let most = f32x4::splat(most);
    let (whole, rest) = numbers.as_chunks_mut::<LANES>();
    let mut sum = f32x4::ZERO;
    for x in whole {
        let y = exp(f32x4::new(*x) - most);
        sum += y;
        *x = y.to_array();
    }
    let last = exp(padded(rest, f32::NEG_INFINITY) - most);
    rest.copy_from_slice(&last.to_array()[..rest.len()]);
    (sum + last).reduce_add()
}

/// The sum of squares.
pub(super) fn squares(numbers: &[f32]) -> f32 {
    let (whole, rest) = numbers.as_chunks::<LANES>();
    let last = padded(rest, 0.0);
    let mut sum = last * last;
    for x in whole {
        let x = f32x4::new(*x);
        sum += x * x;
    }
    sum.reduce_add()
}

/// Applies the activation to every number.
pub(super) fn activate(numbers: &mut [f32], activation: Activation) {
    let half = f32x4::splat(0.5);
    match activation {
        Activation::Gelu => map(numbers, |x| {
            half * x * (f32x4::ONE + erf(x * f32x4::splat(std::f32::consts::FRAC_1_SQRT_2)))
        }),
        Activation::QuickGelu => map(numbers, |x| x * sigmoid(x * f32x4::splat(1.702))),
        Activation::Relu => map(numbers, |x| x.fast_max(f32x4::ZERO)),
    }
}

/// Replaces every number x by x·σ(x)·y, with its partner y.
pub(super) fn gate(numbers: &mut [f32], partners: &[f32]) {
    each(numbers, partners, |x, y| x * sigmoid(x) * y);
}

/// eˣ within 2 units in the last place, as Cephes' `expf`: 2ⁿ times a polynomial of the remainder of x. Zero below −87, e⁸⁸
/// above 88: beyond these floats lose digits or overflow.
fn exp(x: f32x4) -> f32x4 {
    /// Adding it to a small number rounds to an integer, which lies in the lowest bits.
    const ROUNDING: f32 = 12_582_912.0;
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const TERMS: [f32; 6] = [
        1.987_569_1e-4,
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        0.166_666_65,
        0.5,
    ];
    let (lowest, highest) = (f32x4::splat(-87.0), f32x4::splat(88.0));
    // Comparisons with NaN are false, which keeps it.
    let is_zero = x.simd_lt(lowest);
    let x = x.simd_gt(highest).select(highest, x);
    let rounded = x * f32x4::splat(std::f32::consts::LOG2_E) + f32x4::splat(ROUNDING);
    let n = rounded - f32x4::splat(ROUNDING);
    let rest = (x - n * f32x4::splat(LN_2[0])) - n * f32x4::splat(LN_2[1]);
    // Unrolled by hand, as in `erf`: the size-optimised build does not unroll loops.
    let [a, b, c, d, e, f] = TERMS.map(f32x4::splat);
    let sum = ((((a * rest + b) * rest + c) * rest + d) * rest + e) * rest + f;
    let near = sum * (rest * rest) + rest + f32x4::ONE;
    let power = (bytemuck::cast::<f32x4, i32x4>(rounded) << 23) + i32x4::splat(127 << 23);
    is_zero.select(f32x4::ZERO, near * bytemuck::cast::<i32x4, f32x4>(power))
}

fn sigmoid(x: f32x4) -> f32x4 {
    f32x4::ONE / (f32x4::ONE + exp(-x))
}

/// Abramowitz and Stegun 1964, 7.1.26: off by at most 1.5e-7.
fn erf(x: f32x4) -> f32x4 {
    const TERMS: [f32; 5] = [
        1.061_405_4,
        -1.453_152,
        1.421_413_7,
        -0.284_496_72,
        0.254_829_6,
    ];
    let t = f32x4::ONE / (f32x4::ONE + f32x4::splat(0.327_591_1) * x.abs());
    let [a, b, c, d, e] = TERMS.map(f32x4::splat);
    let p = ((((a * t + b) * t + c) * t + d) * t + e) * t;
    (f32x4::ONE - p * exp(-(x * x))).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    /// Of results of size 1: the error function's approximation, and three roundings.
    const TOLERANCE: f32 = 4e-7;

    fn points() -> Vec<f32> {
        (-4003..=4003).map(|i| i as f32 * 0.005).collect()
    }

    #[test]
    fn activations_are_the_reference() {
        for activation in [Activation::Gelu, Activation::QuickGelu, Activation::Relu] {
            let mut made = points();
            activate(&mut made, activation);
            for (x, made) in points().into_iter().zip(made) {
                let expected = reference::activated(activation, x);
                let off = (made - expected).abs();
                assert!(
                    off <= TOLERANCE * expected.abs().max(1.0),
                    "{activation:?} of {x}: {made}, {expected}"
                );
            }
        }
    }

    #[test]
    fn exponentials_are_near() {
        for i in -8_800..8_800 {
            let x = i as f32 * 0.01;
            let (made, expected) = (exp(f32x4::splat(x)).to_array()[0], f64::from(x).exp());
            if x < -87.0 {
                assert_eq!(made, 0.0, "{x}");
            } else {
                let off = f64::from(made) / expected - 1.0;
                assert!(
                    off.abs() < 2.0 * f64::from(f32::EPSILON),
                    "{x}: {made}, {expected}"
                );
            }
        }
        let ends = f32x4::new([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e9]);
        let [none, most, zero, large] = exp(ends).to_array();
        assert!(none.is_nan() && most == large && large > 1e38 && zero == 0.0);
    }

    #[test]
    fn exponentials_add_up() {
        for n in [1, 3, 4, 9] {
            let numbers: Vec<f32> = (0..n).map(|i| i as f32 * 3.0 - 5.0).collect();
            let most = largest(&numbers);
            assert_eq!(most, numbers[n - 1]);
            let mut made = numbers.clone();
            let sum = exp_sum(&mut made, most);
            let expected: Vec<f32> = numbers.iter().map(|x| (x - most).exp()).collect();
            for (made, expected) in made.iter().zip(&expected) {
                assert!((made - expected).abs() < TOLERANCE, "{made}, {expected}");
            }
            assert!((sum - expected.iter().sum::<f32>()).abs() < 1e-6);
        }
    }

    #[test]
    fn nan_stays_nan() {
        for at in [0, 4] {
            let mut numbers = vec![1.0; 5];
            numbers[at] = f32::NAN;
            assert!(exp_sum(&mut numbers.clone(), largest(&numbers)).is_nan());
            for activation in [Activation::Gelu, Activation::QuickGelu] {
                let mut made = numbers.clone();
                activate(&mut made, activation);
                assert!(made[at].is_nan(), "{activation:?}");
            }
        }
    }
}
