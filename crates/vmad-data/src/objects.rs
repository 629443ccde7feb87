//! Shaders of the products that lie on a table. Each takes product coordinates in half widths.

use crate::math::{
    atan2, cos, fbm, floor, hash01, length, mix, mix3, noise, rounded_box, scale3, sin, smooth,
};
use crate::scene::Point;
use crate::variation::Variation;
use std::f32::consts::{FRAC_1_SQRT_2, PI, TAU};

/// A part with a bevelled edge: `d` is the signed distance to its outline.
fn part(l: &Variation, d: f32, rgb: [f32; 3], height: f32, gloss: f32, bevel: f32) -> Point {
    let t = (-d / bevel).clamp(0.0, 1.0);
    Point {
        rgb: l.tint(rgb),
        height: height + 0.8 * bevel * (t * (2.0 - t)),
        gloss,
        cover: l.inside(d),
    }
}

/// Nearest multiple of `step` removed from `a`.
fn fold(a: f32, step: f32) -> f32 {
    a - floor(a / step + 0.5) * step
}

/// Tool marks of turned metal around the centre.
fn turned(l: &Variation, r: f32, a: f32) -> f32 {
    0.90 + 0.14 * noise(l.seed, r * 90.0, 2.0 + 1.2 * cos(a)) + 0.06 * sin(2.0 * a + l.free[0])
}

pub(crate) fn washer(l: &Variation, u: f32, v: f32) -> Point {
    let r = length(u, v);
    let d = (r - 0.76).max(0.36 - r);
    let rgb = scale3([0.60, 0.61, 0.62], turned(l, r, atan2(v, u)));
    part(l, d, rgb, 0.0, 0.30, 0.05)
}

pub(crate) fn gear(l: &Variation, u: f32, v: f32) -> Point {
    let (r, a) = (length(u, v), atan2(v, u));
    let n = 16.0;
    let tooth = smooth(-0.35, 0.35, cos(a * n));
    let outer = r - (0.66 + 0.14 * tooth);
    let key = rounded_box(u - 0.19, v, 0.09, 0.05, 0.01);
    let bore = (0.19 - r).max(-key);
    let d = (outer * 0.75).max(bore);
    let web = smooth(0.0, 0.03, r - 0.32) * (1.0 - smooth(0.0, 0.03, r - 0.54));
    let rgb = scale3([0.52, 0.52, 0.55], turned(l, r, a) - 0.10 * web);
    part(l, d, rgb, -0.035 * web, 0.30, 0.03)
}

pub(crate) fn hex_nut(l: &Variation, u: f32, v: f32) -> Point {
    let r = length(u, v);
    let mut hex = -1.0f32;
    for k in 0..3 {
        let t = k as f32 * PI / 3.0;
        hex = hex.max((u * cos(t) + v * sin(t)).abs() - 0.66);
    }
    let d = hex.max(0.33 - r);
    let a = atan2(v, u);
    let thread = 1.0 - smooth(0.40, 0.43, r);
    let turns = sin((r * 26.0 + a / TAU) * TAU * 0.9);
    let chamfer = smooth(0.60, 0.74, r);
    let f = 0.94 + 0.10 * fbm(l.seed, u * 12.0, v * 12.0, 2) - thread * (0.22 - 0.12 * turns);
    part(
        l,
        d,
        scale3([0.66, 0.60, 0.46], f),
        -0.10 * chamfer + 0.006 * thread * turns,
        0.30,
        0.03,
    )
}

pub(crate) fn bottle_cap(l: &Variation, u: f32, v: f32) -> Point {
    let (r, a) = (length(u, v), atan2(v, u));
    let flute = cos(a * 21.0);
    let d = r - (0.79 + 0.02 * flute);
    let skirt = smooth(0.58, 0.66, r);
    let ring = 1.0 - smooth(0.0, 0.012, (r - 0.44).abs() - 0.025);
    let mut bar = rounded_box(u, v, 0.24, 0.055, 0.02);
    bar = bar.min(rounded_box(u, v, 0.055, 0.24, 0.02));
    let print = ring.max(l.inside(bar));
    let rgb = mix3([0.70, 0.13, 0.14], [0.90, 0.88, 0.82], print);
    part(
        l,
        d,
        scale3(rgb, 0.97 + 0.06 * noise(l.seed, u * 5.0, v * 5.0)),
        -0.16 * skirt * skirt + 0.020 * flute * skirt,
        0.30,
        0.03,
    )
}

pub(crate) fn capsule(l: &Variation, u: f32, v: f32) -> Point {
    // A cylinder with round ends, lying along the diagonal.
    let (x, y) = ((u + v) * FRAC_1_SQRT_2, (v - u) * FRAC_1_SQRT_2);
    let r = if x < 0.06 { 0.30 } else { 0.285 };
    let q = (x.abs() - 0.46).max(0.0);
    let dist = length(q, y);
    let d = dist - r;
    let half = if x < 0.06 {
        [0.78, 0.24, 0.16]
    } else {
        [0.86, 0.84, 0.78]
    };
    let seam = 1.0 - smooth(0.0, 0.014, (x - 0.06).abs());
    let dome = (1.0 - (dist / r) * (dist / r)).max(0.0).sqrt();
    let rgb = scale3(
        half,
        0.97 + 0.05 * noise(l.seed, u * 4.0, v * 4.0) - 0.25 * seam,
    );
    Point {
        rgb: l.tint(rgb),
        height: 0.22 * dome,
        gloss: 0.45,
        cover: l.inside(d),
    }
}

pub(crate) fn circuit_board(l: &Variation, u: f32, v: f32) -> Point {
    let d = rounded_box(u, v, 0.86, 0.72, 0.04);
    let mut rgb = scale3(
        [0.10, 0.36, 0.20],
        0.95 + 0.1 * noise(l.seed, u * 9.0, v * 9.0),
    );
    let (mut height, mut gloss) = (0.0, 0.22);
    // Straight traces: a bus across the middle and legs to the parts.
    let bus = if u.abs() < 0.8 {
        fold(v - 0.02, 0.055).abs() - 0.012
    } else {
        1.0
    };
    let in_bus = (v - 0.02).abs() < 0.19;
    let legs = if v.abs() > 0.17 && v.abs() < 0.62 {
        fold(u, 0.115).abs() - 0.012
    } else {
        1.0
    };
    let trace = l.inside(if in_bus { bus } else { legs });
    rgb = mix3(rgb, [0.20, 0.52, 0.28], trace);
    height += 0.003 * trace;
    // Four dark parts with silver legs; always at the same places.
    for (cx, cy, hx, hy) in [
        (-0.47, -0.40, 0.22, 0.13),
        (0.28, -0.40, 0.30, 0.15),
        (-0.30, 0.44, 0.32, 0.14),
        (0.50, 0.44, 0.17, 0.17),
    ] {
        let (x, y) = (u - cx, v - cy);
        if x.abs() > hx + 0.1 || y.abs() > hy + 0.1 {
            continue;
        }
        let pin = (fold(x, 0.0575).abs() - 0.014)
            .max(y.abs() - hy - 0.055)
            .max(x.abs() - hx + 0.02);
        let pins = l.inside(pin);
        rgb = mix3(rgb, [0.74, 0.74, 0.70], pins);
        height = mix(height, 0.012, pins);
        let body = rounded_box(x, y, hx, hy, 0.015);
        let b = l.inside(body);
        rgb = mix3(rgb, [0.11, 0.11, 0.12], b);
        height = mix(height, 0.03 * smooth(0.0, 0.02, -body), b);
        let dot = l.inside(length(x + hx - 0.05, y - hy + 0.05) - 0.018);
        rgb = mix3(rgb, [0.45, 0.45, 0.45], dot);
    }
    // Gold contact pads along the middle.
    let pad = rounded_box(fold(u, 0.2), v - 0.02, 0.035, 0.035, 0.01);
    if u.abs() < 0.75 {
        let p = l.inside(pad);
        rgb = mix3(rgb, [0.80, 0.66, 0.30], p);
        gloss = mix(gloss, 0.35, p);
    }
    // Mounting bores in the corners.
    let bore = length(u.abs() - 0.78, v.abs() - 0.64);
    rgb = mix3(rgb, [0.78, 0.66, 0.34], l.inside(bore - 0.060));
    let mut p = part(l, d.max(0.034 - bore), rgb, height, gloss, 0.012);
    p.rgb = p.rgb.map(|c| c.min(1.0));
    p
}

pub(crate) fn button(l: &Variation, u: f32, v: f32) -> Point {
    let r = length(u, v);
    let eye = length(u.abs() - 0.17, v.abs() - 0.17) - 0.085;
    let d = (r - 0.76).max(-eye);
    let rim = smooth(0.48, 0.56, r) - 1.2 * smooth(0.64, 0.80, r);
    let marble = fbm(l.seed, u * 3.0 + 4.0, v * 3.0, 3);
    let rgb = mix3([0.80, 0.74, 0.62], [0.70, 0.62, 0.50], marble);
    part(l, d, rgb, 0.05 * rim, 0.35, 0.025)
}

pub(crate) fn toy_brick(l: &Variation, u: f32, v: f32) -> Point {
    let d = rounded_box(u, v, 0.86, 0.45, 0.03);
    let (x, y) = (fold(u - 0.215, 0.43), fold(v - 0.215, 0.43));
    let stud = length(x, y);
    let top = 1.0 - smooth(0.125, 0.155, stud);
    let logo = l.inside(rounded_box(x, y, 0.07, 0.022, 0.01));
    let f = 0.95 + 0.06 * top + 0.03 * noise(l.seed, u * 4.0, v * 4.0) - 0.05 * logo;
    let shadow =
        1.0 - 0.22 * (1.0 - top) * (1.0 - smooth(0.0, 0.07, length(x - 0.03, y - 0.03) - 0.14));
    part(
        l,
        d,
        scale3([0.12, 0.34, 0.70], f * shadow),
        0.06 * top + 0.006 * logo,
        0.35,
        0.03,
    )
}

pub(crate) fn cable_end(l: &Variation, u: f32, v: f32) -> Point {
    let r = length(u, v);
    let d = r - 0.78;
    let sheath = smooth(0.0, 0.012, r - 0.66);
    let mut rgb = mix3([0.80, 0.79, 0.76], [0.30, 0.30, 0.31], sheath);
    let mut height = 0.02 * sheath;
    let mut gloss = 0.12;
    let colours = [[0.20, 0.36, 0.72], [0.46, 0.28, 0.16], [0.30, 0.60, 0.22]];
    for (k, c) in colours.into_iter().enumerate() {
        let t = k as f32 * TAU / 3.0;
        let (x, y) = (u - 0.335 * cos(t), v - 0.335 * sin(t));
        let q = length(x, y);
        if q > 0.31 {
            continue;
        }
        let ins = l.inside(q - 0.285);
        rgb = mix3(rgb, c, ins);
        height = mix(height, 0.03, smooth(0.0, 0.03, 0.285 - q));
        let core = l.inside(q - 0.185);
        if core > 0.0 {
            // Copper strands on a hexagonal lattice.
            let s = 0.062;
            let row = floor(y / (s * 0.866) + 0.5);
            let off = if (row as i32) & 1 == 0 { 0.0 } else { s * 0.5 };
            let (fx, fy) = (fold(x - off, s), y - row * s * 0.866);
            let strand = (1.0 - length(fx, fy) / (s * 0.55)).clamp(0.0, 1.0);
            let copper = scale3([0.80, 0.48, 0.28], 0.5 + 0.6 * strand.sqrt());
            rgb = mix3(rgb, copper, core);
            height = mix(height, 0.03 + 0.03 * strand.sqrt(), core);
            gloss = mix(gloss, 0.3, core);
        }
    }
    let f = 0.95 + 0.10 * noise(l.seed, u * 30.0, v * 30.0);
    part(l, d, scale3(rgb, f), height, gloss, 0.03)
}

pub(crate) fn bearing(l: &Variation, u: f32, v: f32) -> Point {
    let (r, a) = (length(u, v), atan2(v, u));
    let d = (r - 0.80).max(0.28 - r);
    let race = smooth(0.0, 0.02, r - 0.42) * (1.0 - smooth(0.0, 0.02, r - 0.64));
    let n = 9.0;
    let af = fold(a, TAU / n);
    let q = length(af * 0.53, r - 0.53);
    let ball = l.inside(q - 0.105);
    let dome = (1.0 - (q / 0.105) * (q / 0.105)).max(0.0).sqrt();
    let steel = scale3([0.62, 0.63, 0.65], turned(l, r, a));
    let mut rgb = mix3(steel, [0.22, 0.20, 0.18], race);
    rgb = mix3(rgb, [0.66, 0.67, 0.69], ball);
    let height = mix(-0.04 * race, 0.085 * dome - 0.03, ball);
    part(l, d, rgb, height, mix(0.30, 0.45, ball), 0.04)
}

pub(crate) fn coin(l: &Variation, u: f32, v: f32) -> Point {
    let (r, a) = (length(u, v), atan2(v, u));
    let d = r - 0.80;
    let rim = smooth(0.73, 0.75, r);
    let bead = 1.0 - smooth(0.010, 0.022, length(fold(a, TAU / 48.0) * 0.68, r - 0.68));
    // Five-pointed star by folding the angle.
    let af = fold(a, TAU / 5.0).abs();
    let (x, y) = (r * cos(af), r * sin(af));
    let star = (x * 0.5878 + y * 1.05 - 0.27) * 0.83;
    let s = 1.0 - smooth(-0.03, 0.015, star);
    let relief = rim.max(bead).max(s);
    let tarnish = fbm(l.seed, u * 3.0, v * 3.0, 3);
    let f = 0.84 + 0.20 * relief + 0.12 * (tarnish - 0.5);
    part(
        l,
        d,
        scale3([0.72, 0.57, 0.28], f),
        0.022 * relief,
        0.32,
        0.02,
    )
}

pub(crate) fn perforated_plate(l: &Variation, u: f32, v: f32) -> Point {
    let plate = rounded_box(u, v, 0.84, 0.84, 0.08);
    let (x, y) = (fold(u - 0.2, 0.4), fold(v - 0.2, 0.4));
    let bore = if u.abs() < 0.8 && v.abs() < 0.8 {
        0.105 - length(x, y)
    } else {
        -1.0
    };
    let d = plate.max(bore);
    let f =
        0.88 + 0.16 * noise(l.seed, u * 70.0, v * 2.5) + 0.05 * noise(l.seed ^ 3, u * 2.0, v * 2.0);
    part(l, d, scale3([0.60, 0.62, 0.64], f), 0.0, 0.26, 0.02)
}

pub(crate) fn tablet(l: &Variation, u: f32, v: f32) -> Point {
    let r = length(u, v);
    let d = r - 0.72;
    let score = 1.0 - smooth(0.0, 0.045, v.abs());
    let edge = smooth(0.50, 0.72, r);
    let powder = hash01(l.seed, (u * 130.0) as i32, (v * 130.0) as i32);
    let f = 0.95 + 0.03 * powder + 0.05 * noise(l.seed, u * 30.0, v * 30.0);
    part(
        l,
        d,
        scale3([0.84, 0.82, 0.76], f),
        -0.07 * edge * edge - 0.030 * score,
        0.04,
        0.03,
    )
}

pub(crate) fn bracket(l: &Variation, u: f32, v: f32) -> Point {
    let long = rounded_box(u + 0.42, v - 0.02, 0.28, 0.78, 0.05);
    let foot = rounded_box(u - 0.02, v - 0.52, 0.72, 0.28, 0.05);
    let b1 = 0.11 - length(u + 0.42, v + 0.44);
    let b2 = 0.11 - length(u - 0.42, v - 0.52);
    let d = long.min(foot).max(b1).max(b2);
    let ring = smooth(0.0, 0.02, 0.06 + b1.max(b2));
    let orange = noise(l.seed, u * 45.0, v * 45.0);
    let f = 0.95 + 0.06 * orange - 0.10 * ring;
    part(
        l,
        d,
        scale3([0.78, 0.60, 0.16], f),
        0.0018 * orange - 0.008 * ring,
        0.30,
        0.035,
    )
}
