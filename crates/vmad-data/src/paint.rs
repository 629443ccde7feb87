//! Draws defects into a scene before it is lit, so that lamp, blur and noise treat them like the
//! product itself.

mod areas;
mod breaks;
mod lines;
mod patches;
mod pieces;
mod strokes;

use crate::defect::DefectKind;
use crate::math::{Rgb, Rng, cos, length, mix3, scale3, sin};
use crate::scene::Scene;

/// One defect on its way into a scene.
pub(crate) struct Painter<'a> {
    pub scene: &'a mut Scene,
    /// Receives how much each pixel belongs to the defect, 0..1.
    pub alpha: &'a mut [f32],
    pub rng: &'a mut Rng,
    /// Product coverage before any defect.
    pub cover: &'a [f32],
    /// Whether the product fills the frame.
    pub texture: bool,
    /// Pixels of this image per pixel at 256.
    pub unit: f32,
}

type Spot = (f32, f32);

impl Painter<'_> {
    /// Draws one defect; false when no fitting place was found.
    pub(crate) fn draw(&mut self, kind: DefectKind) -> bool {
        let at_edge = !self.texture && matches!(kind, DefectKind::Chip | DefectKind::Burr);
        let reach = match kind {
            DefectKind::Hole | DefectKind::Bubble | DefectKind::Misprint => 12.0,
            DefectKind::Dent | DefectKind::Burn => 9.0,
            _ => 6.0,
        };
        let Some(spot) = self.place(reach * self.unit) else {
            return false;
        };
        match kind {
            DefectKind::Scratch => self.scratch(spot),
            DefectKind::Crack => self.crack(spot),
            DefectKind::Stain => self.stain(spot),
            DefectKind::Hole => self.hole(spot),
            DefectKind::Dent => self.dent(spot),
            DefectKind::Discolouration => self.discolouration(spot),
            DefectKind::Contamination => self.contamination(spot),
            DefectKind::Rust => self.rust(spot),
            DefectKind::Bubble => self.bubble(spot),
            DefectKind::Burn => self.burn(spot),
            DefectKind::Cut => self.cut(spot),
            DefectKind::Abrasion => self.abrasion(spot),
            DefectKind::Misprint => self.misprint(spot),
            DefectKind::Chip | DefectKind::Burr => {
                let normal = if at_edge {
                    let Some((edge, normal)) = self.edge_from(spot) else {
                        return false;
                    };
                    if kind == DefectKind::Chip {
                        self.chip(edge, normal);
                    } else {
                        self.burr(edge, normal);
                    }
                    return true;
                } else {
                    let a = self.rng.angle();
                    (cos(a), sin(a))
                };
                if kind == DefectKind::Chip {
                    self.flake(spot);
                } else {
                    self.burr(spot, normal);
                }
            }
        }
        true
    }

    /// Draws one defect in one of several ways; false when no fitting place was found.
    ///
    /// [`Self::draw`] is the first way of each kind, and the catalogue's only one.
    pub(crate) fn draw_varied(&mut self, kind: DefectKind) -> bool {
        let way = self.pick(3);
        if way == 0 {
            return self.draw(kind);
        }
        let first = way == 1;
        let reach = match kind {
            DefectKind::Hole | DefectKind::Bubble | DefectKind::Misprint => 12.0,
            DefectKind::Dent | DefectKind::Burn => 9.0,
            _ => 6.0,
        };
        let Some(spot) = self.place(reach * self.unit) else {
            return false;
        };
        match (kind, first) {
            (DefectKind::Scratch, true) => self.scratch_bundle(spot),
            (DefectKind::Scratch, false) => self.scratch_groove(spot),
            (DefectKind::Crack, true) => self.crack_tree(spot),
            (DefectKind::Crack, false) => self.crack_star(spot),
            (DefectKind::Stain, true) => self.stain_ring(spot),
            (DefectKind::Stain, false) => self.stain_runs(spot),
            (DefectKind::Hole, true) => self.hole_torn(spot),
            (DefectKind::Hole, false) => self.hole_deep(spot),
            (DefectKind::Dent, true) => self.dent_trough(spot),
            (DefectKind::Dent, false) => self.dent_rimmed(spot),
            (DefectKind::Discolouration, true) => self.discolouration_band(spot),
            (DefectKind::Discolouration, false) => self.discolouration_temper(spot),
            (DefectKind::Contamination, true) => self.contamination_fibres(spot),
            (DefectKind::Contamination, false) => self.contamination_dust(spot),
            (DefectKind::Rust, true) => self.rust_pits(spot),
            (DefectKind::Rust, false) => self.rust_run(spot),
            (DefectKind::Bubble, many) => self.bubble_blisters(spot, many),
            (DefectKind::Burn, true) => self.burn_trace(spot),
            (DefectKind::Burn, false) => self.burn_sparks(spot),
            (DefectKind::Cut, _) => self.cut_bent(spot),
            (DefectKind::Abrasion, true) => self.abrasion_strokes(spot),
            (DefectKind::Abrasion, false) => self.abrasion_arcs(spot),
            (DefectKind::Misprint, _) => self.misprint_dots(spot),
            (DefectKind::Chip | DefectKind::Burr, _) => {
                let found = if self.texture {
                    let a = self.rng.angle();
                    Some((spot, (cos(a), sin(a))))
                } else {
                    self.edge_from(spot)
                };
                let Some((at, normal)) = found else {
                    return false;
                };
                match (kind, first) {
                    (DefectKind::Burr, _) => self.burr_slivers(at, normal),
                    (_, false) if !self.texture => self.chip_corner(at, normal),
                    _ => self.chip_shell(at, normal, !self.texture),
                }
            }
        }
        true
    }

    fn cover_at(&self, x: f32, y: f32) -> f32 {
        let n = self.scene.side as f32;
        if x < 0.0 || y < 0.0 || x >= n || y >= n {
            return 0.0;
        }
        self.cover[y as usize * self.scene.side + x as usize]
    }

    /// A random point with product all around it, at least `reach` pixels deep where possible.
    fn place(&mut self, reach: f32) -> Option<Spot> {
        let n = self.scene.side as f32;
        for attempt in 0..60 {
            let margin = 0.07 * n;
            let (x, y) = (
                self.rng.range(margin, n - margin),
                self.rng.range(margin, n - margin),
            );
            let r = if attempt < 40 { reach } else { reach * 0.5 };
            let clear = (0..8).all(|k| {
                let a = k as f32 * std::f32::consts::FRAC_PI_4;
                self.cover_at(x + r * cos(a), y + r * sin(a)) > 0.99
            });
            if clear && self.cover_at(x, y) > 0.99 {
                return Some((x, y));
            }
        }
        None
    }

    /// Walks outwards to the product's edge; gives the edge point and the outward normal.
    fn edge_from(&mut self, from: Spot) -> Option<(Spot, Spot)> {
        let a = self.rng.angle();
        let (dx, dy) = (cos(a), sin(a));
        let n = self.scene.side as f32;
        let mut t = 0.0;
        let (x, y) = loop {
            t += 0.5;
            let (x, y) = (from.0 + t * dx, from.1 + t * dy);
            let m = 0.06 * n;
            if x < m || y < m || x > n - m || y > n - m {
                return None;
            }
            if self.cover_at(x, y) < 0.5 {
                break (x, y);
            }
        };
        // The mean direction to covered pixels points inwards.
        let r = (7.0 * self.unit) as i32;
        let (mut sx, mut sy) = (0.0, 0.0);
        for oy in -r..=r {
            for ox in -r..=r {
                let c = self.cover_at(x + ox as f32, y + oy as f32);
                sx += c * ox as f32;
                sy += c * oy as f32;
            }
        }
        let len = length(sx, sy);
        (len > 1.0).then_some(((x, y), (-sx / len, -sy / len)))
    }

    /// Mean albedo around a point.
    fn base(&self, spot: Spot) -> Rgb {
        let n = self.scene.side;
        let r = (6.0 * self.unit) as i32;
        let (mut sum, mut count) = ([0.0f32; 3], 1e-6);
        for oy in (-r..=r).step_by(2) {
            for ox in (-r..=r).step_by(2) {
                let (x, y) = (spot.0 as i32 + ox, spot.1 as i32 + oy);
                if x < 0 || y < 0 || x as usize >= n || y as usize >= n {
                    continue;
                }
                let i = y as usize * n + x as usize;
                let w = self.cover[i];
                for (s, c) in sum.iter_mut().zip(self.scene.rgb[i]) {
                    *s += w * c;
                }
                count += w;
            }
        }
        scale3(sum, 1.0 / count)
    }

    /// Calls `f(self, x, y, i)` for every pixel in a box around `spot`.
    fn each(&mut self, spot: Spot, r: f32, mut f: impl FnMut(&mut Self, f32, f32, usize)) {
        let n = self.scene.side;
        let lo = |c: f32| (c - r).floor().clamp(0.0, n as f32 - 1.0) as usize;
        let hi = |c: f32| (c + r).ceil().clamp(0.0, n as f32 - 1.0) as usize;
        for y in lo(spot.1)..=hi(spot.1) {
            for x in lo(spot.0)..=hi(spot.0) {
                f(self, x as f32, y as f32, y * n + x);
            }
        }
    }

    /// Blends a colour in and marks the pixel, on the product only.
    fn blend(&mut self, i: usize, rgb: Rgb, a: f32) {
        let a = a * self.cover[i];
        self.scene.rgb[i] = mix3(self.scene.rgb[i], rgb, a);
        self.mark(i, a);
    }

    fn mark(&mut self, i: usize, a: f32) {
        let a = a * self.cover[i];
        self.alpha[i] = self.alpha[i].max(a);
    }

    /// Raises (or lowers) the surface by `h` pixels.
    fn raise(&mut self, i: usize, h: f32) {
        self.scene.height[i] += h * self.cover[i] * 2.0 / self.scene.side as f32;
    }

    fn pick(&mut self, n: usize) -> usize {
        self.rng.below(n)
    }
}
