//! Outlines for tiny-skia, all turning the same way, so that many fill as their union.

use std::f32::consts::TAU;

use tiny_skia::PathBuilder;

use super::picture::Spot;
use crate::math::{Rng, cos, length, sin};

/// A point at an angle and distance from another.
pub(crate) fn polar(from: Spot, angle: f32, distance: f32) -> Spot {
    (
        from.0 + distance * cos(angle),
        from.1 + distance * sin(angle),
    )
}

/// Straight lines through the corners.
pub(crate) fn polygon(out: &mut PathBuilder, corners: &[Spot]) {
    if let Some(((x, y), rest)) = corners.split_first() {
        out.move_to(*x, *y);
        for (x, y) in rest {
            out.line_to(*x, *y);
        }
        out.close();
    }
}

/// An open line through the points.
pub(crate) fn polyline(out: &mut PathBuilder, points: &[Spot]) {
    if let Some(((x, y), rest)) = points.split_first() {
        out.move_to(*x, *y);
        for (x, y) in rest {
            out.line_to(*x, *y);
        }
    }
}

/// A smooth closed curve through the corners (Catmull–Rom).
pub(crate) fn smooth_loop(out: &mut PathBuilder, corners: &[Spot]) {
    let n = corners.len();
    if n < 3 {
        return;
    }
    let at = |k: usize| corners[k % n];
    out.move_to(corners[0].0, corners[0].1);
    for k in 0..n {
        let (before, from, to, after) = (at(k + n - 1), at(k), at(k + 1), at(k + 2));
        out.cubic_to(
            from.0 + (to.0 - before.0) / 6.0,
            from.1 + (to.1 - before.1) / 6.0,
            to.0 - (after.0 - from.0) / 6.0,
            to.1 - (after.1 - from.1) / 6.0,
            to.0,
            to.1,
        );
    }
    out.close();
}

/// Corners around a spot at distances that vary by the share `rough`.
pub(crate) fn ring(
    rng: &mut Rng,
    spot: Spot,
    radius: f32,
    rough: f32,
    corners: usize,
) -> Vec<Spot> {
    let start = rng.angle();
    let step = TAU / corners as f32;
    (0..corners)
        .map(|k| {
            let angle = start + (k as f32 + rng.sym(0.3)) * step;
            polar(spot, angle, radius * (1.0 + rng.sym(rough)))
        })
        .collect()
}

/// An ellipse whose first axis points along `turn`.
pub(crate) fn ellipse(out: &mut PathBuilder, spot: Spot, (a, b): (f32, f32), turn: f32) {
    let corners: Vec<Spot> = (0..16)
        .map(|k| {
            let t = k as f32 * TAU / 16.0;
            let (u, v) = (a * cos(t), b * sin(t));
            let (c, s) = (cos(turn), sin(turn));
            (spot.0 + c * u - s * v, spot.1 + s * u + c * v)
        })
        .collect();
    smooth_loop(out, &corners);
}

/// A line whose half width changes from point to point.
pub(crate) fn ribbon(out: &mut PathBuilder, points: &[(Spot, f32)]) {
    let n = points.len();
    if n < 2 {
        return;
    }
    let side = |k: usize, sign: f32| {
        let (from, to) = (points[k.saturating_sub(1)].0, points[(k + 1).min(n - 1)].0);
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let scale = sign * points[k].1 / length(dx, dy).max(1e-3);
        let (x, y) = points[k].0;
        (x - dy * scale, y + dx * scale)
    };
    let corners: Vec<Spot> = (0..n)
        .map(|k| side(k, -1.0))
        .chain((0..n).rev().map(|k| side(k, 1.0)))
        .collect();
    polygon(out, &corners);
}

/// Points along a bow: `bend` is its height as a share of the length.
pub(crate) fn bow(middle: Spot, angle: f32, length: f32, bend: f32, points: usize) -> Vec<Spot> {
    let (c, s) = (cos(angle), sin(angle));
    (0..points)
        .map(|k| {
            let t = 2.0 * k as f32 / (points - 1).max(1) as f32 - 1.0;
            let along = 0.5 * length * t;
            let off = bend * length * (0.5 - t * t);
            (
                middle.0 + c * along - s * off,
                middle.1 + s * along + c * off,
            )
        })
        .collect()
}

/// An outline that `draw` fills.
pub(crate) fn outline(draw: impl FnOnce(&mut PathBuilder)) -> PathBuilder {
    let mut out = PathBuilder::new();
    draw(&mut out);
    out
}
