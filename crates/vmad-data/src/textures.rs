//! Shaders of the products that fill the frame. Each takes product coordinates in half widths.

use crate::math::{
    cells, cos, fbm, floor, hash01, length, mix, mix3, noise, rounded_box, scale3, sin, smooth,
};
use crate::scene::Point;
use crate::variation::Variation;

fn solid(l: &Variation, rgb: [f32; 3], height: f32, gloss: f32) -> Point {
    Point {
        rgb: l.tint(rgb),
        height,
        gloss,
        cover: 1.0,
    }
}

pub(crate) fn leather(l: &Variation, u: f32, v: f32) -> Point {
    let (d1, d2) = cells(l.seed, u * 22.0, v * 22.0);
    let crease = smooth(0.0, 0.32, d2 - d1);
    let tone = noise(l.seed ^ 5, u * 3.0, v * 3.0);
    let rgb = scale3([0.50, 0.29, 0.17], 0.72 + 0.24 * crease + 0.10 * tone);
    solid(l, rgb, 0.010 * crease, 0.16)
}

pub(crate) fn metal(l: &Variation, u: f32, v: f32) -> Point {
    let a = noise(l.seed, u * 2.0, v * 95.0);
    let b = noise(l.seed ^ 9, u * 5.0, v * 230.0);
    let wide = noise(l.seed ^ 3, u * 0.7, v * 3.0);
    let f = 0.86 + 0.16 * a + 0.10 * b + 0.08 * wide;
    solid(l, scale3([0.56, 0.57, 0.59], f), 0.0009 * b, 0.28)
}

pub(crate) fn wood(l: &Variation, u: f32, v: f32) -> Point {
    let warp = fbm(l.seed, u * 0.9, v * 2.2, 2);
    let ring = sin((v * 6.0 + warp * 5.0 + 0.25 * u) * 4.0);
    let pore = noise(l.seed ^ 7, u * 5.0, v * 110.0);
    let t = 0.5 + 0.34 * ring;
    let base = mix3([0.74, 0.54, 0.33], [0.58, 0.38, 0.21], t);
    let f = 0.90 + 0.16 * pore;
    solid(l, scale3(base, f), 0.0012 * pore, 0.10)
}

pub(crate) fn fabric(l: &Variation, u: f32, v: f32) -> Point {
    let n = 19.0;
    let jitter = 0.10 * (noise(l.seed, u * 4.0, v * 4.0) - 0.5);
    let (x, y) = (u * n + jitter, v * n - jitter);
    let (ix, iy) = (floor(x), floor(y));
    let (fx, fy) = (x - ix - 0.5, y - iy - 0.5);
    let warp_on_top = ((ix as i32 + iy as i32) & 1) == 0;
    // The upper thread is highest at the middle of its crossing and dips under at both ends.
    let (across, along, tint) = if warp_on_top {
        (fx, fy, 1.0)
    } else {
        (fy, fx, 0.90)
    };
    let profile =
        (1.0 - 3.2 * across * across).max(0.0) * (0.6 + 0.4 * (1.0 - 4.0 * along * along));
    let fibre = noise(l.seed ^ 2, x * 5.0, y * 5.0);
    let f = tint * (0.55 + 0.45 * profile) * (0.9 + 0.2 * fibre);
    solid(l, scale3([0.36, 0.47, 0.64], f), 0.022 * profile, 0.03)
}

pub(crate) fn tile(l: &Variation, u: f32, v: f32) -> Point {
    let p = 0.78;
    let (x, y) = (u / p, v / p);
    let (ix, iy) = (floor(x), floor(y));
    let d = rounded_box((x - ix - 0.5) * p, (y - iy - 0.5) * p, 0.365, 0.365, 0.02);
    let face = l.inside(d);
    let shade = 0.96 + 0.08 * hash01(l.seed, ix as i32, iy as i32);
    let cloud = 0.96 + 0.08 * noise(l.seed ^ 4, u * 6.0, v * 6.0);
    let glaze = scale3([0.62, 0.74, 0.74], shade * cloud);
    let grain = hash01(l.seed, (u * 220.0) as i32, (v * 220.0) as i32);
    let joint = scale3([0.45, 0.43, 0.41], 0.85 + 0.2 * grain);
    let bevel = smooth(0.0, 0.03, -d);
    let rgb = mix3(joint, glaze, face);
    solid(l, rgb, 0.016 * bevel, 0.10 + 0.35 * face)
}

pub(crate) fn carpet(l: &Variation, u: f32, v: f32) -> Point {
    let a = noise(l.seed, u * 62.0, v * 62.0);
    let b = noise(l.seed ^ 1, u * 120.0 + 3.0 * a, v * 120.0);
    let wide = noise(l.seed ^ 6, u * 4.0, v * 4.0);
    let h = 0.6 * a + 0.4 * b;
    let f = 0.58 + 0.52 * h + 0.12 * wide;
    solid(l, scale3([0.56, 0.24, 0.25], f), 0.014 * h, 0.0)
}

pub(crate) fn concrete(l: &Variation, u: f32, v: f32) -> Point {
    let cloud = fbm(l.seed, u * 4.0, v * 4.0, 4);
    let grain = noise(l.seed ^ 8, u * 110.0, v * 110.0);
    let (d, _) = cells(l.seed ^ 11, u * 13.0, v * 13.0);
    let pore = 1.0 - smooth(0.05, 0.11, d);
    let f = 0.78 + 0.26 * cloud + 0.14 * grain - 0.22 * pore;
    solid(
        l,
        scale3([0.62, 0.61, 0.58], f),
        0.003 * grain - 0.006 * pore,
        0.0,
    )
}

pub(crate) fn rubber(l: &Variation, u: f32, v: f32) -> Point {
    let n = 7.0;
    // Rows shifted by half a step.
    let row = floor(v * n);
    let shift = if (row as i32) & 1 == 0 { 0.0 } else { 0.5 };
    let x = u * n + shift;
    let (fx, fy) = (x - floor(x) - 0.5, v * n - row - 0.5);
    let d = length(fx, fy);
    let knob = 1.0 - smooth(0.26, 0.38, d);
    let grain = noise(l.seed, u * 130.0, v * 130.0);
    let wide = noise(l.seed ^ 2, u * 3.0, v * 3.0);
    let f = 0.85 + 0.16 * grain + 0.14 * wide + 0.22 * knob;
    solid(
        l,
        scale3([0.19, 0.19, 0.20], f),
        0.035 * knob + 0.002 * grain,
        0.12,
    )
}

pub(crate) fn cardboard(l: &Variation, u: f32, v: f32) -> Point {
    let flute = sin(u * 58.0);
    let fibre = noise(l.seed, u * 22.0, v * 90.0);
    let grain = noise(l.seed ^ 3, u * 120.0, v * 60.0);
    let wide = fbm(l.seed ^ 5, u * 2.0, v * 2.0, 2);
    let f = 0.86 + 0.025 * flute + 0.10 * fibre + 0.08 * grain + 0.10 * wide;
    solid(l, scale3([0.72, 0.56, 0.39], f), 0.0015 * flute, 0.0)
}

pub(crate) fn mesh(l: &Variation, u: f32, v: f32) -> Point {
    let n = 8.0;
    let (x, y) = (u * n, v * n);
    let (ix, iy) = (floor(x), floor(y));
    let (fx, fy) = (x - ix - 0.5, y - iy - 0.5);
    let r = 0.20;
    let wave =
        cos((y - 0.5) * std::f32::consts::PI) * if (ix as i32) & 1 == 0 { 1.0 } else { -1.0 };
    let round = |d: f32| (1.0 - (d / r) * (d / r)).max(0.0).sqrt();
    let wave2 =
        cos((x - 0.5) * std::f32::consts::PI) * if (iy as i32) & 1 == 0 { -1.0 } else { 1.0 };
    let (hx, hy) = (round(fx), round(fy));
    let zx = if hx > 0.0 { hx + 0.6 * wave } else { -9.0 };
    let zy = if hy > 0.0 { hy + 0.6 * wave2 } else { -9.0 };
    let z = zx.max(zy);
    let wire = l.inside((fx.abs().min(fy.abs()) - r) / n);
    let (h, along) = if zx > zy { (hx, y) } else { (hy, x) };
    let steel = scale3(
        [0.60, 0.61, 0.62],
        0.62 + 0.34 * h + 0.06 * noise(l.seed, along * 3.0, ix + iy),
    );
    let cloth = scale3(
        [0.20, 0.23, 0.28],
        0.9 + 0.2 * noise(l.seed ^ 4, u * 40.0, v * 40.0),
    );
    let height = if z > -5.0 { 0.022 * z + 0.02 } else { 0.0 };
    Point {
        rgb: l.tint(mix3(cloth, steel, wire)),
        height: mix(0.0, height, wire),
        gloss: 0.3 * wire,
        cover: 1.0,
    }
}
