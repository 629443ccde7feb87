//! Scratch, crack and cut.

use std::f32::consts::FRAC_PI_2;

use tiny_skia::PathBuilder;

use crate::math::{Rng, cos, length, mix, sin, smooth};
use crate::studio::defect_canvas::DefectCanvas;
use crate::studio::gabor::Gabor;
use crate::studio::picture::{Spot, linear};
use crate::studio::shapes::{bow, polar, ribbon};

/// Strokes of a hard tip dragged along: quick start, long tail, gaps where the pressure gave way,
/// and the shaded wall of the groove beside it.
pub(super) fn scratch(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let spot = canvas.place(18.0 * canvas.unit, |_, _| 0.0)?;
    let whole = canvas.span(52.0, 135.0);
    let angle = canvas.rng.angle();
    let bend = canvas.rng.sym(0.05);
    let count = [1, 1, 1, 2, 3][canvas.rng.below(5)];
    let half = canvas.rng.range(0.6, 1.05) * canvas.unit.max(0.75);
    let mut strokes = PathBuilder::new();
    for k in 0..count {
        let gap = if k == 0 {
            0.0
        } else {
            canvas.span(2.5, 6.5) * k as f32
        };
        let slip = if k == 0 {
            0.0
        } else {
            canvas.span(-14.0, 14.0)
        };
        let middle = polar(polar(spot, angle + FRAC_PI_2, gap), angle, slip);
        let share = if k == 0 {
            1.0
        } else {
            canvas.rng.range(0.4, 0.9)
        };
        let turn = angle + canvas.rng.sym(0.03);
        let points = bow(middle, turn, whole * share, bend, 40);
        dragged(&mut strokes, canvas.rng, &points, half * share.max(0.7));
    }
    let groove = canvas.fill(strokes);
    let wall = groove.moved(canvas.unit.max(1.0), canvas.unit.max(1.0));
    let wall = wall.with(&groove, |w, g| 0.55 * w * (1.0 - g));
    if canvas.brightness(spot) < 0.68 {
        canvas.multiply(&wall, [0.35; 3]);
        canvas.screen(&groove, linear([0.88, 0.88, 0.86]));
    } else {
        canvas.screen(&wall, [0.6; 3]);
        canvas.multiply(&groove, [0.16, 0.15, 0.15]);
    }
    Some(spot)
}

/// Pieces of a tapered ribbon with a few gaps.
fn dragged(out: &mut PathBuilder, rng: &mut Rng, points: &[Spot], half: f32) {
    let last = points.len() - 1;
    let mut piece: Vec<(Spot, f32)> = Vec::new();
    for (k, point) in points.iter().enumerate() {
        let t = k as f32 / last as f32;
        let profile = smooth(-0.02, 0.10, t) * (1.0 - 0.75 * t * t);
        let jitter = rng.range(0.7, 1.25);
        piece.push((*point, half * profile * jitter));
        let lifts = piece.len() > 5 && rng.chance(0.05 + 0.06 * t);
        if lifts || k == last {
            ribbon(out, &piece);
            piece.clear();
        }
    }
}

/// Fracture lines by midpoint displacement, with branches that leave at an angle and end thinner.
pub(super) fn crack(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let spot = canvas.place(16.0 * canvas.unit, DefectCanvas::brightness)?;
    let reach = canvas.span(34.0, 88.0);
    let angle = canvas.rng.angle();
    let from = polar(spot, angle, -0.5 * reach);
    let to = polar(spot, angle, 0.5 * reach);
    let half = canvas.rng.range(0.85, 1.5) * canvas.unit.max(0.75);
    let mut lines = vec![(fracture(canvas.rng, from, to, 5), half)];
    for k in 0..2 + canvas.rng.below(4) {
        // Later branches may leave earlier ones.
        let (line, width) = {
            let k = if k > 2 {
                canvas.rng.below(lines.len())
            } else {
                0
            };
            (lines[k].0.clone(), lines[k].1)
        };
        let at = 2 + canvas.rng.below(line.len() - 4);
        let (a, b) = (line[at - 1], line[at + 1]);
        let side = if canvas.rng.chance(0.5) { 1.0 } else { -1.0 };
        let turn = side * canvas.rng.range(0.5, 1.15);
        let share = canvas.rng.range(0.22, 0.5) * reach / length(b.0 - a.0, b.1 - a.1).max(1e-3);
        let (dx, dy) = ((b.0 - a.0) * share, (b.1 - a.1) * share);
        let (c, s) = (cos(turn), sin(turn));
        let to = (line[at].0 + c * dx - s * dy, line[at].1 + s * dx + c * dy);
        lines.push((fracture(canvas.rng, line[at], to, 4), width * 0.7));
    }
    let mut outlines = PathBuilder::new();
    for (line, half) in &lines {
        let last = (line.len() - 1) as f32;
        let points: Vec<(Spot, f32)> = line
            .iter()
            .enumerate()
            .map(|(k, p)| {
                let t = k as f32 / last;
                (*p, half * mix(1.0, 0.22, t) * canvas.rng.range(0.65, 1.35))
            })
            .collect();
        ribbon(&mut outlines, &points);
    }
    let gap = canvas.fill(outlines);
    let lip = gap.moved(canvas.unit.max(1.0), canvas.unit.max(1.0));
    let lip = lip.with(&gap, |l, g| 0.5 * l * (1.0 - g));
    if canvas.brightness(spot) > 0.24 {
        canvas.screen(&lip, [0.22; 3]);
        canvas.multiply(&gap, [0.03, 0.028, 0.026]);
    } else {
        canvas.screen(&gap, linear([0.66, 0.64, 0.6]));
    }
    Some(spot)
}

/// A broken line between two points; each level halves the pieces.
fn fracture(rng: &mut Rng, from: Spot, to: Spot, levels: u32) -> Vec<Spot> {
    let mut line = vec![from, to];
    for _ in 0..levels {
        let mut finer = Vec::with_capacity(2 * line.len());
        for pair in line.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let off = rng.sym(0.24);
            let (dx, dy) = (b.0 - a.0, b.1 - a.1);
            let middle = (0.5 * (a.0 + b.0) - off * dy, 0.5 * (a.1 + b.1) + off * dx);
            finer.extend([a, middle]);
        }
        finer.push(to);
        line = finer;
    }
    line
}

/// A spindle with a dark inside, lips that catch the light, and material that drew back.
pub(super) fn cut(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let spot = canvas.place(20.0 * canvas.unit, DefectCanvas::brightness)?;
    let whole = canvas.span(38.0, 92.0);
    let half = canvas.span(2.2, 4.2);
    let angle = canvas.rng.angle();
    let bend = canvas.rng.sym(0.09);
    let skew = canvas.rng.range(0.35, 0.65);
    let lean = canvas.rng.range(0.2, 0.8);
    let base = canvas.base(spot);
    let is_dark = canvas.brightness(spot) < 0.24;

    let middle = bow(spot, angle, whole, bend, 48);
    let open = |t: f32| {
        let t = if t < skew {
            0.5 * t / skew
        } else {
            0.5 + 0.5 * (t - skew) / (1.0 - skew)
        };
        4.0 * t * (1.0 - t)
    };
    let spindle = |scale: f32, more: f32| -> Vec<(Spot, f32)> {
        let wide = |(k, p): (usize, &Spot)| (*p, scale * half * open(k as f32 / 47.0) + more);
        middle.iter().enumerate().map(wide).collect()
    };
    let filled = |points: &[(Spot, f32)]| {
        let mut out = PathBuilder::new();
        ribbon(&mut out, points);
        out
    };
    // The surface around is pulled apart.
    let near = canvas
        .fill(filled(&spindle(2.8, 0.0)))
        .blurred(2.0 * canvas.unit);
    let (nx, ny) = (-sin(angle), cos(angle));
    canvas.warp(&near, |x, y| {
        let across = (x - spot.0) * nx + (y - spot.1) * ny;
        let pull = -0.5 * half * (across / (1.5 * half)).clamp(-1.0, 1.0);
        (x + nx * pull, y + ny * pull)
    });
    let slit = canvas.fill(filled(&spindle(1.0, 0.0)));
    let lips = canvas.fill(filled(&spindle(1.25, 0.7 * canvas.unit)));
    let shade = lips
        .blurred(4.0 * canvas.unit)
        .moved(nx * half * 0.8, ny * half * 0.8);
    canvas.multiply(&shade, [0.5; 3]);
    // Torn material stands up along the slit, more on one side and not everywhere.
    let torn = Gabor::clouds(canvas.rng.bits(), 6.0 * canvas.unit.max(0.5));
    let strong = if lean > 0.5 { 1.0 } else { -1.0 };
    canvas.paint(&lips, |x, y, c| {
        let across = ((x - spot.0) * nx + (y - spot.1) * ny) * strong;
        let side = mix(0.35, 1.0, smooth(-half, half, across));
        let glow = side * (0.55 + 0.5 * torn.at(x, y)).clamp(0.1, 1.0);
        [0, 1, 2].map(|k| mix(c[k], 0.35 + 0.65 * base[k], 0.85 * glow))
    });
    let deep = if is_dark {
        linear([0.70, 0.68, 0.64])
    } else {
        base.map(|c| 0.015 + 0.03 * c)
    };
    let wall = if is_dark {
        linear([0.5, 0.48, 0.45])
    } else {
        base.map(|c| 0.02 + 0.22 * c)
    };
    canvas.paint(&slit, |x, y, _| {
        // One wall of the slit is lit.
        let across = (x - spot.0) * nx + (y - spot.1) * ny;
        let t = smooth(lean, lean + 0.35, 0.5 + 0.5 * across / half);
        [0, 1, 2].map(|k| mix(deep[k], wall[k], t))
    });
    Some(spot)
}
