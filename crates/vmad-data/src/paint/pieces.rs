//! Missing and added pieces: hole, chip, burr, contamination.

use super::{Painter, Spot};
use crate::math::{Rgb, cos, floor, length, lum, mix, mix3, noise, scale3, sin, smooth};

impl Painter<'_> {
    pub(super) fn hole(&mut self, spot: Spot) {
        let r = self.rng.range(6.5, 16.0) * self.unit;
        let (squeeze, turn) = (self.rng.range(0.82, 1.0), self.rng.angle());
        let (c, s) = (cos(turn), sin(turn));
        let base = self.base(spot);
        // Through a dark product the lit table is seen.
        let inner = if lum(base) > 0.24 {
            [0.025, 0.023, 0.022]
        } else {
            [0.70, 0.70, 0.68]
        };
        let lip = mix3(base, [0.95, 0.95, 0.93], 0.45);
        self.each(spot, r + 4.0, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let d = length(c * dx + s * dy, (c * dy - s * dx) / squeeze) - r;
            let rim = (1.0 - (d / 1.6).abs()).clamp(0.0, 1.0);
            p.blend(i, lip, 0.7 * rim);
            let a = (0.5 - d).clamp(0.0, 1.0);
            if a > 0.0 {
                p.blend(i, inner, a);
                p.scene.gloss[i] *= 1.0 - a;
                let flat = p.scene.height[i];
                p.scene.height[i] = mix(flat, 0.0, a * 0.5);
            }
        });
    }

    pub(super) fn chip(&mut self, edge: Spot, normal: Spot) {
        // A polygon bitten out of the edge; its inner border shows the broken material.
        let r = self.rng.range(11.0, 24.0) * self.unit;
        let sides = 5 + self.pick(3);
        let corners = self.polygon(sides, r);
        let seed = self.rng.bits();
        let at = (edge.0 - normal.0 * r * 0.12, edge.1 - normal.1 * r * 0.12);
        let base = self.base((edge.0 - normal.0 * 8.0, edge.1 - normal.1 * 8.0));
        let broken = mix3(
            base,
            if lum(base) > 0.55 {
                [0.25; 3]
            } else {
                [0.9; 3]
            },
            0.4,
        );
        let behind = scale3(self.scene.behind, 0.72);
        let band = 3.2 * self.unit;
        self.each(at, r * 1.3, |p, x, y, i| {
            let d = Self::outside(&corners, x - at.0, y - at.1);
            let a = (0.5 - d).clamp(0.0, 1.0);
            if a > 0.0 && p.cover[i] > 0.0 {
                let rough = 0.7 + 0.6 * noise(seed, x * 0.5 / p.unit, y * 0.5 / p.unit);
                let inner = smooth(-band - 1.0, -band + 1.0, d);
                p.blend(i, mix3(behind, scale3(broken, rough), inner), a);
                let flat = p.scene.height[i];
                p.scene.height[i] = mix(flat, -0.02 * (1.0 - inner), a);
                p.scene.gloss[i] *= 1.0 - a;
            }
        });
    }

    /// Corners of a convex polygon around the origin.
    pub(super) fn polygon(&mut self, n: usize, r: f32) -> Vec<Spot> {
        let start = self.rng.angle();
        (0..n)
            .map(|k| {
                let a = start + (k as f32 + self.rng.sym(0.25)) * std::f32::consts::TAU / n as f32;
                let q = r * self.rng.range(0.72, 1.05);
                (q * cos(a), q * sin(a))
            })
            .collect()
    }

    /// Largest signed distance to the sides of a polygon with counter-clockwise corners.
    pub(super) fn outside(corners: &[Spot], x: f32, y: f32) -> f32 {
        let mut worst = f32::MIN;
        for (k, a) in corners.iter().enumerate() {
            let b = corners[(k + 1) % corners.len()];
            let (ex, ey) = (b.0 - a.0, b.1 - a.1);
            let d = ((x - a.0) * ey - (y - a.1) * ex) / length(ex, ey).max(1e-3);
            worst = worst.max(d);
        }
        worst
    }

    /// A flake broken out of a surface: sharp facets and raw material.
    pub(super) fn flake(&mut self, spot: Spot) {
        let r = self.rng.range(9.0, 20.0) * self.unit;
        let sides = 5 + self.pick(2);
        let corners = self.polygon(sides, r);
        let seed = self.rng.bits();
        let base = self.base(spot);
        let raw = if lum(base) > 0.5 {
            scale3(base, 0.62)
        } else {
            mix3(base, [0.92, 0.90, 0.86], 0.45)
        };
        let ridge = self.rng.angle();
        let (c, s) = (cos(ridge), sin(ridge));
        self.each(spot, r * 1.15, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let d = Self::outside(&corners, dx, dy);
            let a = (0.5 - d).clamp(0.0, 1.0);
            if a > 0.0 {
                // Two facets meet at a ridge; the border drops steeply.
                let facet = (c * dx + s * dy).abs();
                let grain = noise(seed, x * 0.45 / p.unit, y * 0.45 / p.unit);
                let wall = smooth(0.0, 3.0 * p.unit, -d);
                let f = 0.74 + 0.36 * facet / r + 0.26 * grain;
                p.blend(i, scale3(raw, f * (0.55 + 0.45 * wall)), a);
                let flat = p.scene.height[i];
                let floor = flat - 2.0 / p.scene.side as f32 * (3.5 * wall * p.unit + 1.2 * grain);
                p.scene.height[i] = mix(flat, floor + 0.25 * facet / 128.0 / p.unit, a);
                p.scene.gloss[i] *= 1.0 - a;
            }
        });
    }

    pub(super) fn contamination(&mut self, spot: Spot) {
        let spread = self.rng.range(10.0, 30.0) * self.unit;
        let base = self.base(spot);
        let palette: [Rgb; 4] = [
            [0.93, 0.92, 0.88],
            [0.07, 0.07, 0.08],
            [0.15, 0.30, 0.75],
            [0.80, 0.68, 0.20],
        ];
        let away = |c: Rgb| (0..3).map(|k| (c[k] - base[k]).abs()).fold(0.0, f32::max);
        let mut colour = palette[self.pick(4)];
        if away(colour) < 0.4 {
            colour = if lum(base) > 0.5 {
                palette[1]
            } else {
                palette[0]
            };
        }
        let count = 7 + self.pick(12);
        for _ in 0..count {
            let (a, q) = (self.rng.angle(), spread * self.rng.unit().sqrt());
            let at = (spot.0 + q * cos(a), spot.1 + q * sin(a));
            let r = self.rng.range(1.7, 4.3) * self.unit.max(0.6);
            let sides = 4 + self.pick(2);
            let corners = self.polygon(sides, r);
            let c = scale3(colour, self.rng.range(0.8, 1.15)).map(|v| v.min(1.0));
            self.each(at, r * 1.6 + 2.0, |p, x, y, i| {
                let (dx, dy) = (x - at.0, y - at.1);
                let shadow = Self::outside(&corners, dx - 1.5, dy - 1.5);
                if shadow < 0.5 {
                    let dim = scale3(p.scene.rgb[i], 0.6);
                    p.scene.rgb[i] = mix3(p.scene.rgb[i], dim, p.cover[i]);
                }
                let a = (0.5 - Self::outside(&corners, dx, dy)).clamp(0.0, 1.0);
                if a > 0.0 {
                    p.blend(i, c, a);
                    p.raise(i, 1.2 * a);
                }
            });
        }
    }

    pub(super) fn burr(&mut self, edge: Spot, normal: Spot) {
        // Torn slivers of the product's own material along an edge.
        let half = self.rng.range(14.0, 28.0) * self.unit;
        let tall = self.rng.range(8.0, 13.0) * self.unit;
        let seed = self.rng.bits();
        let base = self.base((edge.0 - normal.0 * 8.0, edge.1 - normal.1 * 8.0));
        let sliver = mix3(
            base,
            [0.95, 0.95, 0.92],
            if lum(base) > 0.7 { 0.0 } else { 0.5 },
        );
        let dark = scale3(base, 0.35);
        let texture = self.texture;
        self.each(edge, half * 1.2 + tall, |p, x, y, i| {
            let (dx, dy) = (x - edge.0, y - edge.1);
            let along = dy * normal.0 - dx * normal.1;
            let out = dx * normal.0 + dy * normal.1;
            let t = along / half;
            if t.abs() > 1.0 {
                return;
            }
            let window = 1.0 - t * t;
            // Teeth lean to one side: a ramp per step, of random height.
            let step = 4.6 * p.unit;
            let k = floor(along / step + 40.0);
            let ramp = along / step + 40.0 - k;
            let top =
                tall * window * (0.35 + 0.65 * noise(seed, k * 1.7, 3.0)) * (1.0 - 0.75 * ramp);
            let floor = if texture { 0.0 } else { -7.0 * p.unit };
            let free = if texture { 1.0 } else { 1.0 - p.cover[i] };
            let a = (top - out + 0.5).clamp(0.0, 1.0) * (out - floor + 0.5).clamp(0.0, 1.0);
            let a = a * if texture {
                1.0
            } else {
                smooth(0.02, 0.6, free)
            };
            if a > 0.0 {
                let shade = mix3(sliver, dark, smooth(0.55, 1.0, ramp));
                p.scene.rgb[i] = mix3(p.scene.rgb[i], shade, a);
                p.scene.gloss[i] = mix(p.scene.gloss[i], 0.4, a);
                p.scene.height[i] += a * (1.0 - ramp) * 2.0 * p.unit * 2.0 / p.scene.side as f32;
                p.alpha[i] = p.alpha[i].max(a);
            }
            if texture {
                // The raised lip throws a shadow at its root.
                let root = (1.0 - (out + 1.8 * p.unit).abs() / (1.6 * p.unit)).clamp(0.0, 1.0)
                    * window.min(0.5)
                    * 2.0;
                if root > 0.0 {
                    p.blend(i, dark, root);
                }
            }
        });
    }
}
