//! Line-like defects: scratch, crack, cut, abrasion, misprint.

use tiny_skia::{FillRule, LineCap, Mask, PathBuilder, Transform};

use super::{Painter, Spot};
use crate::math::{Rgb, cos, length, lum, mix3, noise, scale3, sin, smooth};

/// A straight stroke with round ends.
pub(super) struct Stroke {
    pub from: Spot,
    pub to: Spot,
    /// Half its width in pixels.
    pub half: f32,
}

impl Painter<'_> {
    /// Points along a bent line, with the position along it in 0..1.
    pub(super) fn curve(&self, spot: Spot, len: f32, angle: f32, bend: f32) -> Vec<(Spot, f32)> {
        const STEPS: usize = 24;
        let (c, s) = (cos(angle), sin(angle));
        (0..=STEPS)
            .map(|k| {
                let share = k as f32 / STEPS as f32;
                let t = 2.0 * share - 1.0;
                let along = t * len * 0.5;
                let off = bend * len * (t * t - 0.5);
                let point = (spot.0 + c * along - s * off, spot.1 + s * along + c * off);
                (point, share)
            })
            .collect()
    }

    /// How much each pixel is covered by strokes, 0..1, for all that are.
    pub(super) fn ink(&self, strokes: &[Stroke]) -> Vec<(usize, f32)> {
        let side = self.scene.side as u32;
        let Some(mut mask) = Mask::new(side, side) else {
            return Vec::new();
        };
        for Stroke { from, to, half } in strokes {
            let mut line = PathBuilder::new();
            line.move_to(from.0 + 0.5, from.1 + 0.5);
            line.line_to(to.0 + 0.5, to.1 + 0.5);
            let pen = tiny_skia::Stroke {
                width: 2.0 * half,
                line_cap: LineCap::Round,
                ..tiny_skia::Stroke::default()
            };
            // A stroke without length has no outline, and leaves no ink.
            if let Some(outline) = line.finish().and_then(|line| line.stroke(&pen, 1.0)) {
                mask.fill_path(&outline, FillRule::Winding, true, Transform::identity());
            }
        }
        let covered = mask.data().iter().enumerate();
        covered
            .filter(|(_, a)| **a > 0)
            .map(|(i, a)| (i, f32::from(*a) / 255.0))
            .collect()
    }

    pub(super) fn scratch(&mut self, spot: Spot) {
        let len = self.rng.range(45.0, 140.0) * self.unit;
        let angle = self.rng.angle();
        let bend = self.rng.sym(0.10);
        let base = self.base(spot);
        let bright = if lum(base) < 0.66 {
            mix3(base, [0.97, 0.97, 0.95], 0.75)
        } else {
            scale3(base, 0.42)
        };
        let count = if self.rng.chance(0.3) { 2 } else { 1 };
        for k in 0..count {
            let gap = k as f32 * self.rng.range(4.0, 7.0) * self.unit;
            let at = (spot.0 - sin(angle) * gap, spot.1 + cos(angle) * gap);
            let l = len * if k == 0 { 1.0 } else { 0.7 };
            let half = self.rng.range(0.9, 1.5) * self.unit.max(0.7);
            let strokes: Vec<Stroke> = self
                .curve(at, l, angle, bend)
                .windows(2)
                .map(|w| {
                    let t = 0.5 * (w[0].1 + w[1].1);
                    Stroke {
                        from: w[0].0,
                        to: w[1].0,
                        half: half * (0.45 + 2.2 * t * (1.0 - t)),
                    }
                })
                .collect();
            for (i, a) in self.ink(&strokes) {
                self.blend(i, bright, 0.9 * a);
                self.mark(i, a);
                self.raise(i, -a);
            }
        }
    }

    pub(super) fn crack(&mut self, spot: Spot) {
        let base = self.base(spot);
        let dark = if lum(base) > 0.22 {
            scale3(base, 0.10)
        } else {
            [0.62, 0.60, 0.57]
        };
        let heading = self.rng.angle();
        let n = 6 + self.rng.below(7);
        let mut lines = vec![self.jagged(spot, heading, n)];
        for _ in 0..1 + self.rng.below(2) {
            let k = 1 + self.rng.below(n - 2);
            let from = lines[0][k];
            let turn = heading + if self.rng.chance(0.5) { 0.9 } else { -0.9 };
            let m = 3 + self.rng.below(3);
            lines.push(self.jagged(from, turn, m));
        }
        let half = self.rng.range(1.0, 1.6) * self.unit.max(0.7);
        // Each branch ends thinner than it began.
        let strokes: Vec<Stroke> = lines
            .iter()
            .flat_map(|line| {
                let n = line.len() - 1;
                line.windows(2).enumerate().map(move |(k, w)| Stroke {
                    from: w[0],
                    to: w[1],
                    half: half * (1.15 - 0.8 * (k as f32 + 0.5) / n as f32),
                })
            })
            .collect();
        for (i, a) in self.ink(&strokes) {
            self.blend(i, dark, 0.95 * a);
            self.mark(i, a);
            self.raise(i, -1.5 * a);
        }
    }

    fn jagged(&mut self, from: Spot, heading: f32, n: usize) -> Vec<Spot> {
        let mut out = vec![from];
        let (mut x, mut y) = from;
        for _ in 0..n {
            let a = heading + self.rng.sym(0.85);
            let step = self.rng.range(5.0, 11.0) * self.unit;
            x += step * cos(a);
            y += step * sin(a);
            out.push((x, y));
        }
        out
    }

    pub(super) fn cut(&mut self, spot: Spot) {
        let len = self.rng.range(36.0, 90.0) * self.unit;
        let half = self.rng.range(2.8, 5.0) * self.unit;
        let angle = self.rng.angle();
        let (c, s) = (cos(angle), sin(angle));
        let bow = self.rng.sym(0.06);
        let base = self.base(spot);
        let inner = if lum(base) > 0.24 {
            scale3(base, 0.08)
        } else {
            [0.72, 0.70, 0.66]
        };
        let lip = mix3(base, [0.96, 0.95, 0.92], 0.6);
        self.each(spot, len * 0.56 + 6.0, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let t = 2.0 * (c * dx + s * dy) / len;
            if t.abs() > 1.0 {
                return;
            }
            let across = (c * dy - s * dx) - bow * len * (t * t - 0.5);
            let w = half * (1.0 - t * t);
            let d = across.abs() - w;
            let edge = (1.0 - (d - 1.2 * p.unit).abs() / (1.5 * p.unit)).clamp(0.0, 1.0);
            let edge = edge * (1.0 - t * t).min(0.4) * 2.5;
            if edge > 0.0 {
                p.blend(i, lip, 0.75 * edge);
                p.raise(i, 1.5 * edge);
            }
            let a = (0.5 - d).clamp(0.0, 1.0) * smooth(1.0, 0.96, t.abs());
            if a > 0.0 {
                p.blend(i, inner, a);
                p.scene.gloss[i] *= 1.0 - a;
            }
        });
    }

    pub(super) fn abrasion(&mut self, spot: Spot) {
        let long = self.rng.range(24.0, 52.0) * self.unit;
        let wide = long * self.rng.range(0.35, 0.65);
        let angle = self.rng.angle();
        let (c, s) = (cos(angle), sin(angle));
        let seed = self.rng.bits();
        let base = self.base(spot);
        let worn = if lum(base) > 0.62 {
            scale3(base, 0.55)
        } else {
            mix3(base, [0.90, 0.89, 0.87], 0.55)
        };
        self.each(spot, long * 1.05, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let (u, v) = (c * dx + s * dy, c * dy - s * dx);
            let d = length(u / long, v / wide);
            let ragged = 0.35 * (noise(seed, u * 0.05 / p.unit, v * 0.55 / p.unit) - 0.5);
            let a = 1.0 - smooth(0.72, 0.98, d + ragged);
            if a > 0.0 {
                let line = noise(seed ^ 5, u * 0.03 / p.unit, v * 0.62 / p.unit);
                let k = 0.45 + 0.55 * smooth(0.35, 0.65, line);
                p.blend(i, worn, a * k);
                p.mark(i, a);
                p.raise(i, -0.7 * a * line);
                p.scene.gloss[i] *= 1.0 - 0.8 * a;
            }
        });
    }

    pub(super) fn misprint(&mut self, spot: Spot) {
        // A row of stray characters made of straight strokes.
        let base = self.base(spot);
        let inks: [Rgb; 4] = [
            [0.10, 0.16, 0.70],
            [0.76, 0.08, 0.12],
            [0.95, 0.95, 0.93],
            [0.06, 0.06, 0.07],
        ];
        let away = |c: Rgb| (0..3).map(|k| (c[k] - base[k]).abs()).fold(0.0, f32::max);
        let first = self.pick(4);
        let ink = (0..4)
            .map(|k| inks[(first + k) % 4])
            .find(|c| away(*c) > 0.38)
            .unwrap_or(inks[2]);
        let (w, h) = (
            self.rng.range(5.5, 8.5) * self.unit,
            self.rng.range(10.0, 15.0) * self.unit,
        );
        let count = 2 + self.pick(4);
        let angle = self.rng.sym(0.35);
        let (c, s) = (cos(angle), sin(angle));
        let stroke = 1.15 * self.unit.max(0.8);
        let pitch = w + 4.5 * self.unit;
        let start = -0.5 * pitch * (count - 1) as f32;
        let corner = |k: usize| {
            let x = if k & 1 == 0 { -0.5 } else { 0.5 } * w;
            let y = [-0.5, 0.0, 0.5][k / 2] * h;
            (x, y)
        };
        let turned = |(x, y): Spot| (spot.0 + c * x - s * y, spot.1 + s * x + c * y);
        let mut strokes = Vec::new();
        // Strokes of a letter box: rows 0–2, left and right column.
        let all = [(0, 1), (2, 3), (4, 5), (0, 2), (1, 3), (2, 4), (3, 5)];
        for k in 0..count {
            let keep = self.rng.bits() | 1 << self.rng.below(7) | 1 << self.rng.below(7);
            let cx = start + pitch * k as f32;
            for (b, (p, q)) in all.into_iter().enumerate() {
                if keep >> b & 1 == 1 {
                    let (p, q) = (corner(p), corner(q));
                    strokes.push(Stroke {
                        from: turned((p.0 + cx, p.1)),
                        to: turned((q.0 + cx, q.1)),
                        half: stroke,
                    });
                }
            }
        }
        for (i, a) in self.ink(&strokes) {
            self.blend(i, ink, 0.95 * a);
            self.mark(i, a);
        }
    }
}
