//! Further ways to draw cloudy and round defects: stain, discolouration, rust, burn, dent, bubble.

use super::{Painter, Spot};
use crate::math::{Rgb, cos, fbm, length, lum, mix, mix3, noise, scale3, sin, smooth};

impl Painter<'_> {
    /// What a liquid leaves on a surface of this colour.
    fn residue(&mut self, base: Rgb) -> Rgb {
        if lum(base) < 0.30 {
            return mix3(base, [0.62, 0.60, 0.54], 0.62);
        }
        let f: [Rgb; 4] = [
            [0.52, 0.40, 0.24],
            [0.40, 0.40, 0.43],
            [0.50, 0.50, 0.34],
            [0.55, 0.35, 0.40],
        ];
        let f = f[self.pick(4)];
        [base[0] * f[0], base[1] * f[1], base[2] * f[2]]
    }

    /// A ring left by a wet foot or drop, with splashes beside it.
    pub(super) fn stain_ring(&mut self, spot: Spot) {
        let r = self.rng.range(13.0, 32.0) * self.unit;
        let base = self.base(spot);
        let tint = self.residue(base);
        let mut drops = vec![(spot, r, self.rng.bits())];
        for _ in 0..self.pick(4) {
            let (a, q) = (self.rng.angle(), r * self.rng.range(1.2, 1.7));
            let at = (spot.0 + q * cos(a), spot.1 + q * sin(a));
            drops.push((at, r * self.rng.range(0.12, 0.3), self.rng.bits()));
        }
        let fill = self.rng.range(0.2, 0.5);
        let width = self.rng.range(0.14, 0.3);
        for (at, r, seed) in drops {
            let edge = (1.5 / r).min(0.5);
            self.each(at, r * 1.5, |p, x, y, i| {
                let d = Self::blob(seed, r, 0.6, x - at.0, y - at.1);
                let a = 1.0 - smooth(1.0 - edge, 1.0 + edge, d);
                if a > 0.0 {
                    let rim = smooth(1.0 - 2.0 * width, 1.0 - 0.5 * width, d);
                    let c = scale3(tint, 0.5 + 0.5 * lum(p.scene.rgb[i]) / lum(base).max(0.05));
                    p.blend(i, c, a * mix(fill, 0.92, rim));
                    p.mark(i, a);
                    p.scene.gloss[i] *= 1.0 - 0.6 * a;
                }
            });
        }
    }

    /// Liquid that ran down and dried, with a drop at each lower end.
    pub(super) fn stain_runs(&mut self, spot: Spot) {
        let base = self.base(spot);
        let tint = self.residue(base);
        let down = if self.rng.chance(0.7) {
            std::f32::consts::FRAC_PI_2
        } else {
            self.rng.angle()
        };
        let (c, s) = (cos(down), sin(down));
        let count = 1 + self.pick(3);
        for k in 0..count {
            let off = (k as f32 - 0.5 * (count - 1) as f32) * self.rng.range(9.0, 16.0) * self.unit;
            let at = (spot.0 - s * off, spot.1 + c * off);
            let len = self.rng.range(24.0, 60.0) * self.unit;
            let half = self.rng.range(3.5, 7.0) * self.unit;
            let seed = self.rng.bits();
            self.each(at, len, |p, x, y, i| {
                let (dx, dy) = (x - at.0, y - at.1);
                let (u, v) = (c * dx + s * dy, c * dy - s * dx);
                let t = u / len + 0.5;
                let wander = 2.0 * half * (noise(seed, u * 0.06 / p.unit, 0.5) - 0.5);
                let own =
                    half * (0.55 + 0.5 * noise(seed ^ 1, u * 0.1 / p.unit, 0.5)) * (0.7 + 0.5 * t);
                let drop = length(u - 0.45 * len, v - wander) / (1.25 * half);
                let body = ((v - wander).abs() / own).max((t - 0.5).abs() * 2.0 / 0.95);
                let d = body.min(drop);
                let a = 1.0 - smooth(0.82, 1.12, d);
                if a > 0.0 {
                    let rim = smooth(0.55, 0.9, d);
                    p.blend(i, scale3(tint, 1.0 - 0.3 * rim), a * (0.6 + 0.35 * rim));
                    p.mark(i, a);
                    p.scene.gloss[i] *= 1.0 - 0.6 * a;
                }
            });
        }
    }

    /// A soft band of another tone.
    pub(super) fn discolouration_band(&mut self, spot: Spot) {
        let (long, wide) = (self.rng.range(34.0, 70.0), self.rng.range(10.0, 22.0));
        let (long, wide) = (long * self.unit, wide * self.unit);
        let angle = self.rng.angle();
        let (c, s) = (cos(angle), sin(angle));
        let seed = self.rng.bits();
        let base = self.base(spot);
        let tints: [Rgb; 6] = [
            [1.30, 1.10, 0.55],
            [0.60, 0.85, 1.40],
            [1.35, 0.70, 0.80],
            [0.75, 1.25, 0.75],
            [0.45, 0.45, 0.47],
            [1.70, 1.68, 1.62],
        ];
        let tint = tints[self.pick(if lum(base) > 0.6 { 5 } else { 6 })];
        let lift = if lum(base) < 0.2 { 1.9 } else { 1.0 };
        self.each(spot, long * 1.1, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let (u, v) = (c * dx + s * dy, c * dy - s * dx);
            let ragged = 0.5 * (fbm(seed, dx * 0.03 / p.unit, dy * 0.03 / p.unit, 2) - 0.5);
            let d = length(u / long, v / wide) + ragged;
            let a = 1.0 - smooth(0.35, 1.05, d);
            if a > 0.0 {
                let l = mix3(p.scene.rgb[i], [lum(p.scene.rgb[i]); 3], 0.6);
                let c = [0, 1, 2].map(|k| (l[k] * lift * tint[k]).min(1.0));
                p.blend(i, c, 0.85 * a);
                p.mark(i, smooth(0.15, 0.6, a));
            }
        });
    }

    /// Rings of tempering colours, straw to blue.
    pub(super) fn discolouration_temper(&mut self, spot: Spot) {
        let r = self.rng.range(20.0, 44.0) * self.unit;
        let seed = self.rng.bits();
        let stretch = self.rng.range(0.5, 1.0);
        let angle = self.rng.angle();
        let (c, s) = (cos(angle), sin(angle));
        const RINGS: [Rgb; 4] = [
            [0.62, 0.70, 0.86],
            [0.42, 0.45, 0.90],
            [0.72, 0.42, 0.66],
            [0.92, 0.72, 0.34],
        ];
        let level = lum(self.base(spot)).max(0.28) / 0.6;
        self.each(spot, r * 1.5, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let (u, v) = (c * dx + s * dy, (c * dy - s * dx) / stretch);
            let d = Self::blob(seed, r, 0.6, u, v);
            let a = 1.0 - smooth(0.75, 1.1, d);
            if a > 0.0 {
                let t = (d / 0.95).clamp(0.0, 0.999) * 3.0;
                let k = t as usize;
                let ring = mix3(RINGS[k], RINGS[k + 1], smooth(0.0, 1.0, t - k as f32));
                let own = lum(p.scene.rgb[i]) / (level * 0.6).max(0.05);
                p.blend(
                    i,
                    scale3(ring, level * (0.5 + 0.5 * own)).map(|v| v.min(1.0)),
                    0.75 * a,
                );
                p.mark(i, smooth(0.15, 0.6, a));
            }
        });
    }

    fn rusty(seed: u32, x: f32, y: f32, m: f32) -> Rgb {
        let grain = noise(seed ^ 3, x, y);
        mix3(
            [0.27, 0.11, 0.05],
            [0.74, 0.37, 0.12],
            smooth(0.3, 0.7, m) * 0.6 + 0.4 * grain,
        )
    }

    /// Many small pits that grow together.
    pub(super) fn rust_pits(&mut self, spot: Spot) {
        let r = self.rng.range(14.0, 32.0) * self.unit;
        let seed = self.rng.bits();
        let count = 14 + self.pick(26);
        for k in 0..count {
            let (a, q) = (self.rng.angle(), r * self.rng.unit());
            let at = (spot.0 + q * cos(a), spot.1 + q * sin(a));
            let own = self.rng.range(1.8, 6.0) * self.unit * (1.2 - 0.6 * q / r);
            let lobes = seed.wrapping_add(k as u32);
            self.each(at, own * 2.0, |p, x, y, i| {
                let d = Self::blob(lobes, own, 0.9, x - at.0, y - at.1);
                let a = 1.0 - smooth(0.7, 1.15, d);
                if a > 0.0 {
                    let c = Self::rusty(
                        seed,
                        x * 0.6 / p.unit,
                        y * 0.6 / p.unit,
                        0.8 - 0.5 * (1.0 - d),
                    );
                    p.blend(i, c, 0.92 * a);
                    p.mark(i, a);
                    p.raise(i, 0.9 * a);
                    p.scene.gloss[i] *= 1.0 - a;
                }
            });
        }
    }

    /// A patch from which rust has run down.
    pub(super) fn rust_run(&mut self, spot: Spot) {
        let r = self.rng.range(9.0, 20.0) * self.unit;
        let len = self.rng.range(1.5, 4.0) * r;
        let seed = self.rng.bits();
        let scale = 0.16 / self.unit;
        self.each(spot, r + len, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let m = fbm(seed, x * scale, y * scale, 4);
            let patch = smooth(0.0, 0.10, m + 0.30 - 0.62 * length(dx, dy) / r);
            let lane = smooth(0.25, 0.6, noise(seed ^ 7, x * 0.18 / p.unit, 0.5));
            let fade = (1.0 - dy / len).clamp(0.0, 1.0);
            let run = if dy > 0.0 {
                lane * fade * (1.0 - smooth(0.5, 0.95, dx.abs() / r))
            } else {
                0.0
            };
            let a = patch.max(0.8 * run);
            if a > 0.03 {
                let c = Self::rusty(seed, x * 0.6 / p.unit, y * 0.6 / p.unit, m);
                p.blend(i, c, 0.92 * a);
                p.mark(i, smooth(0.1, 0.5, a));
                p.raise(i, 1.4 * patch * m);
                p.scene.gloss[i] *= 1.0 - a;
            }
        });
    }

    fn scorch(&self, base: Rgb) -> (Rgb, Rgb) {
        if lum(base) < 0.22 {
            ([0.60, 0.58, 0.55], [0.34, 0.22, 0.13])
        } else {
            ([0.035, 0.03, 0.03], [0.33, 0.19, 0.08])
        }
    }

    /// The trace of an arc or a hot edge.
    pub(super) fn burn_trace(&mut self, spot: Spot) {
        let len = self.rng.range(34.0, 80.0) * self.unit;
        let half = self.rng.range(6.0, 12.0) * self.unit;
        let angle = self.rng.angle();
        let (c, s) = (cos(angle), sin(angle));
        let bow = self.rng.sym(0.15);
        let seed = self.rng.bits();
        let (core, halo) = self.scorch(self.base(spot));
        self.each(spot, 0.6 * len + half, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let (u, v) = (c * dx + s * dy, c * dy - s * dx);
            let t = 2.0 * u / len;
            let soot = noise(seed, x * 0.25 / p.unit, y * 0.25 / p.unit);
            let own = half
                * (1.0 - 0.75 * (t * t).min(1.0))
                * (0.7 + 0.6 * noise(seed ^ 2, u * 0.08 / p.unit, 0.5));
            let d = ((v - bow * len * (t * t - 0.5)).abs() / own).max(t.abs());
            let a = 1.0 - smooth(0.72, 1.05, d + 0.25 * (soot - 0.5));
            if a > 0.0 {
                p.blend(i, mix3(core, halo, smooth(0.30, 0.75, d)), 0.95 * a);
                p.mark(i, smooth(0.1, 0.5, a));
                p.scene.gloss[i] *= 1.0 - a;
            }
        });
    }

    /// Sparks: several small burns.
    pub(super) fn burn_sparks(&mut self, spot: Spot) {
        let (core, halo) = self.scorch(self.base(spot));
        let count = 3 + self.pick(5);
        let spread = self.rng.range(10.0, 26.0) * self.unit;
        for k in 0..count {
            let at = if k == 0 {
                spot
            } else {
                let (a, q) = (self.rng.angle(), spread * self.rng.range(0.4, 1.0));
                (spot.0 + q * cos(a), spot.1 + q * sin(a))
            };
            let r = self.rng.range(3.5, 9.0) * self.unit * if k == 0 { 1.4 } else { 1.0 };
            let seed = self.rng.bits();
            self.each(at, r * 1.7, |p, x, y, i| {
                let d = Self::blob(seed, r, 0.6, x - at.0, y - at.1);
                let a = 1.0 - smooth(0.75, 1.15, d);
                if a > 0.0 {
                    p.blend(i, mix3(core, halo, smooth(0.35, 0.75, d)), 0.95 * a);
                    p.mark(i, smooth(0.1, 0.5, a));
                    p.scene.gloss[i] *= 1.0 - a;
                }
            });
        }
    }

    /// Presses the surface in by a profile of 0..1, and shades it as a hollow is shaded.
    fn press(&mut self, i: usize, depth: f32, k: f32, dark: bool) {
        self.raise(i, -depth * k);
        let own = self.scene.rgb[i];
        let dim = if dark {
            mix3(own, [0.62; 3], 0.5 * smooth(0.0, 0.5, k))
        } else {
            scale3(own, 1.0 - 0.28 * k)
        };
        self.scene.rgb[i] = mix3(own, dim, self.cover[i]);
    }

    /// A long trough, as an edge leaves it.
    pub(super) fn dent_trough(&mut self, spot: Spot) {
        let long = self.rng.range(20.0, 40.0) * self.unit;
        let wide = self.rng.range(6.5, 11.0) * self.unit;
        let angle = self.rng.angle();
        let (c, s) = (cos(angle), sin(angle));
        let depth = wide * self.rng.range(0.32, 0.52) * if self.texture { 1.4 } else { 1.0 };
        let dark = lum(self.base(spot)) < 0.25;
        self.each(spot, long + wide, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let (u, v) = (c * dx + s * dy, c * dy - s * dx);
            let q = length((u.abs() - long + wide).max(0.0), v) / wide;
            if q < 1.0 {
                let k = (1.0 - q * q) * (1.0 - q * q);
                p.press(i, depth, k, dark);
                p.mark(i, smooth(1.0, 0.86, q));
                p.scene.gloss[i] = p.scene.gloss[i].max(0.2 * k);
            }
        });
    }

    /// A knock with a raised rim around it.
    pub(super) fn dent_rimmed(&mut self, spot: Spot) {
        let r = self.rng.range(11.0, 24.0) * self.unit;
        let (squeeze, turn) = (self.rng.range(0.7, 1.0), self.rng.angle());
        let (c, s) = (cos(turn), sin(turn));
        let depth = r * self.rng.range(0.28, 0.42) * if self.texture { 1.5 } else { 1.0 };
        let seed = self.rng.bits();
        let base = self.base(spot);
        let dark = lum(base) < 0.25;
        self.each(spot, r * 1.35, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let (u, v) = (c * dx + s * dy, (c * dy - s * dx) / squeeze);
            let q = Self::blob(seed, r, 0.25, u, v);
            if q < 1.25 {
                let k = (1.0 - q * q).max(0.0);
                let rim = 1.0 - ((q - 1.02) / 0.2).abs().min(1.0);
                p.press(i, depth, k * k, dark);
                p.raise(i, 0.22 * depth * rim);
                p.blend(i, mix3(p.scene.rgb[i], [0.95; 3], 0.3), 0.5 * rim);
                p.mark(i, smooth(1.22, 1.05, q));
                p.scene.gloss[i] = p.scene.gloss[i].max(0.2 * k);
            }
        });
    }

    /// Soft blisters under a skin; `many` small ones or some larger.
    pub(super) fn bubble_blisters(&mut self, spot: Spot, many: bool) {
        let base = self.base(spot);
        let paling = if lum(base) < 0.25 { 0.4 } else { 0.3 };
        let count = if many {
            10 + self.pick(14)
        } else {
            3 + self.pick(5)
        };
        let spread = self.rng.range(12.0, 28.0) * self.unit;
        let mut placed: Vec<(Spot, f32)> = Vec::new();
        for k in 0..count * 4 {
            if placed.len() == count {
                break;
            }
            let r = if many {
                self.rng.range(2.8, 5.5)
            } else {
                self.rng.range(5.0, 11.0)
            } * self.unit;
            let (a, q) = (self.rng.angle(), spread * self.rng.unit());
            let q = if k == 0 { 0.0 } else { q };
            let at = (spot.0 + q * cos(a), spot.1 + q * sin(a));
            let clear = placed
                .iter()
                .all(|(o, s)| length(o.0 - at.0, o.1 - at.1) > 0.9 * (r + s));
            if !clear || self.cover_at(at.0, at.1) < 0.99 {
                continue;
            }
            placed.push((at, r));
            let tall = self.rng.range(0.35, 0.6) * r;
            self.each(at, r + 3.0, |p, x, y, i| {
                let (dx, dy) = (x - at.0, y - at.1);
                let q = length(dx, dy) / r;
                if q < 1.15 {
                    // The skin bends up softly; a faint shade runs around its foot.
                    let k = (1.0 - q * q).max(0.0);
                    let foot = 1.0 - ((q - 1.0) / 0.22).abs().min(1.0);
                    p.raise(i, tall * k.sqrt());
                    p.blend(i, scale3(p.scene.rgb[i], 0.6), 0.5 * foot);
                    p.blend(
                        i,
                        mix3(p.scene.rgb[i], [0.9; 3], paling),
                        0.8 * smooth(0.0, 0.3, k),
                    );
                    let spark = length(dx + 0.34 * r, dy + 0.38 * r) / (0.3 * r);
                    p.blend(i, [1.0; 3], 0.55 * smooth(1.0, 0.4, spark));
                    p.mark(i, smooth(1.15, 1.0, q));
                    p.scene.gloss[i] = p.scene.gloss[i].max(0.3 * k);
                }
            });
        }
    }
}
