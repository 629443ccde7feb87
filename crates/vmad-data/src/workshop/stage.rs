//! Composes a normal scene: a surface, a part, several parts, or a part in clutter.

use super::camera::Camera;
use super::families;
use super::form::Form;
use super::material::Material;
use super::outline::Outline;
use super::part::{Owner, Part, Pose};
use crate::math::{Rgb, Rng, length, lum, scale3, smooth};
use crate::scene::{Scene, box_blur};
use std::f32::consts::FRAC_PI_2;

/// A normal scene and what is said of it.
pub(super) struct Stage {
    pub scene: Scene,
    /// Number of the part that each pixel shows; 0 for none.
    pub owner: Vec<u8>,
    /// How many parts there are.
    pub parts: u8,
    /// Whether the product fills the frame.
    pub fills: bool,
    /// Size of the parts against one that fills the frame.
    pub scale: f32,
    pub object: String,
    pub normal: String,
}

/// Draws a scene of any kind.
pub(super) fn draw(rng: &mut Rng, side: usize, camera: &Camera) -> Stage {
    match rng.below(20) {
        0..=6 => surface(rng, side, camera),
        7..=12 => single(rng, side, camera, false),
        13..=16 => several(rng, side, camera),
        _ => single(rng, side, camera, true),
    }
}

/// The empty picture and its background's colour.
fn empty(rng: &mut Rng, side: usize) -> (Scene, Owner, Rgb) {
    let count = side * side;
    let ground = families::ground(rng);
    let mut scene = Scene {
        side,
        rgb: vec![ground.base.rgb; count],
        height: vec![0.0; count],
        gloss: vec![0.0; count],
        cover: vec![0.0; count],
        behind: ground.base.rgb,
    };
    fill(&mut scene, &ground, rng.range(0.7, 1.5));
    let owner = Owner {
        id: vec![0; count],
        solid: vec![0.0; count],
        next: 1,
    };
    let rgb = ground.base.rgb;
    (scene, owner, rgb)
}

fn fill(scene: &mut Scene, ground: &Material, zoom: f32) {
    let inv = 2.0 / scene.side as f32;
    for (i, rgb) in scene.rgb.iter_mut().enumerate() {
        let (x, y) = (i % scene.side, i / scene.side);
        let at = |t: usize| ((t as f32 + 0.5) * inv - 1.0) * zoom;
        let skin = ground.at(at(x), at(y), inv * zoom);
        *rgb = skin.rgb;
        scene.height[i] = skin.height / zoom;
        scene.gloss[i] = 0.6 * skin.gloss;
    }
}

fn surface(rng: &mut Rng, side: usize, camera: &Camera) -> Stage {
    let mut part = Part::surface(rng);
    // Now and then the sheet ends within the frame.
    let edge = rng.chance(0.22);
    let (mut scene, mut owner) = if edge {
        let (scene, owner, _) = empty(rng, side);
        let (hx, hy) = (rng.range(0.9, 1.6), rng.range(0.9, 1.6));
        part.form = Form {
            outline: Outline::Plate {
                hx,
                hy,
                round: rng.range(0.0, 0.1),
            },
            noun: "",
            look: "",
            loose: false,
            domed: false,
        };
        (scene, owner)
    } else {
        let count = side * side;
        let scene = Scene {
            side,
            rgb: vec![[0.06, 0.055, 0.05]; count],
            height: vec![0.0; count],
            gloss: vec![0.0; count],
            cover: vec![0.0; count],
            behind: [0.06, 0.055, 0.05],
        };
        let owner = Owner {
            id: vec![0; count],
            solid: vec![0.0; count],
            next: 1,
        };
        (scene, owner)
    };
    let shift = if edge { 0.75 } else { 0.25 };
    let pose = Pose {
        centre: (rng.sym(shift), rng.sym(shift)),
        scale: rng.range(0.75, 1.35),
        angle: if rng.chance(0.7) {
            rng.sym(0.12)
        } else {
            rng.angle()
        },
        tilt: (rng.sym(0.12), rng.sym(0.12)),
        shear: rng.sym(0.08),
    };
    part.stamp(&mut scene, &pose, true, 1.0, &mut owner);
    if edge {
        shadow(&mut scene, &owner, camera, rng);
    }
    let sheets = part.material.sheets;
    let object = sheets[rng.below(sheets.len())].to_owned();
    let colour = colour_word(&part.material, camera);
    let normal = format!(
        "A normal {object} is {colour}, with {}{}.",
        part.material.look,
        extras(&part)
    );
    Stage {
        scene,
        owner: owner.id,
        parts: 1,
        fills: !edge,
        scale: 1.0,
        object,
        normal,
    }
}

fn single(rng: &mut Rng, side: usize, camera: &Camera, cluttered: bool) -> Stage {
    let (mut scene, mut owner, ground) = empty(rng, side);
    let part = Part::draw(rng, ground);
    if cluttered {
        clutter(rng, &mut scene, &mut owner, ground);
    }
    let scale = rng.range(0.6, 1.05) * if cluttered { 0.85 } else { 1.0 };
    let room = (1.05 - 0.9 * scale).max(0.04);
    let pose = Pose {
        centre: (rng.sym(room), rng.sym(room)),
        scale,
        angle: lying(rng, &part),
        tilt: (rng.sym(0.15), rng.sym(0.15)),
        shear: rng.sym(0.1),
    };
    part.stamp(&mut scene, &pose, true, 1.0, &mut owner);
    shadow(&mut scene, &owner, camera, rng);
    let object = format!("{} {}", part.material.stuff, part.form.noun);
    let normal = format!(
        "A normal {object} is {} and {}, with {}{}.",
        colour_word(&part.material, camera),
        part.form.look,
        part.material.look,
        extras(&part)
    );
    Stage {
        scene,
        owner: owner.id,
        parts: 1,
        fills: false,
        scale,
        object,
        normal,
    }
}

fn several(rng: &mut Rng, side: usize, camera: &Camera) -> Stage {
    let (mut scene, mut owner, ground) = empty(rng, side);
    let part = Part::draw(rng, ground);
    let reach = part.form.outline.reach();
    let in_rows = rng.chance(0.55);
    let mut places: Vec<(f32, f32)> = Vec::new();
    let scale;
    if in_rows {
        let (columns, rows) = (1 + rng.below(4), 1 + rng.below(4));
        let (columns, rows) = if columns * rows < 2 {
            (3, 1)
        } else {
            (columns, rows)
        };
        let pitch = 1.9 / columns.max(rows) as f32;
        scale = 0.5 * pitch * rng.range(0.75, 0.96) / reach;
        let shift = (rng.sym(0.06), rng.sym(0.06));
        for r in 0..rows {
            for c in 0..columns {
                let at = |k: usize, n: usize| (k as f32 - 0.5 * (n - 1) as f32) * pitch;
                places.push((at(c, columns) + shift.0, at(r, rows) + shift.1));
            }
        }
    } else {
        scale = rng.range(0.22, 0.45) / reach;
        let wanted = 2 + rng.below(9);
        for _ in 0..60 {
            let at = (rng.sym(0.85), rng.sym(0.85));
            let gap = 1.9 * scale * reach;
            if places.len() < wanted && places.iter().all(|p| length(p.0 - at.0, p.1 - at.1) > gap)
            {
                places.push(at);
            }
        }
    }
    let (tilt, common) = ((rng.sym(0.08), rng.sym(0.08)), lying(rng, &part));
    let aligned = !part.form.loose || (in_rows && rng.chance(0.6));
    let uneven = rng.range(0.0, 0.06);
    for centre in &places {
        let angle = if aligned {
            common + rng.sym(0.06)
        } else {
            rng.angle()
        };
        let pose = Pose {
            centre: *centre,
            scale,
            angle,
            tilt,
            shear: 0.0,
        };
        let tone = 1.0 + rng.sym(uneven);
        part.stamp(&mut scene, &pose, true, tone, &mut owner);
    }
    shadow(&mut scene, &owner, camera, rng);
    let many = format!("{} {}s", part.material.stuff, part.form.noun);
    let object = if in_rows {
        format!("row of {many}")
    } else {
        format!("group of {many}")
    };
    let normal = format!(
        "A normal {object} shows equal parts, each {} and {}, with {}{}.",
        colour_word(&part.material, camera),
        part.form.look,
        part.material.look,
        extras(&part)
    );
    let parts = (places.len() as u8).max(1);
    Stage {
        scene,
        owner: owner.id,
        parts,
        fills: false,
        scale,
        object,
        normal,
    }
}

/// Other surfaces and parts that do not belong to the product.
fn clutter(rng: &mut Rng, scene: &mut Scene, owner: &mut Owner, ground: Rgb) {
    for _ in 0..rng.below(3) {
        // A board, mat or fixture that reaches into the picture.
        let mut board = Part::surface(rng);
        board.form.outline = Outline::Plate {
            hx: rng.range(0.4, 1.2),
            hy: rng.range(0.2, 0.8),
            round: 0.05,
        };
        let pose = Pose {
            centre: (rng.sym(1.1), rng.sym(1.1)),
            scale: 1.0,
            angle: if rng.chance(0.5) { 0.0 } else { rng.angle() },
            tilt: (0.0, 0.0),
            shear: 0.0,
        };
        board.stamp(scene, &pose, false, 1.0, owner);
    }
    for _ in 0..1 + rng.below(5) {
        let other = Part::draw(rng, ground);
        let a = rng.angle();
        let r = rng.range(0.7, 1.2);
        let pose = Pose {
            centre: (r * crate::math::cos(a), r * crate::math::sin(a)),
            scale: rng.range(0.15, 0.6),
            angle: rng.angle(),
            tilt: (0.0, 0.0),
            shear: 0.0,
        };
        other.stamp(scene, &pose, false, rng.range(0.6, 1.1), owner);
    }
}

fn lying(rng: &mut Rng, part: &Part) -> f32 {
    if part.form.loose && rng.chance(0.8) {
        return rng.angle();
    }
    let quarter = if rng.chance(0.3) { FRAC_PI_2 } else { 0.0 };
    quarter + rng.sym(0.15)
}

/// Darkens what lies beside parts, away from the first lamp.
fn shadow(scene: &mut Scene, owner: &Owner, camera: &Camera, rng: &mut Rng) {
    let n = scene.side;
    let strength = rng.range(0.1, 0.6);
    let soft = ((rng.range(0.01, 0.05) * n as f32) as usize).max(1);
    let (dx, dy) = camera.shadow();
    let far = rng.range(0.01, 0.05) * n as f32;
    let (dx, dy) = ((dx * far) as isize, (dy * far) as isize);
    let dark = box_blur(&box_blur(&owner.solid, n, soft), n, soft);
    for y in 0..n {
        for x in 0..n {
            let i = y * n + x;
            let free = 1.0 - owner.solid[i];
            if free > 0.0 {
                let at = |t: usize, d: isize| (t as isize - d).clamp(0, n as isize - 1) as usize;
                let s = dark[at(y, dy) * n + at(x, dx)];
                scene.rgb[i] = scale3(scene.rgb[i], 1.0 - strength * free * smooth(0.0, 1.0, s));
            }
        }
    }
}

fn colour_word(material: &Material, camera: &Camera) -> &'static str {
    if !camera.is_grey() {
        return material.base.word;
    }
    match lum(material.base.rgb) {
        l if l < 0.2 => "dark",
        l if l < 0.55 => "grey",
        _ => "light",
    }
}

fn extras(part: &Part) -> String {
    let words = &part.features.words;
    match words.as_slice() {
        [] => String::new(),
        [first, ..] => format!(" and {first}"),
    }
}
