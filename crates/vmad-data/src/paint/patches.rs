//! Round and cloudy defects: stain, discolouration, rust, burn, dent, bubble.

use super::{Painter, Spot};
use crate::math::{Rgb, cos, fbm, length, lum, mix3, noise, scale3, sin, smooth};

impl Painter<'_> {
    /// Irregular round outline: below 1 inside. `rough` is the depth of the lobes.
    pub(super) fn blob(seed: u32, r: f32, rough: f32, dx: f32, dy: f32) -> f32 {
        let lobes = fbm(seed, dx * 1.6 / r + 9.0, dy * 1.6 / r, 2) - 0.5;
        length(dx, dy) / r + rough * lobes
    }

    pub(super) fn stain(&mut self, spot: Spot) {
        let r = self.rng.range(11.0, 34.0) * self.unit;
        let seed = self.rng.bits();
        let base = self.base(spot);
        let pick = self.rng.below(3);
        let tint: Rgb = if lum(base) < 0.30 {
            mix3(base, [0.62, 0.60, 0.54], 0.62)
        } else {
            let f = [[0.52, 0.40, 0.24], [0.34, 0.34, 0.36], [0.50, 0.50, 0.34]][pick];
            [base[0] * f[0], base[1] * f[1], base[2] * f[2]]
        };
        let edge = 1.5 / r;
        self.each(spot, r * 1.5, |p, x, y, i| {
            let d = Self::blob(seed, r, 1.0, x - spot.0, y - spot.1);
            let a = 1.0 - smooth(1.0 - edge, 1.0 + edge, d);
            if a > 0.0 {
                // Liquid dries towards its rim.
                let rim = smooth(0.70, 0.96, d);
                let keep = lum(p.scene.rgb[i]) / lum(base).max(0.05);
                let c = scale3(tint, (0.35 + 0.65 * keep) * (1.0 - 0.30 * rim));
                p.blend(i, c, a * (0.68 + 0.30 * rim));
                p.mark(i, a);
                p.scene.gloss[i] *= 1.0 - 0.7 * a;
            }
        });
    }

    pub(super) fn dent(&mut self, spot: Spot) {
        let r = self.rng.range(12.0, 30.0) * self.unit;
        let (squeeze, turn) = (self.rng.range(0.6, 1.0), self.rng.angle());
        let (c, s) = (cos(turn), sin(turn));
        // Relief and dark colours swallow shading, so textures are pressed in deeper.
        let deep = if self.texture { 1.5 } else { 1.0 };
        let depth = r * self.rng.range(0.34, 0.52) * deep;
        let dark = lum(self.base(spot)) < 0.25;
        let shine = match (dark, self.texture) {
            (true, _) => 0.9,
            (false, true) => 0.30,
            (false, false) => 0.14,
        };
        self.each(spot, r, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let q = length(c * dx + s * dy, (c * dy - s * dx) / squeeze) / r;
            if q < 1.0 {
                let k = 1.0 - q * q;
                p.raise(i, -depth * squeeze * k * k * 0.9);
                p.mark(i, smooth(1.0, 0.86, q));
                let own = p.scene.rgb[i];
                // Pressed dark material turns pale, other material lies in its own shade.
                let dim = if dark {
                    mix3(own, [0.62; 3], 0.55 * smooth(0.0, 0.5, k))
                } else {
                    scale3(own, 1.0 - 0.22 * k)
                };
                p.scene.rgb[i] = mix3(p.scene.rgb[i], dim, p.cover[i]);
                let f = p.scene.gloss[i];
                p.scene.gloss[i] = f.max(shine * k);
            }
        });
    }

    pub(super) fn discolouration(&mut self, spot: Spot) {
        let r = self.rng.range(24.0, 52.0) * self.unit;
        let seed = self.rng.bits();
        let base = self.base(spot);
        let tints: [Rgb; 4] = [
            [1.30, 1.12, 0.52],
            [0.66, 0.92, 1.42],
            [1.34, 0.72, 0.86],
            [0.78, 1.26, 0.76],
        ];
        // Of two random tints, the one further from the product's own hue.
        let (a, b) = (self.pick(4), self.pick(4));
        let away = |t: Rgb| {
            let l = lum(base).max(0.02);
            (0..3).map(|k| (t[k] - base[k] / l).abs()).sum::<f32>()
        };
        let tint = if away(tints[a]) > away(tints[b]) {
            tints[a]
        } else {
            tints[b]
        };
        let lift = if lum(base) < 0.25 { 1.7 } else { 1.0 };
        self.each(spot, r * 1.5, |p, x, y, i| {
            let d = Self::blob(seed, r, 0.7, x - spot.0, y - spot.1);
            let a = 1.0 - smooth(0.42, 1.12, d);
            if a > 0.0 {
                let l = lum(p.scene.rgb[i]) * lift;
                p.blend(i, [l * tint[0], l * tint[1], l * tint[2]], 0.85 * a);
                p.mark(i, smooth(0.15, 0.6, a));
            }
        });
    }

    pub(super) fn rust(&mut self, spot: Spot) {
        let r = self.rng.range(14.0, 36.0) * self.unit;
        let seed = self.rng.bits();
        let scale = 0.16 / self.unit;
        self.each(spot, r * 1.4, |p, x, y, i| {
            let d = length(x - spot.0, y - spot.1) / r;
            let m = fbm(seed, x * scale, y * scale, 4);
            let a = smooth(0.0, 0.10, m + 0.30 - 0.62 * d);
            if a > 0.0 {
                let grain = noise(seed ^ 3, x * 0.6 / p.unit, y * 0.6 / p.unit);
                let c = mix3(
                    [0.27, 0.11, 0.05],
                    [0.74, 0.37, 0.12],
                    smooth(0.3, 0.7, m) * 0.6 + 0.4 * grain,
                );
                p.blend(i, c, 0.92 * a);
                p.mark(i, a);
                p.raise(i, a * 1.6 * grain);
                p.scene.gloss[i] *= 1.0 - a;
            }
        });
    }

    pub(super) fn bubble(&mut self, spot: Spot) {
        let paling = if lum(self.base(spot)) < 0.25 {
            0.42
        } else {
            0.16
        };
        let count = 2 + self.pick(4);
        let mut placed: Vec<(Spot, f32)> = Vec::new();
        for k in 0..count * 3 {
            if placed.len() == count {
                break;
            }
            let r = self.rng.range(4.5, 10.5) * self.unit;
            let (a, q) = (self.rng.angle(), self.rng.range(8.0, 24.0) * self.unit);
            let q = if k == 0 { 0.0 } else { q };
            let at = (spot.0 + q * cos(a), spot.1 + q * sin(a));
            let clear = placed
                .iter()
                .all(|(o, s)| length(o.0 - at.0, o.1 - at.1) > r + s + 1.0);
            if !clear || self.cover_at(at.0, at.1) < 0.99 {
                continue;
            }
            placed.push((at, r));
            self.each(at, r + 1.0, |p, x, y, i| {
                let (dx, dy) = (x - at.0, y - at.1);
                let q = length(dx, dy) / r;
                if q > 1.1 {
                    return;
                }
                p.mark(i, smooth(1.1, 0.98, q));
                let ring = 1.0 - ((q - 0.97) / 0.13).abs().min(1.0);
                let dim = scale3(p.scene.rgb[i], 0.45);
                p.blend(i, dim, 0.6 * ring);
                if q < 1.0 {
                    let dome = (1.0 - q * q).sqrt();
                    p.raise(i, 0.42 * r * dome);
                    p.scene.gloss[i] = p.scene.gloss[i].max(0.22);
                    // The lamp's mirror image.
                    let spark = length(dx + 0.36 * r, dy + 0.36 * r) / (0.26 * r);
                    p.blend(i, [1.0; 3], 0.9 * smooth(1.0, 0.5, spark));
                    // Blown-up skin is paler.
                    let pale = mix3(p.scene.rgb[i], [0.9; 3], paling);
                    p.blend(i, pale, 0.8);
                }
            });
        }
    }

    pub(super) fn burn(&mut self, spot: Spot) {
        let r = self.rng.range(13.0, 34.0) * self.unit;
        let seed = self.rng.bits();
        let dark_base = lum(self.base(spot)) < 0.22;
        let (core, halo): (Rgb, Rgb) = if dark_base {
            ([0.60, 0.58, 0.55], [0.34, 0.22, 0.13])
        } else {
            ([0.035, 0.03, 0.03], [0.33, 0.19, 0.08])
        };
        self.each(spot, r * 1.4, |p, x, y, i| {
            let d = Self::blob(seed, r, 0.5, x - spot.0, y - spot.1);
            let a = 1.0 - smooth(0.70, 1.06, d);
            if a > 0.0 {
                let soot = noise(seed ^ 1, x * 0.4 / p.unit, y * 0.4 / p.unit);
                let c = mix3(core, halo, smooth(0.30, 0.72, d + 0.2 * (soot - 0.5)));
                p.blend(i, c, 0.95 * a);
                p.mark(i, smooth(0.1, 0.5, a));
                p.scene.gloss[i] *= 1.0 - a;
            }
        });
    }
}
