//! Hole, chip, burr and contamination: material that is missing, broken or foreign.

use tiny_skia::PathBuilder;

use super::super::shapes::outline;
use crate::math::{Rgb, cos, mix3, sin};
use crate::studio::defect_canvas::DefectCanvas;
use crate::studio::gabor::Gabor;
use crate::studio::picture::{Spot, brightness, linear};
use crate::studio::shapes::{bow, ellipse, polar, polygon, polyline, ribbon, ring, smooth_loop};

/// A punched opening: a lit bevel, a shaded wall, and depth.
pub(super) fn hole(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let spot = canvas.place(14.0 * canvas.unit, DefectCanvas::brightness)?;
    let radius = canvas.span(6.5, 14.5);
    let (squeeze, turn) = (canvas.rng.range(0.8, 1.0), canvas.rng.angle());
    let lamp = canvas.rng.range(-2.7, -0.45);
    let (lx, ly) = (cos(lamp), sin(lamp));
    let base = canvas.base(spot);
    let is_dark = canvas.brightness(spot) < 0.26;
    let oval = |r: f32, at: Spot| outline(|out| ellipse(out, at, (r, r * squeeze), turn));
    let bevel = canvas.fill(oval(radius + 1.6 * canvas.unit, spot));
    let opening = canvas.fill(oval(radius, spot));
    let floor = canvas.fill(oval(radius * 0.96, polar(spot, lamp, 0.24 * radius)));
    let floor = floor.blurred(1.2 * canvas.unit);

    canvas.paint(&bevel, |x, y, old| {
        let away = ((x - spot.0) * lx + (y - spot.1) * ly) / radius;
        if away < 0.0 {
            old.map(|o| o + 0.6 * -away * (0.85 - o).max(0.0))
        } else {
            old.map(|o| o * (1.0 - 0.55 * away).max(0.2))
        }
    });
    // The wall that faces the lamp shows the material, darker the deeper.
    let wall = if is_dark {
        linear([0.42, 0.41, 0.39])
    } else {
        base.map(|c| 0.32 * c + 0.006)
    };
    canvas.cover(&opening, wall, 0.4);
    let deep = if is_dark {
        linear([0.74, 0.73, 0.70])
    } else {
        [0.006, 0.0055, 0.005]
    };
    let depth = floor.with(&opening, |f, o| f * o);
    canvas.paint(&depth, |_, _, _| deep);
    Some(spot)
}

/// A corner or flake broken away: what lies behind shows, and facets of raw material.
pub(super) fn chip(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let (edge, out) = canvas.edge()?;
    let radius = canvas.span(10.0, 19.0);
    let spot = (
        edge.0 - out.0 * 0.25 * radius,
        edge.1 - out.1 * 0.25 * radius,
    );
    let corners = shard(canvas, spot, radius);
    let band = radius * canvas.rng.range(0.22, 0.40);
    let bite = canvas.fill(outline(|path| polygon(path, &corners)));
    let beyond: Vec<Spot> = corners
        .iter()
        .map(|(x, y)| (x + out.0 * band, y + out.1 * band))
        .collect();
    let beyond = canvas.fill(outline(|path| polygon(path, &beyond)));

    // Behind the missing piece: the ground beside it, moved in.
    let shift = 1.7 * radius;
    let before = canvas.before;
    let ground = before.mean(
        (edge.0 + out.0 * shift, edge.1 + out.1 * shift),
        4.0 * canvas.unit,
    );
    canvas.paint(&bite, |x, y, _| {
        let moved = before.sample(x + out.0 * shift, y + out.1 * shift);
        mix3(moved, ground, 0.3).map(|c| 0.7 * c)
    });
    // Raw material where the break runs through.
    let own = canvas.base((edge.0 - out.0 * radius, edge.1 - out.1 * radius));
    let raw: Rgb = if brightness(own) > 0.58 {
        own.map(|c| 0.42 * c)
    } else {
        own.map(|c| 0.10 + 0.10 * brightness(own) + 1.1 * c)
    };
    let facets = bite.clone().with(&beyond, |b, o| b * (1.0 - o));
    let facets_seed = canvas.rng.bits();
    let ridge = canvas.rng.angle();
    let conchoidal = Gabor {
        seed: facets_seed,
        cell: 5.0 * canvas.unit.max(0.5),
        waves: 0.8,
        angle: ridge,
        freedom: 0.5,
    };
    let steps = 3 + canvas.rng.below(3);
    canvas.paint(&facets, |x, y, _| {
        // Flat facets of different tilt, each with waves of fracture.
        let turn = crate::math::atan2(y - spot.1, x - spot.0) + ridge;
        let facet = crate::math::floor(turn * steps as f32 / std::f32::consts::TAU + 8.0);
        let tilt = crate::math::hash01(facets_seed, facet as i32, 1);
        let shade = 0.65 + 0.55 * tilt + 0.15 * conchoidal.at(x, y);
        raw.map(|c| (c * shade).clamp(0.0, 1.0))
    });
    // The break's sharp border.
    let mut border = PathBuilder::new();
    polyline(&mut border, &corners);
    border.close();
    let border = canvas.stroke(border, 1.1 * canvas.unit.max(0.8));
    let border = border.with(&beyond, |b, o| b * (1.0 - o));
    canvas.multiply(&border, [0.22; 3]);
    Some(edge)
}

/// A convex outline with few, sharp corners.
fn shard(canvas: &mut DefectCanvas<'_>, spot: Spot, radius: f32) -> Vec<Spot> {
    let corners = 5 + canvas.rng.below(3);
    ring(canvas.rng, spot, radius, 0.16, corners)
}

/// Torn teeth that stand off an outline, bright on one flank, with a shadow under them.
pub(super) fn burr(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let (edge, out) = canvas.edge()?;
    let along = (-out.1, out.0);
    let own = canvas.base((
        edge.0 - out.0 * 9.0 * canvas.unit,
        edge.1 - out.1 * 9.0 * canvas.unit,
    ));
    let count = 6 + canvas.rng.below(7);
    let lean = canvas.rng.sym(0.7);
    let (mut light, mut dark) = (PathBuilder::new(), PathBuilder::new());
    let mut t = -0.5 * count as f32 * 4.6 * canvas.unit;
    for _ in 0..count {
        let wide = canvas.span(3.0, 5.8);
        let tall = canvas.span(5.0, 12.0);
        let foot = (edge.0 + along.0 * t, edge.1 + along.1 * t);
        let foot = canvas.snap(foot, out, 5.0 * canvas.unit);
        let at = |side: f32, up: f32| {
            (
                foot.0 + along.0 * side * wide + out.0 * up,
                foot.1 + along.1 * side * wide + out.1 * up,
            )
        };
        let sunk = -1.5 * canvas.unit;
        let tip = at(lean + canvas.rng.sym(0.35), tall);
        let ridge = at(0.12, sunk);
        polygon(&mut light, &[at(-0.55, sunk), ridge, tip]);
        polygon(&mut dark, &[ridge, at(0.55, sunk), tip]);
        t += wide * canvas.rng.range(0.85, 1.15);
    }
    let (light, dark) = (canvas.fill(light), canvas.fill(dark));
    let both = light.clone().with(&dark, f32::max);
    let u = canvas.unit;
    let shadow = both.moved(2.2 * u, 2.6 * u).blurred(2.5 * u);
    let shadow = shadow.with(&both, |s, b| s * (1.0 - b));
    canvas.paint_over(&shadow, |_, _, c| c.map(|v| 0.42 * v));
    let glint = own.map(|c| (0.42 + 0.8 * c).min(0.95));
    let shade = own.map(|c| 0.03 + 0.22 * c);
    canvas.paint_over(&dark, |_, _, _| shade);
    canvas.paint_over(&light, |_, _, _| glint);
    Some(edge)
}

/// Crumbs, specks and fibres that lie on the surface.
pub(super) fn contamination(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let spot = canvas.place(18.0 * canvas.unit, |_, _| 0.0)?;
    let spread = canvas.span(10.0, 26.0);
    let colour = foreign(canvas, spot, &CRUMBS);
    let thread = foreign(canvas, spot, &THREADS);
    let (mut crumbs, mut tops) = (PathBuilder::new(), PathBuilder::new());
    for _ in 0..6 + canvas.rng.below(9) {
        let off = spread * canvas.rng.unit().sqrt();
        let at = polar(spot, canvas.rng.angle(), off);
        let small = canvas.rng.unit();
        let r = (1.5 + 3.4 * small * small) * canvas.unit.max(0.7);
        let corners = ring(canvas.rng, at, r, 0.32, 6);
        smooth_loop(&mut crumbs, &corners);
        smooth_loop(
            &mut tops,
            &ring(canvas.rng, polar(at, -2.2, 0.3 * r), 0.5 * r, 0.25, 5),
        );
    }
    let mut fibres = PathBuilder::new();
    for _ in 0..canvas.rng.below(4) {
        let at = polar(
            spot,
            canvas.rng.angle(),
            spread * canvas.rng.range(0.1, 0.8),
        );
        let (whole, turn, bend) = (
            canvas.span(16.0, 40.0),
            canvas.rng.angle(),
            canvas.rng.sym(0.45),
        );
        let half = canvas.rng.range(0.5, 0.8) * canvas.unit.max(0.8);
        let curl = canvas.rng.sym(2.5) * canvas.unit;
        let line: Vec<(Spot, f32)> = bow(at, turn, whole, bend, 21)
            .into_iter()
            .enumerate()
            .map(|(k, p)| {
                let wave = sin(k as f32 * 0.34) * curl;
                (polar(p, turn + std::f32::consts::FRAC_PI_2, wave), half)
            })
            .collect();
        ribbon(&mut fibres, &line);
    }
    let (crumbs, tops, fibres) = (canvas.fill(crumbs), canvas.fill(tops), canvas.fill(fibres));
    let all = crumbs.clone().with(&fibres, f32::max);
    let u = canvas.unit.max(0.7);
    let shadow = all.moved(1.3 * u, 1.6 * u).blurred(1.6 * u);
    let shadow = shadow.with(&all, |s, a| 0.8 * s * (1.0 - a));
    canvas.multiply(&shadow, [0.35; 3]);
    canvas.paint(&fibres, |_, _, _| thread);
    let grain = Gabor::clouds(canvas.rng.bits(), 2.0 * u);
    canvas.paint(&crumbs, |x, y, _| {
        let shade = 0.72 + 0.25 * grain.at(x, y);
        colour.map(|c| (c * shade).clamp(0.0, 1.0))
    });
    canvas.paint(&tops, |_, _, c| c.map(|v| (1.35 * v + 0.03).min(1.0)));
    Some(spot)
}

const CRUMBS: [Rgb; 6] = [
    [0.14, 0.12, 0.11],
    [0.93, 0.91, 0.86],
    [0.55, 0.36, 0.20],
    [0.20, 0.42, 0.72],
    [0.74, 0.20, 0.17],
    [0.86, 0.72, 0.28],
];

const THREADS: [Rgb; 4] = [
    [0.10, 0.10, 0.12],
    [0.94, 0.94, 0.92],
    [0.66, 0.14, 0.20],
    [0.16, 0.32, 0.66],
];

/// A colour of the list that stands out from a spot.
fn foreign(canvas: &mut DefectCanvas<'_>, spot: Spot, list: &[Rgb]) -> Rgb {
    let base = canvas.base(spot).map(|c| c.max(0.0).sqrt());
    let away = |c: Rgb| (0..3).map(|k| (c[k] - base[k]).abs()).fold(0.0, f32::max);
    let first = canvas.rng.below(list.len());
    let turned = (0..list.len()).map(|k| list[(first + k) % list.len()]);
    let seen = turned.clone().find(|c| away(*c) > 0.36);
    let farthest = || turned.max_by(|a, b| away(*a).total_cmp(&away(*b)));
    linear(seen.or_else(farthest).unwrap_or([1.0; 3]))
}
