//! Further ways to draw line-like defects: scratch, crack, cut, abrasion, misprint, contamination.

use super::lines::Stroke;
use super::{Painter, Spot};
use crate::glyphs;
use crate::math::{Rgb, cos, floor, length, lum, mix3, noise, scale3, sin, smooth};

impl Painter<'_> {
    /// A colour that stands out from `base` by about `least`, from a list.
    pub(super) fn contrasting(&mut self, base: Rgb, list: &[Rgb], least: f32) -> Rgb {
        let away = |c: Rgb| (0..3).map(|k| (c[k] - base[k]).abs()).fold(0.0, f32::max);
        let first = self.pick(list.len());
        let fallback = if lum(base) > 0.5 {
            [0.06; 3]
        } else {
            [0.92; 3]
        };
        (0..list.len())
            .map(|k| list[(first + k) % list.len()])
            .find(|c| away(*c) > least)
            .unwrap_or(fallback)
    }

    /// The colour of a worn line: pale or dark, whichever shows.
    fn worn(&mut self, base: Rgb) -> Rgb {
        let l = lum(base);
        let pale = if l < 0.35 {
            1.0
        } else if l > 0.62 {
            0.0
        } else {
            0.6
        };
        if self.rng.chance(pale) {
            mix3(base, [0.97, 0.97, 0.95], self.rng.range(0.55, 0.85))
        } else {
            scale3(base, self.rng.range(0.25, 0.5))
        }
    }

    /// Several near-parallel hairlines, broken here and there.
    pub(super) fn scratch_bundle(&mut self, spot: Spot) {
        let len = self.rng.range(50.0, 130.0) * self.unit;
        let (angle, bend) = (self.rng.angle(), self.rng.sym(0.12));
        let base = self.base(spot);
        let line = self.worn(base);
        let seed = self.rng.bits();
        let count = 2 + self.pick(4);
        let mut strokes = Vec::new();
        for k in 0..count {
            let gap = (k as f32 - 0.5 * count as f32) * self.rng.range(2.5, 6.0) * self.unit;
            let slide = self.rng.sym(0.2) * len;
            let at = (
                spot.0 - sin(angle) * gap + cos(angle) * slide,
                spot.1 + cos(angle) * gap + sin(angle) * slide,
            );
            let own = len * self.rng.range(0.5, 1.0);
            let half = self.rng.range(0.6, 1.1) * self.unit.max(0.8);
            let lean = angle + self.rng.sym(0.05);
            for w in self.curve(at, own, lean, bend).windows(2) {
                if noise(seed, k as f32 * 9.0, w[0].1 * 6.0) > 0.24 {
                    strokes.push(Stroke {
                        from: w[0].0,
                        to: w[1].0,
                        half,
                    });
                }
            }
        }
        for (i, a) in self.ink(&strokes) {
            self.blend(i, line, 0.9 * a);
            self.mark(i, a);
            self.raise(i, -0.8 * a);
        }
    }

    /// A groove with a bright and a dark lip, tapered at both ends.
    pub(super) fn scratch_groove(&mut self, spot: Spot) {
        let len = self.rng.range(40.0, 120.0) * self.unit;
        let (angle, bend) = (self.rng.angle(), self.rng.sym(0.08));
        let base = self.base(spot);
        let half = self.rng.range(0.7, 1.1) * self.unit.max(0.8);
        let (dark, pale) = (scale3(base, 0.3), mix3(base, [0.97; 3], 0.75));
        let side = if self.rng.chance(0.5) { half } else { -half };
        let (ox, oy) = (-sin(angle) * side * 1.5, cos(angle) * side * 1.5);
        let curve = self.curve(spot, len, angle, bend);
        for (colour, dx, dy, rise) in [(pale, ox, oy, 0.8), (dark, 0.0, 0.0, -1.5)] {
            let strokes: Vec<Stroke> = curve
                .windows(2)
                .map(|w| {
                    let t = 0.5 * (w[0].1 + w[1].1);
                    Stroke {
                        from: (w[0].0.0 + dx, w[0].0.1 + dy),
                        to: (w[1].0.0 + dx, w[1].0.1 + dy),
                        half: half * (0.4 + 2.4 * t * (1.0 - t)),
                    }
                })
                .collect();
            for (i, a) in self.ink(&strokes) {
                self.blend(i, colour, 0.9 * a);
                self.mark(i, a);
                self.raise(i, rise * a);
            }
        }
    }

    /// A wandering crack whose branches thin out.
    pub(super) fn crack_tree(&mut self, spot: Spot) {
        let heading = self.rng.angle();
        let length = self.rng.range(45.0, 110.0) * self.unit;
        let half = self.rng.range(0.9, 1.7) * self.unit.max(0.8);
        let start = (
            spot.0 - 0.4 * length * cos(heading),
            spot.1 - 0.4 * length * sin(heading),
        );
        let mut strokes = Vec::new();
        self.grow(&mut strokes, start, heading, length, half, 2);
        self.rend(spot, &strokes);
    }

    /// Cracks that run from one point to all sides.
    pub(super) fn crack_star(&mut self, spot: Spot) {
        let rays = 3 + self.pick(4);
        let start = self.rng.angle();
        let half = self.rng.range(0.9, 1.5) * self.unit.max(0.8);
        let mut strokes = Vec::new();
        for k in 0..rays {
            let heading =
                start + (k as f32 + self.rng.sym(0.3)) * std::f32::consts::TAU / rays as f32;
            let length = self.rng.range(14.0, 52.0) * self.unit;
            self.grow(&mut strokes, spot, heading, length, half, 1);
        }
        self.rend(spot, &strokes);
    }

    fn rend(&mut self, spot: Spot, strokes: &[Stroke]) {
        let base = self.base(spot);
        let dark = if lum(base) > 0.22 {
            scale3(base, 0.10)
        } else {
            [0.62, 0.60, 0.57]
        };
        for (i, a) in self.ink(strokes) {
            self.blend(i, dark, 0.95 * a);
            self.mark(i, a);
            self.raise(i, -1.5 * a);
        }
    }

    /// Adds a jagged line with branches, `depth` levels of them.
    fn grow(
        &mut self,
        strokes: &mut Vec<Stroke>,
        from: Spot,
        heading: f32,
        length: f32,
        half: f32,
        depth: u32,
    ) {
        let (mut at, mut along, mut gone) = (from, heading, 0.0);
        while gone < length {
            // The crack returns to its heading, so that it gets somewhere.
            along = heading + 0.6 * (along - heading) + self.rng.sym(0.75);
            let step = self.rng.range(2.5, 7.5) * self.unit;
            let to = (at.0 + step * cos(along), at.1 + step * sin(along));
            let own = half * (1.1 - 0.75 * gone / length);
            strokes.push(Stroke {
                from: at,
                to,
                half: own,
            });
            if depth > 0 && self.rng.chance(0.16) {
                let side = if self.rng.chance(0.5) { 1.0 } else { -1.0 };
                let lean = along + side * self.rng.range(0.5, 1.2);
                let rest = (length - gone) * self.rng.range(0.3, 0.7);
                self.grow(strokes, to, lean, rest, 0.75 * own, depth - 1);
            }
            at = to;
            gone += step;
        }
    }

    /// A bent slit that gapes in its middle.
    pub(super) fn cut_bent(&mut self, spot: Spot) {
        let len = self.rng.range(34.0, 84.0) * self.unit;
        let half = self.rng.range(2.0, 4.2) * self.unit;
        let (angle, bend) = (self.rng.angle(), self.rng.range(0.1, 0.35));
        let (bow, second) = (self.rng.sym(1.0), self.rng.sym(0.08));
        let base = self.base(spot);
        let inner = if lum(base) > 0.24 {
            scale3(base, 0.08)
        } else {
            [0.72, 0.70, 0.66]
        };
        let lip = mix3(base, [0.96, 0.95, 0.92], 0.65);
        let mut curve = self.curve(spot, len, angle, bend * bow);
        for (p, t) in &mut curve {
            // A second, weaker bend: no hand cuts a perfect arc.
            let off = second * len * sin(*t * std::f32::consts::TAU);
            *p = (p.0 - sin(angle) * off, p.1 + cos(angle) * off);
        }
        let strokes = |extra: f32| -> Vec<Stroke> {
            curve
                .windows(2)
                .map(|w| {
                    let t = 0.5 * (w[0].1 + w[1].1);
                    Stroke {
                        from: w[0].0,
                        to: w[1].0,
                        half: (half + extra) * 4.0 * t * (1.0 - t) + 0.3,
                    }
                })
                .collect()
        };
        for (i, a) in self.ink(&strokes(1.8 * self.unit)) {
            self.blend(i, lip, 0.8 * a);
            self.raise(i, 1.5 * a);
        }
        for (i, a) in self.ink(&strokes(0.0)) {
            self.blend(i, inner, a);
            self.raise(i, -3.0 * a);
            self.scene.gloss[i] *= 1.0 - a;
        }
    }

    /// Many separate fine strokes in one direction over dull ground.
    pub(super) fn abrasion_strokes(&mut self, spot: Spot) {
        let long = self.rng.range(18.0, 40.0) * self.unit;
        let wide = long * self.rng.range(0.5, 1.0);
        let angle = self.rng.angle();
        let (c, s) = (cos(angle), sin(angle));
        let base = self.base(spot);
        let line = self.worn(base);
        let bend = self.rng.sym(0.25);
        let mut strokes = Vec::new();
        for _ in 0..18 + self.pick(22) {
            let across = self.rng.sym(1.0);
            let along = self.rng.sym(0.5);
            let at = (
                spot.0 + c * along * long - s * across * wide,
                spot.1 + s * along * long + c * across * wide,
            );
            let own = long * self.rng.range(0.5, 1.3) * (1.1 - 0.6 * across.abs());
            let half = self.rng.range(0.5, 0.9) * self.unit.max(0.8);
            for w in self.curve(at, own, angle, bend).windows(2).step_by(2) {
                let (a, b) = (w[0].0, w[1].0);
                // Two steps as one stroke.
                strokes.push(Stroke {
                    from: a,
                    to: (2.0 * b.0 - a.0, 2.0 * b.1 - a.1),
                    half,
                });
            }
        }
        self.each(spot, long * 1.3, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let d = length((c * dx + s * dy) / long, (c * dy - s * dx) / wide);
            let a = 1.0 - smooth(0.6, 1.1, d);
            if a > 0.0 {
                p.blend(i, mix3(base, line, 0.35), 0.6 * a);
                p.mark(i, smooth(0.2, 0.6, a));
                p.scene.gloss[i] *= 1.0 - 0.8 * a;
            }
        });
        for (i, a) in self.ink(&strokes) {
            self.blend(i, line, 0.85 * a);
            self.mark(i, a);
            self.raise(i, -0.6 * a);
        }
    }

    /// Rubbed in arcs around a far centre.
    pub(super) fn abrasion_arcs(&mut self, spot: Spot) {
        let long = self.rng.range(24.0, 46.0) * self.unit;
        let wide = long * self.rng.range(0.35, 0.7);
        let angle = self.rng.angle();
        let (c, s) = (cos(angle), sin(angle));
        let far = long * self.rng.range(1.0, 2.5);
        let seed = self.rng.bits();
        let base = self.base(spot);
        let line = self.worn(base);
        self.each(spot, long * 1.3, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let (u, v) = (c * dx + s * dy, c * dy - s * dx);
            let r = length(u, v + far) - far;
            let ragged = 0.4 * (noise(seed, u * 0.06 / p.unit, r * 0.5 / p.unit) - 0.5);
            let a = 1.0 - smooth(0.70, 1.0, length(u / long, r / wide) + ragged);
            if a > 0.0 {
                let t = noise(seed ^ 5, u * 0.02 / p.unit, r * 0.66 / p.unit);
                p.blend(i, line, a * (0.25 + 0.6 * smooth(0.3, 0.7, t)));
                p.mark(i, a);
                p.raise(i, -0.7 * a * t);
                p.scene.gloss[i] *= 1.0 - 0.8 * a;
            }
        });
    }

    /// Characters of a marking printer, turned, doubled or smeared.
    pub(super) fn misprint_dots(&mut self, spot: Spot) {
        let base = self.base(spot);
        let inks: [Rgb; 5] = [
            [0.10, 0.16, 0.70],
            [0.76, 0.08, 0.12],
            [0.95, 0.95, 0.93],
            [0.06, 0.06, 0.07],
            [0.08, 0.45, 0.20],
        ];
        let ink = self.contrasting(base, &inks, 0.38);
        let text: Vec<u8> = (0..2 + self.pick(6)).map(|_| self.pick(36) as u8).collect();
        let dot = self.rng.range(1.5, 2.6) * self.unit;
        let wide = dot * glyphs::PITCH * text.len() as f32;
        let angle = self.rng.sym(1.2);
        let (c, s) = (cos(angle), sin(angle));
        // A second, shifted print, or a smear along the line.
        let ghost = self
            .rng
            .chance(0.5)
            .then(|| (self.rng.range(1.0, 3.0), self.rng.sym(2.0)));
        let smear = if self.rng.chance(0.4) {
            self.rng.range(0.2, 0.5)
        } else {
            0.0
        };
        let worn = self.rng.bits();
        self.each(spot, 0.6 * wide + 6.0 * dot, |p, x, y, i| {
            let (dx, dy) = (x - spot.0, y - spot.1);
            let u = (c * dx + s * dy + 0.5 * wide) / dot;
            let v = (c * dy - s * dx) / dot + 3.5;
            let mut a = glyphs::ink(&text, u, v);
            if let Some((gx, gy)) = ghost {
                a = a.max(0.6 * glyphs::ink(&text, u - gx, v - gy));
            }
            if smear > 0.0 {
                let tail = (1..5)
                    .map(|k| glyphs::ink(&text, u - k as f32 * 1.2, v))
                    .sum::<f32>();
                a = a.max(smear * tail * 0.5).min(1.0);
            }
            if a > 0.02 {
                let gap = smooth(0.15, 0.3, noise(worn, x * 0.2 / p.unit, y * 0.2 / p.unit));
                p.blend(i, ink, 0.95 * a * (0.4 + 0.6 * gap));
                p.mark(i, a);
            }
        });
    }

    /// Hairs and fibres.
    pub(super) fn contamination_fibres(&mut self, spot: Spot) {
        let base = self.base(spot);
        let colours: [Rgb; 5] = [
            [0.93, 0.92, 0.88],
            [0.06, 0.06, 0.07],
            [0.35, 0.22, 0.12],
            [0.70, 0.12, 0.14],
            [0.15, 0.30, 0.75],
        ];
        let colour = self.contrasting(base, &colours, 0.4);
        let count = 3 + self.pick(6);
        let spread = self.rng.range(5.0, 20.0) * self.unit;
        let mut strokes = Vec::new();
        for _ in 0..count {
            let at = (spot.0 + self.rng.sym(spread), spot.1 + self.rng.sym(spread));
            let len = self.rng.range(14.0, 46.0) * self.unit;
            let (angle, bend) = (self.rng.angle(), self.rng.sym(0.8));
            let half = self.rng.range(0.6, 1.1) * self.unit.max(0.8);
            for w in self.curve(at, len, angle, bend).windows(2) {
                strokes.push(Stroke {
                    from: w[0].0,
                    to: w[1].0,
                    half,
                });
            }
        }
        let under: Vec<Stroke> = strokes
            .iter()
            .map(|s| Stroke {
                from: (s.from.0 + 1.2, s.from.1 + 1.2),
                to: (s.to.0 + 1.2, s.to.1 + 1.2),
                half: s.half,
            })
            .collect();
        for (i, a) in self.ink(&under) {
            let dim = scale3(self.scene.rgb[i], 0.65);
            self.scene.rgb[i] = mix3(self.scene.rgb[i], dim, a * self.cover[i]);
        }
        for (i, a) in self.ink(&strokes) {
            self.blend(i, colour, 0.95 * a);
            self.mark(i, a);
            self.raise(i, 0.8 * a);
        }
    }

    /// A scatter of dust and grit.
    pub(super) fn contamination_dust(&mut self, spot: Spot) {
        let base = self.base(spot);
        let colours: [Rgb; 5] = [
            [0.93, 0.92, 0.88],
            [0.07, 0.07, 0.08],
            [0.62, 0.50, 0.36],
            [0.25, 0.45, 0.20],
            [0.85, 0.75, 0.25],
        ];
        let colour = self.contrasting(base, &colours, 0.4);
        let spread = self.rng.range(14.0, 36.0) * self.unit;
        let stretch = self.rng.range(0.4, 1.0);
        let angle = self.rng.angle();
        let (c, s) = (cos(angle), sin(angle));
        let count = 45 + self.pick(80);
        let mut grains = Vec::new();
        for _ in 0..count {
            // The sum of three uniform numbers is about normal.
            let mut normal = || self.rng.sym(0.5) + self.rng.sym(0.5) + self.rng.sym(0.5);
            let (u, v) = (normal() * spread, normal() * spread * stretch);
            let at = (spot.0 + c * u - s * v, spot.1 + s * u + c * v);
            let half = self.rng.range(0.5, 1.7) * self.unit.max(0.7);
            let to = (
                at.0 + self.rng.sym(1.5) * self.unit,
                at.1 + self.rng.sym(1.5) * self.unit,
            );
            grains.push(Stroke { from: at, to, half });
        }
        let seed = self.rng.bits();
        for (i, a) in self.ink(&grains) {
            let side = self.scene.side;
            let vary = noise(
                seed,
                (i % side) as f32 * 0.3,
                floor((i / side) as f32 * 0.3),
            );
            self.blend(
                i,
                scale3(colour, 0.75 + 0.4 * vary).map(|v| v.min(1.0)),
                0.95 * a,
            );
            self.mark(i, a);
            self.raise(i, 1.2 * a);
        }
    }
}
