//! Stain, discolouration, rust, burn and abrasion.

use tiny_skia::PathBuilder;

use super::super::shapes::outline;
use crate::math::{Rgb, cos, length, lum, mix, mix3, sin, smooth};
use crate::studio::defect_canvas::DefectCanvas;
use crate::studio::gabor::Gabor;
use crate::studio::picture::{Layer, Spot, linear};
use crate::studio::shapes::{bow, ellipse, polar, ribbon, ring, smooth_loop};

/// A puddle with lobes and a few drops around it.
fn puddle(
    canvas: &mut DefectCanvas<'_>,
    spot: Spot,
    radius: f32,
    rough: f32,
    drops: usize,
) -> Layer {
    let mut out = PathBuilder::new();
    let corners = 9 + canvas.rng.below(5);
    smooth_loop(&mut out, &ring(canvas.rng, spot, radius, rough, corners));
    for _ in 0..2 + canvas.rng.below(2) {
        let angle = canvas.rng.angle();
        let (off, size) = (canvas.rng.range(0.5, 0.9), canvas.rng.range(0.35, 0.6));
        let lobe = polar(spot, angle, radius * off);
        smooth_loop(&mut out, &ring(canvas.rng, lobe, radius * size, 0.15, 8));
    }
    for _ in 0..drops {
        let angle = canvas.rng.angle();
        let (off, size) = (canvas.rng.range(1.35, 2.1), canvas.rng.range(0.05, 0.14));
        let drop = polar(spot, angle, radius * off);
        let size = (radius * size).max(1.2 * canvas.unit);
        smooth_loop(&mut out, &ring(canvas.rng, drop, size, 0.1, 6));
    }
    canvas.fill(out)
}

/// A liquid that dried: a thin film, more of it at the rim, uneven inside.
pub(super) fn stain(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let spot = canvas.place(14.0 * canvas.unit, DefectCanvas::brightness)?;
    let radius = canvas.span(11.0, 27.0);
    let drops = canvas.rng.below(5);
    let wet = puddle(canvas, spot, radius, 0.16, drops);
    let wet = wet.blurred(0.9 * canvas.unit);
    let inner = wet.blurred(0.12 * radius + 2.5 * canvas.unit);
    let clouds = Gabor::clouds(canvas.rng.bits(), radius * 0.5);
    // The film is thickest where the outline dried last: where a blur has fallen to a half.
    let width = canvas.rng.range(0.62, 0.78);
    let rim = wet.clone().with(&inner, |w, i| w * smooth(width, 0.48, i));
    let film = canvas.rng.range(0.40, 0.70);
    if canvas.brightness(spot) > 0.34 {
        let tints: [Rgb; 5] = [
            [0.70, 0.52, 0.32],
            [0.58, 0.57, 0.55],
            [0.76, 0.66, 0.38],
            [0.62, 0.46, 0.40],
            [0.54, 0.60, 0.66],
        ];
        let tint = linear(tints[canvas.rng.below(5)]);
        canvas.paint(&wet, |x, y, c| {
            let share = film * (0.85 + 0.3 * clouds.at(x, y));
            [0, 1, 2].map(|k| c[k] * mix(1.0, tint[k], share.clamp(0.0, 1.0)))
        });
        let dark = tint.map(|t| 0.22 + 0.55 * t);
        canvas.multiply(&rim, dark);
    } else {
        // On dark ground dried minerals look pale.
        let pale = linear([0.62, 0.60, 0.55]);
        canvas.paint(&wet, |x, y, c| {
            let share = 0.6 * film * (0.8 + 0.4 * clouds.at(x, y)).clamp(0.0, 1.0);
            mix3(c, pale, share)
        });
        canvas.multiply(&rim, [0.3; 3]);
    }
    Some(spot)
}

/// The colour alone shifts, over a wide area without an outline.
pub(super) fn discolouration(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let spot = canvas.place(20.0 * canvas.unit, DefectCanvas::brightness)?;
    let radius = canvas.span(15.0, 30.0);
    let mut out = PathBuilder::new();
    for _ in 0..3 + canvas.rng.below(3) {
        let angle = canvas.rng.angle();
        let middle = polar(spot, angle, radius * canvas.rng.range(0.1, 0.6));
        let size = radius * canvas.rng.range(0.45, 0.8);
        let squeeze = canvas.rng.range(0.55, 1.0);
        ellipse(&mut out, middle, (size, size * squeeze), canvas.rng.angle());
    }
    let soft = canvas.fill(out).blurred(0.5 * radius);
    let base = canvas.base(spot);
    let tints: [Rgb; 5] = [
        [1.25, 1.02, 0.42],
        [0.62, 0.95, 1.40],
        [1.35, 0.80, 0.82],
        [0.80, 1.15, 0.62],
        [1.15, 0.78, 1.25],
    ];
    let away = |t: Rgb| {
        let l = lum(base).max(0.01);
        (0..3).map(|k| (t[k] - base[k] / l).abs()).sum::<f32>()
    };
    let (a, b) = (tints[canvas.rng.below(5)], tints[canvas.rng.below(5)]);
    let tint = if away(a) > away(b) { a } else { b };
    let share = canvas.rng.range(0.65, 0.95);
    let lift = if canvas.brightness(spot) < 0.3 {
        2.0
    } else {
        1.0
    };
    canvas.paint(&soft, |_, _, c| {
        let l = lum(c) * lift;
        mix3(c, tint.map(|t| l * t), share)
    });
    Some(spot)
}

/// Many specks of oxide, thick in the middle and lone outside, with a brown bloom under them.
pub(super) fn rust(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let spot = canvas.place(14.0 * canvas.unit, |_, _| 0.0)?;
    let radius = canvas.span(15.0, 36.0);
    let (squeeze, turn) = (canvas.rng.range(0.5, 1.0), canvas.rng.angle());
    let speck =
        |canvas: &mut DefectCanvas<'_>, out: &mut PathBuilder, spread: f32, size: (f32, f32)| {
            // The sum of two draws gathers in the middle.
            let off = (canvas.rng.unit() * canvas.rng.unit()).sqrt() * radius * spread;
            let (x, y) = polar((0.0, 0.0), canvas.rng.angle(), off);
            let (c, s) = (cos(turn), sin(turn));
            let at = (
                spot.0 + c * x - s * y * squeeze,
                spot.1 + s * x + c * y * squeeze,
            );
            // Lone specks are small.
            let share = 1.0 - 0.6 * off / (radius * spread);
            let r = canvas.span(size.0, size.1) * share;
            let corners = ring(canvas.rng, at, r, 0.25, 7);
            smooth_loop(out, &corners);
        };
    let group = |canvas: &mut DefectCanvas<'_>, count: usize, spread: f32, size: (f32, f32)| {
        let mut out = PathBuilder::new();
        for _ in 0..count {
            speck(canvas, &mut out, spread, size);
        }
        canvas.fill(out)
    };
    let many = 50 + canvas.rng.below(60);
    let crust = group(canvas, many, 1.0, (1.6, 5.0));
    let pits = group(canvas, many / 2, 0.9, (0.7, 1.9));
    let sparks = group(canvas, many / 3, 1.05, (0.6, 1.5));
    let bloom = crust.blurred(7.0 * canvas.unit);
    canvas.multiply(&bloom, linear([0.78, 0.55, 0.36]));
    let seed = canvas.rng.bits();
    let coarse = Gabor::clouds(seed, 7.0 * canvas.unit.max(0.5));
    let fine = Gabor::clouds(seed ^ 0xA5, 2.2 * canvas.unit.max(0.5));
    let (dark, orange) = (linear([0.36, 0.19, 0.11]), linear([0.70, 0.41, 0.20]));
    canvas.paint(&crust, |x, y, c| {
        let t = 0.5 + 0.45 * coarse.at(x, y) + 0.4 * fine.at(x, y);
        mix3(c, mix3(dark, orange, t.clamp(0.0, 1.0)), 0.93)
    });
    canvas.paint(&pits, |_, _, _| linear([0.24, 0.11, 0.06]));
    canvas.paint(&sparks, |_, _, _| linear([0.88, 0.56, 0.22]));
    Some(spot)
}

/// Soot that fades outwards and to one side, brown where the heat only browned, ash in the middle.
pub(super) fn burn(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let spot = canvas.place(14.0 * canvas.unit, DefectCanvas::brightness)?;
    let radius = canvas.span(12.0, 25.0);
    let core = puddle(canvas, spot, radius * 0.5, 0.35, 0);
    let scorched = puddle(canvas, spot, radius, 0.3, 0);
    let drift = canvas.rng.angle();
    let (dx, dy) = polar((0.0, 0.0), drift, radius * canvas.rng.range(0.2, 0.6));
    let halo = scorched.blurred(0.35 * radius);
    let plume = core.blurred(0.8 * radius).moved(dx, dy);
    let soot = core.blurred(0.28 * radius);
    let seed = canvas.rng.bits();
    let flakes = Gabor::clouds(seed, 4.0 * canvas.unit.max(0.5));
    canvas.multiply(&halo, linear([0.66, 0.50, 0.36]));
    canvas.multiply(&plume, [0.22, 0.20, 0.18]);
    canvas.paint(&soot, |x, y, c| {
        let keep = 0.05 + 0.06 * flakes.at(x, y);
        c.map(|v| v * keep.max(0.01) + 0.002)
    });
    let grey = linear([0.34, 0.33, 0.32]);
    let base_dark = canvas.brightness(spot) < 0.3;
    canvas.paint(&core, |x, y, c| {
        let ash = smooth(0.45, 0.75, flakes.at(x, y)) * if base_dark { 0.9 } else { 0.35 };
        mix3(c, grey, ash)
    });
    Some(spot)
}

/// A rubbed area: blurred along one direction, matt, and full of hairlines.
pub(super) fn abrasion(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let spot = canvas.place(18.0 * canvas.unit, |_, _| 0.0)?;
    let (long, wide) = (canvas.span(20.0, 38.0), canvas.span(9.0, 17.0));
    let angle = canvas.rng.angle();
    let zone = canvas.fill(outline(|out| {
        ellipse(out, spot, (long, wide), angle);
    }));
    let zone = zone.blurred(5.0 * canvas.unit);
    let (c, s) = (cos(angle), sin(angle));
    let reach = 9.0 * canvas.unit;
    let now = canvas.picture.clone();
    let is_dark = canvas.brightness(spot) < 0.62;
    let worn = canvas.rng.range(0.10, 0.22);
    canvas.paint(&zone, |x, y, _| {
        let mut sum = [0.0; 3];
        for k in -6i8..=6 {
            let t = f32::from(k) / 6.0 * reach;
            let v = now.sample(x + c * t, y + s * t);
            sum = [0, 1, 2].map(|k| sum[k] + v[k] / 13.0);
        }
        if is_dark {
            sum.map(|v| (v + worn * (0.2 + 0.8 * v)).min(1.0))
        } else {
            sum.map(|v| v * (1.0 - 1.4 * worn))
        }
    });
    for (count, light) in [(26, true), (22, false), (18, true)] {
        let mut out = PathBuilder::new();
        for _ in 0..count {
            let (u, v) = (canvas.rng.sym(long), canvas.rng.sym(wide));
            if length(u / long, v / wide) > 1.0 {
                continue;
            }
            let middle = (spot.0 + c * u - s * v, spot.1 + s * u + c * v);
            let turn = angle + canvas.rng.sym(0.05);
            let whole = canvas.span(14.0, 44.0);
            let half = canvas.rng.range(0.25, 0.55) * canvas.unit.max(0.75);
            let bend = canvas.rng.sym(0.02);
            let line: Vec<(Spot, f32)> = bow(middle, turn, whole, bend, 9)
                .into_iter()
                .enumerate()
                .map(|(k, p)| {
                    (
                        p,
                        half * (0.35 + 0.65 * smooth(0.0, 0.5, 0.5 - (k as f32 / 8.0 - 0.5).abs())),
                    )
                })
                .collect();
            ribbon(&mut out, &line);
        }
        let lines = canvas.fill(out).with(&zone, |l, z| l * smooth(0.1, 0.6, z));
        if light == is_dark {
            canvas.screen(&lines, [0.42; 3]);
        } else {
            canvas.multiply(&lines, [0.38; 3]);
        }
    }
    Some(spot)
}
