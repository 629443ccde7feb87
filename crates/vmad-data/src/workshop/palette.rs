//! Colours with the word that a person would use.

use crate::math::{Rgb, Rng, floor, lum, mix3, scale3};

/// A colour and its name.
#[derive(Clone, Copy)]
pub(super) struct Colour {
    pub rgb: Rgb,
    pub word: &'static str,
}

/// Hue in turns, saturation and value in 0..1.
pub(super) fn from_hsv(h: f32, s: f32, v: f32) -> Rgb {
    let channel = |offset: f32| {
        let t = h + offset;
        let t = 6.0 * (t - floor(t));
        let k = ((t - 3.0).abs() - 1.0).clamp(0.0, 1.0);
        v * (1.0 - s * (1.0 - k))
    };
    [channel(0.0), channel(2.0 / 3.0), channel(1.0 / 3.0)]
}

/// Any colour that paint or plastic has.
pub(super) fn any(rng: &mut Rng) -> Colour {
    if rng.chance(0.36) {
        return neutral(rng);
    }
    /// Hue centre, half width, saturation and value ranges, name.
    type Hue = (f32, f32, [f32; 2], [f32; 2], &'static str);
    const HUES: [Hue; 10] = [
        (0.00, 0.025, [0.55, 0.92], [0.45, 0.85], "red"),
        (0.07, 0.020, [0.60, 0.92], [0.70, 0.95], "orange"),
        (0.14, 0.020, [0.45, 0.90], [0.70, 0.95], "yellow"),
        (0.33, 0.080, [0.30, 0.75], [0.30, 0.70], "green"),
        (0.60, 0.050, [0.40, 0.85], [0.35, 0.80], "blue"),
        (0.60, 0.050, [0.35, 0.60], [0.18, 0.32], "dark blue"),
        (0.56, 0.040, [0.20, 0.40], [0.65, 0.85], "light blue"),
        (0.78, 0.040, [0.25, 0.60], [0.35, 0.70], "purple"),
        (0.95, 0.030, [0.25, 0.55], [0.65, 0.90], "pink"),
        (0.06, 0.025, [0.40, 0.65], [0.28, 0.55], "brown"),
    ];
    let (hue, half, s, v, word) = HUES[rng.below(HUES.len())];
    let rgb = from_hsv(
        hue + rng.sym(half),
        rng.range(s[0], s[1]),
        rng.range(v[0], v[1]),
    );
    Colour { rgb, word }
}

/// White, greys, black and beige.
pub(super) fn neutral(rng: &mut Rng) -> Colour {
    const STEPS: [(f32, f32, &str); 5] = [
        (0.78, 0.92, "white"),
        (0.58, 0.72, "light grey"),
        (0.38, 0.55, "grey"),
        (0.20, 0.32, "dark grey"),
        (0.08, 0.16, "black"),
    ];
    if rng.chance(0.14) {
        let rgb = from_hsv(
            rng.range(0.08, 0.13),
            rng.range(0.15, 0.32),
            rng.range(0.65, 0.85),
        );
        return Colour { rgb, word: "beige" };
    }
    let (lo, hi, word) = STEPS[rng.below(STEPS.len())];
    let rgb = from_hsv(rng.unit(), rng.range(0.0, 0.07), rng.range(lo, hi));
    Colour { rgb, word }
}

/// A fixed colour, varied a little in hue, saturation and value.
pub(super) fn near(rng: &mut Rng, rgb: Rgb, word: &'static str) -> Colour {
    let value = 1.0 + rng.sym(0.16);
    let cast = from_hsv(rng.unit(), rng.range(0.0, 0.16), 1.0);
    let mean = lum(cast).max(0.2);
    let rgb = [0, 1, 2].map(|k| (rgb[k] * value * cast[k] / mean).clamp(0.02, 0.95));
    Colour { rgb, word }
}

/// A second colour, distinct from the first.
pub(super) fn against(rng: &mut Rng, first: Rgb) -> Colour {
    let mut best = any(rng);
    for _ in 0..5 {
        if distance(best.rgb, first) > 0.28 {
            break;
        }
        best = any(rng);
    }
    best
}

/// A lighter or darker version of a colour.
pub(super) fn shade_of(rng: &mut Rng, rgb: Rgb, strength: f32) -> Rgb {
    let darker = if lum(rgb) > 0.6 {
        0.8
    } else if lum(rgb) < 0.2 {
        0.15
    } else {
        0.5
    };
    if rng.chance(darker) {
        scale3(rgb, 1.0 - strength)
    } else {
        mix3(rgb, [0.95; 3], strength * 0.7)
    }
}

/// Largest channel difference.
pub(super) fn distance(a: Rgb, b: Rgb) -> f32 {
    (0..3).map(|k| (a[k] - b[k]).abs()).fold(0.0, f32::max)
}
