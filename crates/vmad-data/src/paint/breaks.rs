//! Further ways to draw missing and added pieces: hole, chip, burr.

use super::lines::Stroke;
use super::{Painter, Spot};
use crate::math::{cos, floor, length, lum, mix, mix3, noise, scale3, sin, smooth};

impl Painter<'_> {
    /// A punched opening with a torn border.
    pub(super) fn hole_torn(&mut self, spot: Spot) {
        let r = self.rng.range(6.5, 15.0) * self.unit;
        let seed = self.rng.bits();
        let base = self.base(spot);
        let inner = if lum(base) > 0.24 {
            [0.03, 0.028, 0.027]
        } else {
            [0.70, 0.70, 0.68]
        };
        let lip = mix3(base, [0.95, 0.95, 0.93], 0.5);
        let (teeth, sharp) = (self.rng.range(3.0, 7.0), self.rng.range(0.12, 0.35));
        self.each(spot, r * 1.6 + 4.0, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let q = length(dx, dy).max(1e-3);
            let (nx, ny) = (dx / q, dy / q);
            let tear = noise(seed, nx * teeth + 20.0, ny * teeth + 20.0) - 0.5;
            let d = q - r * (1.0 + sharp * tear);
            let rim = (1.0 - ((d - 1.0 * p.unit) / (2.0 * p.unit)).abs()).clamp(0.0, 1.0);
            p.blend(i, lip, 0.7 * rim);
            p.raise(i, 1.5 * rim);
            let a = (0.5 - d).clamp(0.0, 1.0);
            if a > 0.0 {
                p.blend(i, inner, a);
                p.scene.gloss[i] *= 1.0 - a;
                p.scene.height[i] = mix(p.scene.height[i], 0.0, 0.5 * a);
            }
        });
    }

    /// An opening whose lit wall is seen on one side.
    pub(super) fn hole_deep(&mut self, spot: Spot) {
        let r = self.rng.range(7.0, 15.0) * self.unit;
        let a = self.rng.angle();
        let tilt = r * self.rng.range(0.15, 0.4);
        let (ox, oy) = (tilt * cos(a), tilt * sin(a));
        let base = self.base(spot);
        let dark = lum(base) > 0.24;
        let inner = if dark { [0.02; 3] } else { [0.68, 0.68, 0.66] };
        let wall = if dark { scale3(base, 0.5) } else { [0.4; 3] };
        let seed = self.rng.bits();
        self.each(spot, r + 5.0, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let d = length(dx, dy) - r;
            let a = (0.5 - d).clamp(0.0, 1.0);
            if a > 0.0 {
                let floor_here = smooth(-1.0, 1.0, r - length(dx - ox, dy - oy));
                let streak = 0.8 + 0.4 * noise(seed, x * 0.5 / p.unit, y * 0.5 / p.unit);
                p.blend(i, mix3(scale3(wall, streak), inner, floor_here), a);
                p.scene.gloss[i] *= 1.0 - a;
                p.scene.height[i] = mix(p.scene.height[i], 0.0, 0.5 * a);
            }
        });
    }

    /// A shell-shaped break with ripples: bitten from the edge, or from the face.
    pub(super) fn chip_shell(&mut self, at: Spot, normal: Spot, at_edge: bool) {
        let r = self.rng.range(10.0, 22.0) * self.unit;
        let sides = 5 + self.pick(3);
        let corners = self.polygon(sides, r);
        let seed = self.rng.bits();
        let base = self.base((at.0 - normal.0 * 8.0, at.1 - normal.1 * 8.0));
        let raw = if lum(base) > 0.5 {
            scale3(base, 0.58)
        } else {
            mix3(base, [0.92, 0.90, 0.86], 0.5)
        };
        let behind = scale3(self.scene.behind, 0.72);
        // The blow hit at the outer side; ripples run inwards from there.
        let hit = (at.0 + normal.0 * r * 0.9, at.1 + normal.1 * r * 0.9);
        let gone = if at_edge {
            r * self.rng.range(0.7, 1.1)
        } else {
            -1.0
        };
        let pitch = self.rng.range(2.4, 4.0) * self.unit;
        self.each(at, r * 1.2, |p, x, y, i| {
            let d = Self::outside(&corners, x - at.0, y - at.1);
            let a = (0.5 - d).clamp(0.0, 1.0);
            if a <= 0.0 || p.cover[i] <= 0.0 {
                return;
            }
            let q = length(x - hit.0, y - hit.1);
            let ripple = 0.5 + 0.5 * sin(q / pitch * std::f32::consts::TAU);
            let grain = noise(seed, x * 0.4 / p.unit, y * 0.4 / p.unit);
            let shell = scale3(raw, 0.62 + 0.3 * ripple + 0.3 * grain);
            let missing = smooth(gone + 1.0, gone - 1.0, q);
            p.blend(i, mix3(shell, behind, missing), a);
            let drop = 2.0 / p.scene.side as f32 * p.unit * (3.0 + ripple);
            let flat = p.scene.height[i];
            p.scene.height[i] = mix(flat, mix(flat - drop, -0.02, missing), a);
            p.scene.gloss[i] *= 1.0 - a;
        });
    }

    /// A piece of the edge broken off along a jagged line.
    pub(super) fn chip_corner(&mut self, edge: Spot, normal: Spot) {
        let deep = self.rng.range(6.0, 14.0) * self.unit;
        let half = self.rng.range(12.0, 24.0) * self.unit;
        let seed = self.rng.bits();
        let lean = self.rng.sym(0.6);
        let base = self.base((edge.0 - normal.0 * 8.0, edge.1 - normal.1 * 8.0));
        let raw = mix3(
            base,
            if lum(base) > 0.55 {
                [0.25; 3]
            } else {
                [0.9; 3]
            },
            0.4,
        );
        let behind = scale3(self.scene.behind, 0.72);
        let band = 3.0 * self.unit;
        self.each(edge, half * 1.2 + deep, |p, x, y, i| {
            let (dx, dy) = (x - edge.0, y - edge.1);
            let out = dx * normal.0 + dy * normal.1;
            let along = dy * normal.0 - dx * normal.1;
            let t = along / half;
            if t.abs() >= 1.0 || p.cover[i] <= 0.0 || out > 3.0 * deep {
                return;
            }
            // A triangle with its tip off the middle, its sides in short straight breaks.
            let tip = if t < lean {
                (t + 1.0) / (lean + 1.0)
            } else {
                (1.0 - t) / (1.0 - lean)
            };
            let step = 5.0 * p.unit;
            let k = floor(along / step + 40.0);
            let f = along / step + 40.0 - k;
            let jag = mix(
                noise(seed, k * 1.7, 0.5),
                noise(seed, (k + 1.0) * 1.7, 0.5),
                f,
            ) - 0.5;
            let border = -deep * tip * (1.0 + 0.7 * jag);
            let a = (out - border + 0.5).clamp(0.0, 1.0);
            if a > 0.0 {
                let grain = 0.7 + 0.6 * noise(seed ^ 3, x * 0.5 / p.unit, y * 0.5 / p.unit);
                let gone = smooth(band - 1.0, band + 1.0, out - border);
                p.blend(i, mix3(scale3(raw, grain), behind, gone), a);
                p.scene.height[i] = mix(p.scene.height[i], -0.02 * gone, a);
                p.scene.gloss[i] *= 1.0 - a;
            }
        });
    }

    /// Pointed slivers that stand off an edge, or a row of them on a face.
    pub(super) fn burr_slivers(&mut self, edge: Spot, normal: Spot) {
        let half = self.rng.range(14.0, 28.0) * self.unit;
        let tall = self.rng.range(6.0, 12.0) * self.unit;
        let base = self.base((edge.0 - normal.0 * 8.0, edge.1 - normal.1 * 8.0));
        let pale = mix3(
            base,
            [0.95, 0.95, 0.92],
            if lum(base) > 0.7 { 0.0 } else { 0.55 },
        );
        let dark = scale3(base, 0.35);
        let pitch = self.rng.range(2.6, 4.6) * self.unit;
        let count = (2.0 * half / pitch) as usize;
        let lean = self.rng.sym(0.7);
        let mut strokes: [Vec<Stroke>; 2] = [Vec::new(), Vec::new()];
        for k in 0..count {
            let t = (k as f32 + self.rng.sym(0.3)) * pitch - half;
            let window = 1.0 - (t / half) * (t / half);
            let own = tall * window.max(0.15) * self.rng.range(0.5, 1.1);
            let tilt = lean + self.rng.sym(0.35);
            let root = (
                edge.0 - normal.1 * t - normal.0 * 2.0,
                edge.1 + normal.0 * t - normal.1 * 2.0,
            );
            let dir = (normal.0 - normal.1 * tilt, normal.1 + normal.0 * tilt);
            // Three pieces of falling width make a point.
            for j in 0..3 {
                let (a, b) = (j as f32 / 3.0, (j + 1) as f32 / 3.0);
                let at = |s: f32, off: f32| {
                    (
                        root.0 + dir.0 * own * s + off,
                        root.1 + dir.1 * own * s + off,
                    )
                };
                let half = (1.0 - a) * 1.5 * self.unit.max(0.7) + 0.3;
                let shift = 1.1 * self.unit;
                strokes[0].push(Stroke {
                    from: at(a, shift),
                    to: at(b, shift),
                    half,
                });
                strokes[1].push(Stroke {
                    from: at(a, 0.0),
                    to: at(b, 0.0),
                    half,
                });
            }
        }
        let [under, over] = strokes;
        let texture = self.texture;
        for (i, a) in self.ink(&under) {
            let own = if texture { a * self.cover[i] } else { a };
            self.scene.rgb[i] = mix3(self.scene.rgb[i], dark, 0.8 * own);
            self.alpha[i] = self.alpha[i].max(own);
        }
        for (i, a) in self.ink(&over) {
            self.scene.rgb[i] = mix3(self.scene.rgb[i], pale, a);
            self.scene.gloss[i] = mix(self.scene.gloss[i], 0.4, a);
            self.scene.height[i] += a * 2.5 * self.unit * 2.0 / self.scene.side as f32;
            self.alpha[i] = self.alpha[i].max(a);
        }
    }
}
