//! Small numeric helpers that give the same bits on every platform.
//!
//! `f32::sin` and its relatives call the platform's libm, whose last bit differs between systems;
//! the scenes must not. Only IEEE-exact operations (+ − × ÷ √ floor) are used here.

use noise::Vector2;
use noise::core::value::value_2d;
use noise::permutationtable::NoiseHasher;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::f32::consts::{FRAC_PI_2, PI, TAU};

/// A colour in 0..1, red green blue.
pub(crate) type Rgb = [f32; 3];

/// Sine by a refined parabola; error below 1.1e-3.
pub(crate) fn sin(x: f32) -> f32 {
    let t = x - floor((x / TAU) + 0.5) * TAU; // −π..π
    let y = (4.0 / PI) * t - (4.0 / (PI * PI)) * t * t.abs();
    0.225 * (y * y.abs() - y) + y
}

/// Cosine, see [`sin`].
pub(crate) fn cos(x: f32) -> f32 {
    sin(x + FRAC_PI_2)
}

/// Angle of (x, y) in −π..π; error below 5e-3 rad.
pub(crate) fn atan2(y: f32, x: f32) -> f32 {
    let (ax, ay) = (x.abs(), y.abs());
    let (lo, hi) = if ax < ay { (ax, ay) } else { (ay, ax) };
    if hi == 0.0 {
        return 0.0;
    }
    let a = lo / hi;
    let mut r = a * (PI / 4.0 + 0.273 * (1.0 - a));
    if ay > ax {
        r = FRAC_PI_2 - r;
    }
    if x < 0.0 {
        r = PI - r;
    }
    if y < 0.0 { -r } else { r }
}

/// Largest integer not above `x`, for |x| below 2³¹. Baseline x86-64 has no rounding instruction,
/// so `f32::floor` would be a call in the innermost loops.
pub(crate) fn floor(x: f32) -> f32 {
    let t = x as i32 as f32;
    if t > x { t - 1.0 } else { t }
}

pub(crate) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

pub(crate) fn mix3(a: Rgb, b: Rgb, t: f32) -> Rgb {
    [mix(a[0], b[0], t), mix(a[1], b[1], t), mix(a[2], b[2], t)]
}

pub(crate) fn scale3(a: Rgb, s: f32) -> Rgb {
    [a[0] * s, a[1] * s, a[2] * s]
}

pub(crate) fn lum(c: Rgb) -> f32 {
    0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2]
}

/// 0 below `a`, 1 above `b`, smooth between.
pub(crate) fn smooth(a: f32, b: f32, x: f32) -> f32 {
    let t = ((x - a) / (b - a)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

pub(crate) fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// Signed distance to an axis-aligned rounded box of half-widths `hx`, `hy`.
pub(crate) fn rounded_box(x: f32, y: f32, hx: f32, hy: f32, r: f32) -> f32 {
    let (qx, qy) = (x.abs() - hx + r, y.abs() - hy + r);
    length(qx.max(0.0), qy.max(0.0)) + qx.max(qy).min(0.0) - r
}

/// Integer hash of a lattice point.
pub(crate) fn hash(seed: u32, x: i32, y: i32) -> u32 {
    let mut h = seed
        ^ (x as u32).wrapping_mul(0x9E37_79B1)
        ^ (y as u32).wrapping_mul(0x85EB_CA77).rotate_left(13);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2C1B_3C6D);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297A_2D39);
    h ^ (h >> 15)
}

/// Hash of a lattice point as a number in 0..1.
pub(crate) fn hash01(seed: u32, x: i32, y: i32) -> f32 {
    (hash(seed, x, y) >> 8) as f32 / 16_777_216.0
}

/// Random bytes on a lattice, for the noise crate. Its own table is too dear to build for each of
/// the many seeds of a scene.
struct Lattice(u32);

impl NoiseHasher for Lattice {
    fn hash(&self, at: &[isize]) -> usize {
        let [x, y] = *at else { return 0 };
        (hash(self.0, x as i32, y as i32) & 0xFF) as usize
    }
}

/// Value noise in 0..1 with lattice spacing 1.
pub(crate) fn noise(seed: u32, x: f32, y: f32) -> f32 {
    let point = Vector2::new(f64::from(x), f64::from(y));
    (0.5 + 0.5 * value_2d(point, &Lattice(seed))) as f32
}

/// Fractal noise, about 0..1.
pub(crate) fn fbm(seed: u32, x: f32, y: f32, octaves: u32) -> f32 {
    let (mut sum, mut amp, mut total, mut f) = (0.0, 1.0, 0.0, 1.0);
    for o in 0..octaves {
        sum += amp * noise(seed.wrapping_add(o.wrapping_mul(7919)), x * f, y * f);
        total += amp;
        amp *= 0.5;
        f *= 2.03;
    }
    sum / total
}

/// Distances to the nearest and second nearest jittered cell centre.
pub(crate) fn cells(seed: u32, x: f32, y: f32) -> (f32, f32) {
    let (fx, fy) = (floor(x), floor(y));
    let (mut d1, mut d2) = (9.0f32, 9.0f32);
    for oy in -1..=1 {
        for ox in -1..=1 {
            let h = hash(seed, fx as i32 + ox, fy as i32 + oy);
            let px = ox as f32 + (h & 0xFFFF) as f32 / 65536.0 - (x - fx);
            let py = oy as f32 + (h >> 16) as f32 / 65536.0 - (y - fy);
            let d = px * px + py * py;
            if d < d1 {
                d2 = d1;
                d1 = d;
            } else if d < d2 {
                d2 = d;
            }
        }
    }
    (d1.sqrt(), d2.sqrt())
}

/// ChaCha8 with the few draws that the scenes need.
pub(crate) struct Rng(ChaCha8Rng);

impl Rng {
    /// A stream that depends on all four numbers.
    pub(crate) fn new(seed: u64, split: u64, size: u64, index: u64) -> Self {
        let mut key = [0u8; 32];
        for (slot, word) in key.chunks_exact_mut(8).zip([seed, split, size, index]) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    pub(crate) fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform in 0..1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / 16_777_216.0
    }

    pub(crate) fn range(&mut self, lo: f32, hi: f32) -> f32 {
        mix(lo, hi, self.unit())
    }

    /// Uniform in −a..a.
    pub(crate) fn sym(&mut self, a: f32) -> f32 {
        self.range(-a, a)
    }

    pub(crate) fn angle(&mut self) -> f32 {
        self.range(0.0, TAU)
    }

    /// Uniform integer below `n` (n > 0).
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f32) as usize).min(n.saturating_sub(1))
    }

    pub(crate) fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }
}
