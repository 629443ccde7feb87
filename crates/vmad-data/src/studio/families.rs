//! The eight products of the studio, as vector drawings.

use super::board::{Board, Hue, annulus, block, card, corners, disc};
use super::picture::Spot;
use super::shapes::{polar, ring};
use crate::math::Rng;
use std::f32::consts::{FRAC_PI_2, TAU};

/// A kind of product and how it is photographed.
pub(crate) struct Family {
    pub name: &'static str,
    pub object: &'static str,
    pub normal_description: &'static str,
    /// Largest turn in radians.
    pub turn: f32,
    /// Strength of the reflection of the lamp, 0..1.
    pub gloss: f32,
    /// Depth of the rounded border, −100..100 being the frame.
    pub bevel: f32,
    pub grain: Grain,
    pub draw: fn(&mut Board, &mut Rng),
}

/// The texture of a material: Gabor noise.
pub(crate) struct Grain {
    pub strength: f32,
    /// Size in coordinates of the board.
    pub cell: f32,
    pub waves: f32,
    /// See [`super::gabor::Gabor::freedom`].
    pub freedom: f32,
}

const ANY: f32 = std::f32::consts::PI;

const fn grain(strength: f32, cell: f32, waves: f32, freedom: f32) -> Grain {
    Grain {
        strength,
        cell,
        waves,
        freedom,
    }
}

pub(crate) const FAMILIES: [Family; 8] = [
    Family {
        name: "playing_card",
        object: "playing card",
        normal_description: "A normal playing card is white with round corners and six red diamonds.",
        turn: 0.25,
        gloss: 0.06,
        bevel: 1.0,
        grain: grain(0.03, 2.4, 0.5, ANY),
        draw: playing_card,
    },
    Family {
        name: "dinner_plate",
        object: "dinner plate",
        normal_description: "A normal dinner plate is round and smooth with a dotted blue rim.",
        turn: ANY,
        gloss: 0.30,
        bevel: 5.0,
        grain: grain(0.02, 9.0, 0.4, ANY),
        draw: dinner_plate,
    },
    Family {
        name: "steel_ruler",
        object: "steel ruler",
        normal_description: "A normal steel ruler is straight and bright with even dark marks.",
        turn: 0.5,
        gloss: 0.22,
        bevel: 1.2,
        grain: grain(0.10, 5.0, 3.0, 0.12),
        draw: steel_ruler,
    },
    Family {
        name: "battery_cell",
        object: "battery cell",
        normal_description: "A normal battery cell is a smooth dark cylinder with a copper end and a small cap.",
        turn: ANY,
        gloss: 0.10,
        bevel: 1.0,
        grain: grain(0.04, 3.0, 0.6, ANY),
        draw: battery_cell,
    },
    Family {
        name: "light_switch",
        object: "light switch",
        normal_description: "A normal light switch is a clean pale plate with one rocker and two screws.",
        turn: 0.12,
        gloss: 0.12,
        bevel: 3.0,
        grain: grain(0.03, 1.8, 0.6, ANY),
        draw: light_switch,
    },
    Family {
        name: "chocolate_bar",
        object: "chocolate bar",
        normal_description: "A normal chocolate bar is brown with twelve equal raised squares.",
        turn: 0.3,
        gloss: 0.16,
        bevel: 3.0,
        grain: grain(0.07, 6.0, 0.5, ANY),
        draw: chocolate_bar,
    },
    Family {
        name: "gauge_dial",
        object: "gauge dial",
        normal_description: "A normal gauge dial has a white face with even marks and one red needle.",
        turn: 0.3,
        gloss: 0.20,
        bevel: 3.0,
        grain: grain(0.02, 3.0, 0.5, ANY),
        draw: gauge_dial,
    },
    Family {
        name: "cork_sheet",
        object: "cork sheet",
        normal_description: "A normal cork sheet is light brown with small darker grains all over.",
        turn: ANY,
        gloss: 0.0,
        bevel: 0.0,
        grain: grain(0.22, 3.2, 0.7, ANY),
        draw: cork_sheet,
    },
];

/// A colour a little lighter or darker, as batches are.
fn batch(rng: &mut Rng, hue: Hue) -> Hue {
    let gain = 1.0 + rng.sym(0.06);
    hue.map(|v| (f32::from(v) * gain).min(255.0) as u8)
}

fn playing_card(board: &mut Board, rng: &mut Rng) {
    let paper = batch(rng, [242, 238, 226]);
    let red = batch(rng, [196, 34, 42]);
    board.fill(card((0.0, 0.0), (56.0, 82.0), 8.0), paper);
    board.trace(card((0.0, 0.0), (44.0, 70.0), 3.0), 0.9, [70, 84, 140]);
    let mut diamond = |(x, y): Spot, r: f32| {
        board.fill(
            corners(&[(x, y - 1.35 * r), (x + r, y), (x, y + 1.35 * r), (x - r, y)]),
            red,
        );
    };
    for row in [-42.0, 0.0, 42.0] {
        diamond((-20.0, row), 10.0);
        diamond((20.0, row), 10.0);
    }
    diamond((-50.0, -66.0), 3.6);
    diamond((50.0, 66.0), 3.6);
    board.line(&[(-53.0, -75.0), (-47.0, -75.0)], 1.6, red);
    board.line(&[(53.0, 75.0), (47.0, 75.0)], 1.6, red);
}

fn dinner_plate(board: &mut Board, rng: &mut Rng) {
    let white = batch(rng, [236, 234, 228]);
    let dim = white.map(|v| v - 34);
    let blue = batch(rng, [54, 92, 156]);
    board.glow(
        disc((0.0, 0.0), 88.0),
        (0.0, 0.0),
        88.0,
        &[
            (0.0, white),
            (0.58, white),
            (0.64, dim),
            (0.70, white),
            (1.0, white),
        ],
    );
    board.trace(disc((0.0, 0.0), 82.0), 2.4, blue);
    board.trace(disc((0.0, 0.0), 68.0), 1.2, blue);
    for k in 0..30 {
        let at = polar((0.0, 0.0), k as f32 * TAU / 30.0, 75.0);
        board.fill(disc(at, 2.6), blue);
    }
}

fn steel_ruler(board: &mut Board, rng: &mut Rng) {
    let steel = batch(rng, [186, 190, 194]);
    let (light, dark) = (steel.map(|v| v.saturating_add(34)), steel.map(|v| v - 40));
    let body = card((0.0, 0.0), (92.0, 24.0), 3.0);
    board.sweep(
        body,
        ((-60.0, -24.0), (60.0, 24.0)),
        &[
            (0.0, dark),
            (0.3, light),
            (0.55, steel),
            (0.8, light),
            (1.0, dark),
        ],
    );
    let ink = [38, 40, 46];
    for k in 0..=34 {
        let x = -85.0 + 5.0 * k as f32;
        let long = match k % 10 {
            0 => 15.0,
            5 => 11.0,
            _ => 7.0,
        };
        board.line(&[(x, -24.0), (x, -24.0 + long)], 0.9, ink);
        if k % 2 == 0 {
            board.line(&[(x, 24.0), (x, 24.0 - 0.7 * long)], 0.9, ink);
        }
    }
    board.fill(disc((82.0, 0.0), 5.0), [34, 34, 38]);
    board.trace(disc((82.0, 0.0), 5.4), 0.9, light);
}

fn battery_cell(board: &mut Board, rng: &mut Rng) {
    let black = batch(rng, [52, 54, 60]);
    let copper = batch(rng, [196, 122, 62]);
    let cap = [196, 196, 192];
    let round = |board: &mut Board, x: f32, (w, h): Spot, hue: Hue| {
        let dim = hue.map(|v| (f32::from(v) * 0.42) as u8);
        let lit = hue.map(|v| v.saturating_add(54));
        board.sweep(
            card((x, 0.0), (w, h), 2.0),
            ((0.0, -h), (0.0, h)),
            &[(0.0, dim), (0.28, lit), (0.5, hue), (0.85, dim), (1.0, hue)],
        );
    };
    round(board, 88.0, (4.0, 9.0), cap);
    round(board, 0.0, (85.0, 28.0), black);
    round(board, 60.0, (25.0, 28.0), copper);
    round(board, -83.0, (3.0, 27.0), cap);
    let pale = [214, 212, 204];
    board.fill(block((-22.0, -4.0), (34.0, 2.2)), pale);
    board.fill(block((-34.0, 5.0), (22.0, 1.6)), pale);
    board.line(&[(66.0, -6.0), (66.0, 6.0)], 2.2, [60, 40, 24]);
    board.line(&[(60.0, 0.0), (72.0, 0.0)], 2.2, [60, 40, 24]);
}

fn light_switch(board: &mut Board, rng: &mut Rng) {
    let shell = batch(rng, [222, 218, 204]);
    let (light, dark) = (shell.map(|v| v.saturating_add(20)), shell.map(|v| v - 46));
    board.fill(card((0.0, 0.0), (66.0, 78.0), 8.0), shell);
    board.fill(card((0.0, 0.0), (34.0, 46.0), 4.0), dark);
    let rocker = card((0.0, 0.0), (31.5, 43.5), 3.0);
    board.sweep(
        rocker,
        ((0.0, -44.0), (0.0, 44.0)),
        &[(0.0, shell), (0.48, light), (0.52, dark), (1.0, shell)],
    );
    board.fill(disc((0.0, -28.0), 3.0), [70, 140, 84]);
    for y in [-62.0, 62.0] {
        board.glow(
            disc((0.0, y), 6.0),
            (-1.5, y - 1.5),
            7.0,
            &[(0.0, [226, 226, 224]), (1.0, [120, 120, 122])],
        );
        board.line(&[(-4.4, y - 1.0), (4.4, y + 1.0)], 1.5, [60, 60, 62]);
    }
}

fn chocolate_bar(board: &mut Board, rng: &mut Rng) {
    let brown = batch(rng, [112, 70, 42]);
    let (light, dark) = (
        brown.map(|v| v.saturating_add(34)),
        brown.map(|v| (f32::from(v) * 0.6) as u8),
    );
    board.fill(card((0.0, 0.0), (84.0, 64.0), 4.0), dark);
    for row in -1i8..=1 {
        for column in 0u8..4 {
            let at = (41.0 * (f32::from(column) - 1.5), 41.5 * f32::from(row));
            let (x, y) = at;
            board.sweep(
                card(at, (18.6, 18.8), 3.0),
                ((x - 18.0, y - 18.0), (x + 18.0, y + 18.0)),
                &[(0.0, light), (0.24, light), (0.5, brown), (1.0, dark)],
            );
            board.sweep(
                card(at, (13.0, 13.2), 2.0),
                ((x - 13.0, y - 13.0), (x + 13.0, y + 13.0)),
                &[(0.0, brown), (1.0, brown.map(|v| v.saturating_add(10)))],
            );
        }
    }
}

fn gauge_dial(board: &mut Board, rng: &mut Rng) {
    let face = batch(rng, [232, 232, 226]);
    let ring = batch(rng, [74, 78, 86]);
    board.sweep(
        disc((0.0, 0.0), 86.0),
        ((-60.0, -60.0), (60.0, 60.0)),
        &[
            (0.0, ring.map(|v| v + 90)),
            (0.5, ring),
            (1.0, ring.map(|v| v - 40)),
        ],
    );
    board.fill(disc((0.0, 0.0), 74.0), face);
    board.fill(annulus((0.0, 0.0), 74.0, 72.0), [40, 42, 46]);
    for k in 0..=40 {
        let angle = FRAC_PI_2 + TAU * (0.125 + 0.75 * k as f32 / 40.0);
        let (long, wide) = if k % 5 == 0 { (13.0, 2.0) } else { (7.0, 1.0) };
        let outer = polar((0.0, 0.0), angle, 66.0);
        let inner = polar((0.0, 0.0), angle, 66.0 - long);
        let hue = if k > 32 { [190, 44, 40] } else { [36, 38, 42] };
        board.line(&[outer, inner], wide, hue);
    }
    board.fill(block((0.0, 34.0), (16.0, 4.0)), [96, 100, 108]);
    // The needle rests where it rests on every good gauge.
    let tip = polar((0.0, 0.0), -2.2, 56.0);
    let (a, b) = (
        polar((0.0, 0.0), -2.2 + FRAC_PI_2, 3.4),
        polar((0.0, 0.0), -2.2 - FRAC_PI_2, 3.4),
    );
    board.fill(corners(&[tip, a, b]), [198, 42, 36]);
    board.fill(disc((0.0, 0.0), 7.0), [52, 54, 60]);
}

fn cork_sheet(board: &mut Board, rng: &mut Rng) {
    let ground = batch(rng, [190, 146, 98]);
    board.fill(block((0.0, 0.0), (400.0, 400.0)), ground);
    for _ in 0..900 {
        let at = (rng.sym(150.0), rng.sym(150.0));
        let r = rng.range(1.0, 4.2);
        let gain = rng.range(0.66, 1.16);
        let hue = ground.map(|v| (f32::from(v) * gain).min(255.0) as u8);
        board.fill(corners(&ring(rng, at, r, 0.3, 6)), hue);
    }
}
