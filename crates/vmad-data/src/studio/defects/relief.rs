//! Dent and bubble: the picture itself is bent, then shaded as the new shape would be.

use tiny_skia::PathBuilder;

use super::super::shapes::outline;
use crate::math::{cos, length, sin, smooth};
use crate::studio::defect_canvas::DefectCanvas;
use crate::studio::picture::{Layer, Spot};
use crate::studio::shapes::{ellipse, polar, ring, smooth_loop};

/// Where the lamp is taken to be: somewhere above, in radians.
fn lamp(canvas: &mut DefectCanvas<'_>) -> f32 {
    canvas.rng.range(-2.7, -0.45)
}

/// A pinch with one wall in the shade and one in the light.
pub(super) fn dent(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let spot = canvas.place(14.0 * canvas.unit, |canvas, spot| {
        // Shading shows best where it is neither black nor burnt out.
        -(canvas.brightness(spot) - 0.5).abs()
    })?;
    let radius = canvas.span(12.0, 27.0);
    let (squeeze, turn) = (canvas.rng.range(0.55, 1.0), canvas.rng.angle());
    let (c, s) = (cos(turn), sin(turn));
    let lamp = lamp(canvas);
    let (lx, ly) = (cos(lamp), sin(lamp));
    let deep = canvas.rng.range(0.7, 1.0);
    // Along the ellipse's axes, in radii.
    let inside = |x: f32, y: f32| {
        let (dx, dy) = (x - spot.0, y - spot.1);
        (
            (c * dx + s * dy) / radius,
            (c * dy - s * dx) / (radius * squeeze),
        )
    };
    let area = canvas.fill(outline(|out| {
        ellipse(out, spot, (radius, radius * squeeze), turn);
    }));
    canvas.warp(&area, |x, y| {
        let (u, v) = inside(x, y);
        let hollow = (1.0 - u * u - v * v).max(0.0);
        let far = 1.0 + 0.45 * hollow * hollow;
        (spot.0 + (x - spot.0) * far, spot.1 + (y - spot.1) * far)
    });
    canvas.paint(&area, |x, y, old| {
        let (u, v) = inside(x, y);
        let hollow = (1.0 - u * u - v * v).max(0.0);
        // Slope of (1 − q²)², which points out of the hollow.
        let (gu, gv) = (u * hollow * 2.9, v * hollow * 2.9);
        let (gx, gy) = (c * gu - s * gv, s * gu + c * gv);
        let lit = -(gx * lx + gy * ly) * deep;
        let ambient = 1.0 - 0.35 * deep * hollow;
        if lit >= 0.0 {
            old.map(|o| o * ambient + lit * (0.03 + 1.1 * o))
        } else {
            old.map(|o| o * ambient * (1.0 + 0.95 * lit).max(0.06))
        }
    });
    // A thin glint along the lit brink.
    let brink = polar(spot, lamp + std::f32::consts::PI, radius * squeeze * 0.93);
    let glint = canvas.fill(outline(|out| {
        ellipse(
            out,
            brink,
            (0.30 * radius, 0.05 * radius),
            lamp + std::f32::consts::FRAC_PI_2,
        );
    }));
    let glint = glint.blurred(1.5 * canvas.unit);
    canvas.screen(&glint, [0.35 * deep; 3]);
    Some(spot)
}

/// Blisters: what lies under them looks larger, they shine, and they throw small shadows.
pub(super) fn bubble(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let spot = canvas.place(20.0 * canvas.unit, |canvas, spot| {
        -(canvas.brightness(spot) - 0.5).abs()
    })?;
    let lamp = lamp(canvas);
    let count = 3 + canvas.rng.below(5);
    let mut domes: Vec<(Spot, f32)> = Vec::new();
    for attempt in 0..count * 5 {
        let r = canvas.span(3.8, 9.5);
        let off = if attempt == 0 {
            0.0
        } else {
            canvas.span(6.0, 26.0)
        };
        let at = polar(spot, canvas.rng.angle(), off);
        let free = |(other, q): &(Spot, f32)| length(other.0 - at.0, other.1 - at.1) > r + q + 0.5;
        if domes.iter().all(free) {
            domes.push((at, r));
        }
        if domes.len() == count {
            break;
        }
    }
    for (at, r) in domes {
        let wobble = ring(canvas.rng, at, r, 0.05, 10);
        let dome = canvas.fill(outline(|out| smooth_loop(out, &wobble)));
        blister(canvas, &dome, at, r, lamp);
    }
    Some(spot)
}

fn blister(canvas: &mut DefectCanvas<'_>, dome: &Layer, at: Spot, r: f32, lamp: f32) {
    let (lx, ly) = (cos(lamp), sin(lamp));
    let shadow = dome.moved(-0.32 * r * lx, -0.32 * r * ly).blurred(0.35 * r);
    let shadow = shadow.with(dome, |s, d| s * (1.0 - d));
    canvas.multiply(&shadow, [0.22; 3]);
    canvas.warp(dome, |x, y| {
        let q = (length(x - at.0, y - at.1) / r).min(1.0);
        let near = 0.5 + 0.5 * q * q;
        (at.0 + (x - at.0) * near, at.1 + (y - at.1) * near)
    });
    canvas.paint(dome, |x, y, old| {
        let (dx, dy) = ((x - at.0) / r, (y - at.1) / r);
        let q = length(dx, dy).min(1.0);
        let lit = (dx * lx + dy * ly) * q;
        let rim = smooth(0.72, 1.0, q);
        let shade = (1.0 + 0.9 * lit) * (1.0 - 0.35 * rim);
        old.map(|o| o * shade.max(0.1) + 0.20 * (lit.max(0.0) + 0.35))
    });
    let mut spark = PathBuilder::new();
    ellipse(
        &mut spark,
        polar(at, lamp, 0.48 * r),
        (0.30 * r, 0.17 * r),
        lamp + std::f32::consts::FRAC_PI_2,
    );
    let spark = canvas.fill(spark).blurred(0.12 * r);
    canvas.screen(&spark, [0.92; 3]);
    // Light that came through gathers on the far side.
    let mut glow = PathBuilder::new();
    ellipse(
        &mut glow,
        polar(at, lamp, -0.62 * r),
        (0.42 * r, 0.12 * r),
        lamp + std::f32::consts::FRAC_PI_2,
    );
    let glow = canvas.fill(glow).blurred(0.3 * r);
    canvas.screen(&glow, [0.22; 3]);
}
