//! Misprint: characters where none belong.

use tiny_skia::PathBuilder;

use crate::math::{Rgb, cos, mix3, sin, smooth};
use crate::studio::defect_canvas::DefectCanvas;
use crate::studio::gabor::Gabor;
use crate::studio::picture::{Spot, linear};
use crate::studio::shapes::polyline;

/// Characters as pen strokes on a grid 4 wide and 6 high.
type Glyph = &'static [&'static [(u8, u8)]];

const GLYPHS: [Glyph; 14] = [
    &[&[(0, 6), (2, 0), (4, 6)], &[(1, 4), (3, 4)]],
    &[&[
        (4, 1),
        (2, 0),
        (0, 2),
        (0, 4),
        (2, 6),
        (4, 5),
        (4, 3),
        (2, 3),
    ]],
    &[&[(4, 0), (0, 0), (0, 6), (4, 6)], &[(0, 3), (3, 3)]],
    &[&[(0, 6), (0, 0)], &[(4, 0), (0, 3), (4, 6)]],
    &[&[(0, 6), (0, 0), (4, 6), (4, 0)]],
    &[
        &[(0, 6), (0, 0), (3, 0), (4, 1), (3, 3), (0, 3)],
        &[(2, 3), (4, 6)],
    ],
    &[&[(0, 0), (4, 0), (1, 6)]],
    &[&[(0, 0), (4, 6)], &[(4, 0), (0, 6)]],
    &[&[(0, 1), (2, 0), (4, 1), (4, 2), (0, 6), (4, 6)]],
    &[&[(0, 0), (4, 0), (2, 2), (4, 4), (3, 6), (0, 5)]],
    &[&[(3, 6), (3, 0), (0, 4), (4, 4)]],
    &[&[(4, 0), (0, 0), (0, 2), (3, 2), (4, 4), (3, 6), (0, 6)]],
    &[&[
        (2, 0),
        (0, 1),
        (2, 3),
        (4, 5),
        (2, 6),
        (0, 5),
        (2, 3),
        (4, 1),
        (2, 0),
    ]],
    &[&[(2, 0), (0, 2), (0, 4), (2, 6), (4, 4), (4, 2), (2, 0)]],
];

/// A row of characters, sometimes struck twice, with ink that did not take everywhere.
pub(super) fn misprint(canvas: &mut DefectCanvas<'_>) -> Option<Spot> {
    let spot = canvas.place(20.0 * canvas.unit, |canvas, spot| {
        -canvas.before.spread(spot, 14.0 * canvas.unit)
    })?;
    let count = 3 + canvas.rng.below(4);
    let high = canvas.span(10.0, 18.0);
    let grid = high / 6.0;
    let pitch = grid * canvas.rng.range(5.4, 6.4);
    let angle = canvas.rng.sym(0.3);
    let slant = canvas.rng.range(0.0, 0.3);
    let (c, s) = (cos(angle), sin(angle));
    let mut lines = PathBuilder::new();
    for k in 0..count {
        let glyph = GLYPHS[canvas.rng.below(GLYPHS.len())];
        let left = pitch * (k as f32 - 0.5 * count as f32);
        for stroke in glyph {
            let points: Vec<Spot> = stroke
                .iter()
                .map(|(x, y)| {
                    let v = grid * (f32::from(*y) - 3.0);
                    let u = left + grid * f32::from(*x) - slant * v;
                    (spot.0 + c * u - s * v, spot.1 + s * u + c * v)
                })
                .collect();
            polyline(&mut lines, &points);
        }
    }
    let pen = (grid * canvas.rng.range(0.75, 1.15)).max(1.4);
    let text = canvas.stroke(lines, pen);
    let ink = ink(canvas, spot);
    let wear = Gabor::clouds(canvas.rng.bits(), 4.0 * canvas.unit.max(0.6));
    let loss = canvas.rng.range(0.3, 0.75);
    if canvas.rng.chance(0.35) {
        let (dx, dy) = (canvas.span(1.5, 3.0), canvas.span(-1.5, 1.5));
        let ghost = text.moved(dx, dy);
        canvas.paint(&ghost, |_, _, old| mix3(old, ink, 0.4));
    }
    canvas.paint(&text, |x, y, old| {
        let taken = 1.0 - 0.8 * smooth(loss, loss + 0.4, wear.at(x, y));
        mix3(old, ink, 0.95 * taken)
    });
    Some(spot)
}

/// An ink that can be read on the ground at a spot.
fn ink(canvas: &mut DefectCanvas<'_>, spot: Spot) -> Rgb {
    let inks = if canvas.brightness(spot) > 0.45 {
        [[0.08, 0.08, 0.10], [0.12, 0.16, 0.52], [0.56, 0.07, 0.10]]
    } else {
        [[0.95, 0.95, 0.93], [0.95, 0.86, 0.40], [0.62, 0.86, 0.95]]
    };
    linear(inks[canvas.rng.below(3)])
}
