//! Families of materials; each draws one of very many members.

use super::material::{Layer, Material, Paint};
use super::palette::{self, Colour};
use super::pattern::Pattern;
use crate::math::{Rgb, Rng, lum, mix3, scale3};
use std::f32::consts::FRAC_PI_2;

/// Draws a material that products are made of.
pub(super) fn product(rng: &mut Rng) -> Material {
    const ALL: [fn(&mut Rng) -> Material; 31] = [
        brushed, brushed, cast, milled, polished, galvanised, hammered, knurled, tread, painted,
        painted, plastic, plastic, rubber, wood, planks, cloth, cloth, knit, felt, hide, granite,
        marble, plaster, masonry, tiles, pebbles, sponge, chips, scales, corrugated,
    ];
    let mut material = ALL[rng.below(ALL.len())](rng);
    age(rng, &mut material);
    material
}

/// Draws a material for a solid part: nothing that only makes sense as a large area.
pub(super) fn solid(rng: &mut Rng) -> Material {
    const ALL: [fn(&mut Rng) -> Material; 22] = [
        brushed, brushed, cast, milled, polished, galvanised, hammered, knurled, painted, painted,
        painted, plastic, plastic, plastic, rubber, wood, felt, hide, granite, marble, chips,
        baked,
    ];
    let mut material = ALL[rng.below(ALL.len())](rng);
    age(rng, &mut material);
    material
}

/// Draws what parts lie on: mostly calm.
pub(super) fn ground(rng: &mut Rng) -> Material {
    if rng.chance(0.4) {
        return sheet(rng);
    }
    const ALL: [fn(&mut Rng) -> Material; 14] = [
        brushed, plastic, rubber, wood, planks, cloth, felt, plaster, granite, painted, sheet,
        chips, corrugated, tiles,
    ];
    ALL[rng.below(ALL.len())](rng)
}

/// Uneven tone and slight waviness that every real surface has.
fn age(rng: &mut Rng, material: &mut Material) {
    if rng.chance(0.7) {
        let density = rng.range(0.8, 3.0);
        let amount = rng.range(0.02, 0.10);
        material.layers.push(Layer::new(
            rng,
            Pattern::Cloud(2),
            density,
            Paint::Shade(amount),
        ));
    }
    if rng.chance(0.25) {
        let density = rng.range(40.0, 80.0);
        let amount = rng.range(0.02, 0.07);
        material.layers.push(Layer::new(
            rng,
            Pattern::Cloud(1),
            density,
            Paint::Shade(amount),
        ));
    }
}

fn made(
    base: Colour,
    gloss: f32,
    stuff: &'static str,
    look: &'static str,
    sheets: &'static [&'static str],
    layers: Vec<Layer>,
) -> Material {
    Material {
        base,
        layers,
        gloss,
        stuff,
        look,
        sheets,
        round: false,
    }
}

fn one<T: Copy>(rng: &mut Rng, list: &[T]) -> T {
    list[rng.below(list.len())]
}

/// A direction: mostly along an axis.
fn lie(rng: &mut Rng) -> f32 {
    match rng.below(5) {
        0 | 1 => 0.0,
        2 | 3 => FRAC_PI_2,
        _ => rng.angle(),
    }
}

fn metal(rng: &mut Rng) -> (Colour, &'static str) {
    const METALS: [(Rgb, &str, &str); 8] = [
        ([0.56, 0.57, 0.59], "grey", "steel"),
        ([0.66, 0.67, 0.68], "light grey", "steel"),
        ([0.70, 0.71, 0.72], "light grey", "aluminium"),
        ([0.34, 0.34, 0.36], "dark grey", "iron"),
        ([0.70, 0.57, 0.30], "yellow", "brass"),
        ([0.70, 0.42, 0.28], "copper red", "copper"),
        ([0.52, 0.40, 0.26], "brown", "bronze"),
        ([0.48, 0.50, 0.54], "grey", "titanium"),
    ];
    let (rgb, word, stuff) = METALS[rng.below(METALS.len())];
    (palette::near(rng, rgb, word), stuff)
}

fn brushed(rng: &mut Rng) -> Material {
    let (base, stuff) = metal(rng);
    let (angle, amount) = (lie(rng), rng.range(0.05, 0.20));
    let density = rng.range(30.0, 85.0);
    let (long, wide) = (rng.range(15.0, 60.0), rng.range(2.0, 5.0));
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(2), density, Paint::Shade(amount))
            .stretched(long)
            .turned(angle)
            .raised(0.0008),
        Layer::new(rng, Pattern::Cloud(1), wide, Paint::Shade(0.5 * amount))
            .stretched(6.0)
            .turned(angle),
    ];
    let sheets = &["brushed plate", "metal sheet", "metal cover", "metal panel"];
    made(
        base,
        rng.range(0.15, 0.40),
        stuff,
        "fine straight lines",
        sheets,
        layers,
    )
}

fn cast(rng: &mut Rng) -> Material {
    let (base, stuff) = metal(rng);
    let density = rng.range(14.0, 45.0);
    let relief = rng.range(0.15, 0.5) / density;
    let amount = rng.range(0.05, 0.16);
    let layers =
        vec![Layer::new(rng, Pattern::Cloud(3), density, Paint::Shade(amount)).raised(relief)];
    let sheets = &["casting", "cast plate", "rough casting"];
    made(
        base,
        rng.range(0.0, 0.20),
        stuff,
        "a rough even grain",
        sheets,
        layers,
    )
}

fn milled(rng: &mut Rng) -> Material {
    let (base, stuff) = metal(rng);
    let amount = rng.range(0.06, 0.16);
    let gloss = rng.range(0.15, 0.4);
    if rng.chance(0.5) {
        let density = rng.range(18.0, 50.0);
        let layers = vec![
            Layer::new(rng, Pattern::Turned, density, Paint::Shade(amount))
                .centred()
                .raised(0.0008),
        ];
        made(
            base,
            gloss,
            stuff,
            "fine round tool lines",
            &["turned face", "turned disc"],
            layers,
        )
    } else {
        let (density, angle) = (rng.range(7.0, 22.0), lie(rng));
        let layers = vec![
            Layer::new(rng, Pattern::Arcs, density, Paint::Shade(amount))
                .turned(angle)
                .raised(0.001),
        ];
        made(
            base,
            gloss,
            stuff,
            "regular curved tool lines",
            &["milled face", "milled block"],
            layers,
        )
    }
}

fn polished(rng: &mut Rng) -> Material {
    let (base, stuff) = metal(rng);
    let (density, amount, angle) = (rng.range(0.6, 2.0), rng.range(0.12, 0.32), lie(rng));
    let long = rng.range(1.0, 4.0);
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(2), density, Paint::Shade(amount))
            .stretched(long)
            .turned(angle)
            .warped(0.4),
    ];
    made(
        base,
        rng.range(0.3, 0.6),
        stuff,
        "soft reflections",
        &["polished plate", "mirror plate"],
        layers,
    )
}

fn galvanised(rng: &mut Rng) -> Material {
    let base = palette::near(rng, [0.58, 0.60, 0.62], "grey");
    let density = rng.range(3.0, 14.0);
    let rgb = scale3(base.rgb, rng.range(0.6, 0.85));
    let (amount, joint) = (rng.range(0.4, 0.9), rng.range(0.0, 0.12));
    let paint = Paint::Cells { rgb, amount, joint };
    let layers = vec![Layer::new(rng, Pattern::Facet(0.0), density, paint).warped(0.08)];
    made(
        base,
        rng.range(0.1, 0.3),
        "zinc",
        "flat crystals",
        &["zinc sheet", "galvanised sheet"],
        layers,
    )
}

fn hammered(rng: &mut Rng) -> Material {
    let (base, stuff) = if rng.chance(0.5) {
        metal(rng)
    } else {
        (palette::any(rng), "hammered")
    };
    let density = rng.range(5.0, 16.0);
    let relief = rng.range(0.12, 0.3) / density;
    let staggered = rng.chance(0.5);
    let pattern = match rng.below(3) {
        0 => Pattern::Pebble,
        1 => Pattern::Dots {
            r: 0.42,
            staggered,
            dome: true,
        },
        _ => Pattern::Dots {
            r: 0.30,
            staggered,
            dome: true,
        },
    };
    let sign = if rng.chance(0.5) { relief } else { -relief };
    let layers = vec![Layer::new(rng, pattern, density, Paint::Shade(0.04)).raised(sign)];
    made(
        base,
        rng.range(0.1, 0.4),
        stuff,
        "many equal dimples",
        &["hammered sheet", "dimpled plate"],
        layers,
    )
}

fn knurled(rng: &mut Rng) -> Material {
    let (base, stuff) = if rng.chance(0.6) {
        metal(rng)
    } else {
        (palette::any(rng), "plastic")
    };
    let density = rng.range(5.0, 16.0);
    let relief = rng.range(0.10, 0.25) / density;
    let angle = rng.sym(0.2);
    let layers = vec![
        Layer::new(rng, Pattern::Knurl, density, Paint::Shade(0.08))
            .turned(angle)
            .raised(relief),
    ];
    made(
        base,
        rng.range(0.1, 0.3),
        stuff,
        "a regular grid of grooves",
        &["knurled grip", "grip plate"],
        layers,
    )
}

fn tread(rng: &mut Rng) -> Material {
    let (base, stuff) = metal(rng);
    let density = rng.range(2.5, 6.0);
    let grain = rng.range(30.0, 60.0);
    let angle = rng.sym(0.8);
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(2), grain, Paint::Shade(0.06)),
        Layer::new(rng, Pattern::Tread, density, Paint::Shade(0.06))
            .turned(angle)
            .raised(0.05 / density),
    ];
    made(
        base,
        rng.range(0.1, 0.35),
        stuff,
        "rows of raised bars",
        &["tread plate", "floor plate"],
        layers,
    )
}

fn painted(rng: &mut Rng) -> Material {
    let base = palette::any(rng);
    let density = rng.range(14.0, 45.0);
    let relief = rng.range(0.0, 0.09) / density;
    let layers =
        vec![Layer::new(rng, Pattern::Cloud(1), density, Paint::Shade(0.02)).raised(relief)];
    let sheets = &[
        "painted panel",
        "painted plate",
        "coated sheet",
        "car door",
        "lacquered panel",
    ];
    made(
        base,
        rng.range(0.1, 0.6),
        "painted",
        "an even coat",
        sheets,
        layers,
    )
}

fn plastic(rng: &mut Rng) -> Material {
    let base = palette::any(rng);
    let (density, deep) = (rng.range(10.0, 34.0), rng.range(0.05, 0.22));
    let stuff = one(rng, &["plastic", "plastic", "nylon", "resin"]);
    let layers = match rng.below(4) {
        0 => Vec::new(),
        1 => vec![
            Layer::new(rng, Pattern::Crease(0.3), density, Paint::Shade(0.03))
                .raised(deep / density),
        ],
        2 => vec![
            Layer::new(rng, Pattern::Cloud(2), density * 2.0, Paint::Shade(0.05))
                .raised(deep / density),
        ],
        _ => vec![Layer::new(rng, Pattern::Cloud(3), 2.0, Paint::Shade(0.07)).warped(0.5)],
    };
    let sheets = &["plastic panel", "plastic cover", "plastic sheet", "film"];
    made(
        base,
        rng.range(0.05, 0.5),
        stuff,
        "a smooth face",
        sheets,
        layers,
    )
}

fn rubber(rng: &mut Rng) -> Material {
    let base = if rng.chance(0.7) {
        palette::near(rng, [0.15, 0.15, 0.16], "black")
    } else {
        palette::any(rng)
    };
    let density = rng.range(3.0, 12.0);
    let (pattern, look) = match rng.below(3) {
        0 => (Pattern::Wave, "straight ribs"),
        1 => (Pattern::Stripe(0.5), "straight ribs"),
        _ => (Pattern::Crease(0.2), "a fine grain"),
    };
    let angle = lie(rng);
    let grain = rng.range(45.0, 90.0);
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(1), grain, Paint::Shade(0.12)),
        Layer::new(rng, pattern, density, Paint::Shade(0.06))
            .turned(angle)
            .raised(0.12 / density),
    ];
    made(
        base,
        rng.range(0.0, 0.2),
        "rubber",
        look,
        &["rubber sheet", "rubber belt", "conveyor belt"],
        layers,
    )
}

fn timber(rng: &mut Rng) -> (Colour, Rgb) {
    const WOODS: [(Rgb, &str); 5] = [
        ([0.76, 0.60, 0.40], "light brown"),
        ([0.66, 0.46, 0.28], "brown"),
        ([0.46, 0.28, 0.17], "dark brown"),
        ([0.84, 0.72, 0.54], "beige"),
        ([0.58, 0.30, 0.18], "red brown"),
    ];
    let (rgb, word) = WOODS[rng.below(WOODS.len())];
    let base = palette::near(rng, rgb, word);
    let late = scale3(base.rgb, rng.range(0.55, 0.8));
    (base, late)
}

fn wood(rng: &mut Rng) -> Material {
    let (base, late) = timber(rng);
    let (density, angle) = (rng.range(2.0, 9.0), lie(rng));
    let (warp, opaque) = (rng.range(0.2, 0.9), rng.range(0.5, 1.0));
    let pores = rng.range(35.0, 80.0);
    let layers = vec![
        Layer::new(rng, Pattern::Rings, density, Paint::Tint(late, opaque))
            .stretched(9.0)
            .turned(angle)
            .warped(warp),
        Layer::new(rng, Pattern::Cloud(2), pores, Paint::Shade(0.14))
            .stretched(22.0)
            .turned(angle)
            .raised(0.001),
    ];
    made(
        base,
        rng.range(0.0, 0.3),
        "wooden",
        "long grain lines",
        &["wooden board", "veneer", "wooden door"],
        layers,
    )
}

fn planks(rng: &mut Rng) -> Material {
    let (base, late) = timber(rng);
    let angle = lie(rng);
    let pores = rng.range(35.0, 80.0);
    let (density, ratio) = (rng.range(1.5, 4.0), rng.range(4.0, 9.0));
    let joint = rng.range(0.01, 0.03);
    let rgb = mix3(base.rgb, late, 0.8);
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(2), pores, Paint::Shade(0.16))
            .stretched(18.0)
            .turned(angle),
        Layer::new(
            rng,
            Pattern::Bricks {
                ratio,
                shift: 0.37,
                joint,
            },
            density,
            Paint::Cells {
                rgb,
                amount: 0.8,
                joint: 0.6,
            },
        )
        .turned(angle)
        .raised(0.008),
    ];
    made(
        base,
        rng.range(0.0, 0.25),
        "wooden",
        "straight boards",
        &["wooden floor", "plank wall"],
        layers,
    )
}

fn cloth(rng: &mut Rng) -> Material {
    let base = palette::any(rng);
    let density = rng.range(9.0, 26.0);
    let second = if rng.chance(0.4) {
        palette::against(rng, base.rgb).rgb
    } else {
        palette::shade_of(rng, base.rgb, 0.15)
    };
    let (over, under, step) = one(
        rng,
        &[
            (1, 1, 1),
            (1, 1, 1),
            (2, 2, 1),
            (3, 1, 1),
            (2, 1, 1),
            (4, 1, 2),
        ],
    );
    let angle = rng.sym(0.25) + if rng.chance(0.2) { 0.785 } else { 0.0 };
    let paint = Paint::Cells {
        rgb: second,
        amount: 0.9,
        joint: rng.range(0.25, 0.5),
    };
    let mut layers = vec![
        Layer::new(rng, Pattern::Weave { over, under, step }, density, paint)
            .turned(angle)
            .warped(0.03)
            .raised(0.35 / density),
    ];
    let (mut look, mut sheets): (_, &'static [&'static str]) = (
        "crossing threads",
        &["woven cloth", "canvas", "textile", "carbon sheet"],
    );
    match rng.below(5) {
        0 => {
            let (d, w) = (rng.range(1.2, 5.0), rng.range(0.2, 0.6));
            let rgb = palette::against(rng, base.rgb).rgb;
            layers
                .push(Layer::new(rng, Pattern::Stripe(w), d, Paint::Tint(rgb, 0.7)).turned(angle));
            (look, sheets) = ("coloured stripes", &["striped cloth", "striped textile"]);
        }
        1 => {
            let d = rng.range(1.2, 5.0);
            let rgb = palette::against(rng, base.rgb).rgb;
            layers.push(Layer::new(rng, Pattern::Check, d, Paint::Tint(rgb, 0.7)).turned(angle));
            (look, sheets) = (
                "coloured squares",
                &["chequered cloth", "chequered textile"],
            );
        }
        _ => {}
    }
    made(base, rng.range(0.0, 0.12), "woven", look, sheets, layers)
}

fn knit(rng: &mut Rng) -> Material {
    let base = palette::any(rng);
    let density = rng.range(6.0, 16.0);
    let paint = Paint::Cells {
        rgb: scale3(base.rgb, 1.1),
        amount: 0.6,
        joint: 0.6,
    };
    let layers = vec![
        Layer::new(rng, Pattern::Knit, density, paint)
            .warped(0.04)
            .raised(0.3 / density),
    ];
    made(
        base,
        0.0,
        "knitted",
        "rows of loops",
        &["knitted cloth", "wool cloth"],
        layers,
    )
}

fn felt(rng: &mut Rng) -> Material {
    let base = palette::any(rng);
    let (density, amount) = (rng.range(10.0, 34.0), rng.range(0.12, 0.32));
    let second = palette::shade_of(rng, base.rgb, 0.4);
    let layers = vec![
        Layer::new(
            rng,
            Pattern::Fibre,
            density,
            Paint::Tint(second, 2.0 * amount),
        )
        .raised(0.15 / density),
        Layer::new(rng, Pattern::Cloud(3), density, Paint::Shade(amount)),
    ];
    made(
        base,
        0.0,
        "felt",
        "short fibres",
        &["felt sheet", "filter sheet", "wool mat", "paper sheet"],
        layers,
    )
}

fn hide(rng: &mut Rng) -> Material {
    let base = if rng.chance(0.6) {
        timber(rng).0
    } else {
        palette::any(rng)
    };
    let density = rng.range(8.0, 26.0);
    let joint = rng.range(0.1, 0.4);
    let width = rng.range(0.15, 0.4);
    let paint = Paint::Cells {
        rgb: scale3(base.rgb, 1.12),
        amount: 0.8,
        joint,
    };
    let layers = vec![
        Layer::new(rng, Pattern::Crease(width), density, paint)
            .warped(0.1)
            .raised(0.18 / density),
    ];
    made(
        base,
        rng.range(0.05, 0.3),
        "leather",
        "fine creases",
        &["leather skin", "leather cover", "seat cover"],
        layers,
    )
}

fn granite(rng: &mut Rng) -> Material {
    let base = palette::neutral(rng);
    let dark = if lum(base.rgb) > 0.3 {
        scale3(base.rgb, 0.35)
    } else {
        [0.5; 3]
    };
    let warm = palette::any(rng).rgb;
    let density = rng.range(10.0, 30.0);
    let layers = vec![
        Layer::new(
            rng,
            Pattern::Facet(0.0),
            density,
            Paint::Cells {
                rgb: warm,
                amount: 0.35,
                joint: 0.0,
            },
        )
        .warped(0.05),
        Layer::new(
            rng,
            Pattern::Pits {
                share: 0.35,
                r: 0.5,
            },
            density * 0.8,
            Paint::Tint(dark, 0.8),
        ),
        Layer::new(rng, Pattern::Cloud(2), 60.0, Paint::Shade(0.10)),
    ];
    made(
        base,
        rng.range(0.0, 0.35),
        "stone",
        "many small speckles",
        &["stone slab", "granite slab"],
        layers,
    )
}

fn marble(rng: &mut Rng) -> Material {
    let base = palette::neutral(rng);
    let vein = palette::shade_of(rng, base.rgb, 0.45);
    let density = rng.range(1.0, 3.0);
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(4), 2.0 * density, Paint::Shade(0.12)).warped(0.6),
        Layer::new(rng, Pattern::Vein, density, Paint::Tint(vein, 0.7)).warped(0.8),
    ];
    made(
        base,
        rng.range(0.1, 0.5),
        "marble",
        "soft veins",
        &["marble slab", "marble tile"],
        layers,
    )
}

fn plaster(rng: &mut Rng) -> Material {
    let base = if rng.chance(0.7) {
        palette::neutral(rng)
    } else {
        palette::any(rng)
    };
    let (coarse, deep) = (rng.range(4.0, 16.0), rng.range(0.05, 0.3));
    let mut layers = vec![
        Layer::new(rng, Pattern::Cloud(4), coarse, Paint::Shade(0.12)).raised(deep / coarse),
        Layer::new(rng, Pattern::Cloud(1), 80.0, Paint::Shade(0.06)).raised(0.0015),
    ];
    if rng.chance(0.4) {
        let (density, share) = (rng.range(8.0, 18.0), rng.range(0.1, 0.4));
        let dark = scale3(base.rgb, 0.6);
        layers.push(
            Layer::new(
                rng,
                Pattern::Pits { share, r: 0.18 },
                density,
                Paint::Tint(dark, 0.8),
            )
            .raised(0.006),
        );
    }
    made(
        base,
        0.0,
        "plaster",
        "a rough even ground",
        &["plaster wall", "concrete wall", "road surface"],
        layers,
    )
}

fn masonry(rng: &mut Rng) -> Material {
    const CLAYS: [(Rgb, &str); 4] = [
        ([0.58, 0.28, 0.20], "red brown"),
        ([0.66, 0.54, 0.38], "beige"),
        ([0.50, 0.48, 0.46], "grey"),
        ([0.78, 0.77, 0.74], "white"),
    ];
    let (rgb, word) = one(rng, &CLAYS);
    let base = palette::near(rng, rgb, word);
    let (density, ratio) = (rng.range(2.5, 6.0), rng.range(1.6, 3.2));
    let shift = one(rng, &[0.5, 0.5, 0.33]);
    let joint = rng.range(0.04, 0.09);
    let mortar = one(rng, &[0.25, 0.5, 0.6]);
    let grain = rng.range(14.0, 40.0);
    let second = palette::shade_of(rng, base.rgb, 0.35);
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(3), grain, Paint::Shade(0.16)).raised(0.25 / grain),
        Layer::new(
            rng,
            Pattern::Bricks {
                ratio,
                shift,
                joint,
            },
            density,
            Paint::Cells {
                rgb: second,
                amount: 0.8,
                joint: mortar,
            },
        )
        .warped(0.03)
        .raised(0.025),
    ];
    let mut wall = made(
        base,
        0.0,
        "brick",
        "straight rows of bricks",
        &["brick wall", "paved path"],
        layers,
    );
    wall.round = true;
    wall
}

fn tiles(rng: &mut Rng) -> Material {
    let base = palette::any(rng);
    let density = rng.range(1.5, 7.0);
    let second = if rng.chance(0.3) {
        palette::against(rng, base.rgb).rgb
    } else {
        palette::shade_of(rng, base.rgb, 0.15)
    };
    let joint = rng.range(0.015, 0.05);
    let dark = rng.range(0.2, 0.6);
    let pattern = match rng.below(3) {
        0 => Pattern::Hex(joint),
        1 => Pattern::Bricks {
            ratio: 2.0,
            shift: 0.5,
            joint,
        },
        _ => Pattern::Bricks {
            ratio: 1.0,
            shift: 0.0,
            joint,
        },
    };
    let angle = rng.sym(0.15) + if rng.chance(0.2) { 0.785 } else { 0.0 };
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(3), 3.0, Paint::Shade(0.07)),
        Layer::new(
            rng,
            pattern,
            density,
            Paint::Cells {
                rgb: second,
                amount: 0.8,
                joint: dark,
            },
        )
        .turned(angle)
        .raised(0.02),
    ];
    made(
        base,
        rng.range(0.1, 0.5),
        "ceramic",
        "equal tiles with straight joints",
        &["tiled wall", "tiled floor", "mosaic"],
        layers,
    )
}

fn pebbles(rng: &mut Rng) -> Material {
    let base = if rng.chance(0.6) {
        palette::neutral(rng)
    } else {
        timber(rng).0
    };
    let density = rng.range(4.0, 14.0);
    let second = palette::shade_of(rng, base.rgb, 0.5);
    let layers = vec![
        Layer::new(
            rng,
            Pattern::Pebble,
            density,
            Paint::Cells {
                rgb: second,
                amount: 0.9,
                joint: 0.65,
            },
        )
        .raised(0.35 / density),
        Layer::new(rng, Pattern::Cloud(2), 40.0, Paint::Shade(0.10)),
    ];
    let sheets = &[
        "gravel bed",
        "layer of beans",
        "layer of pellets",
        "pebble floor",
    ];
    made(
        base,
        rng.range(0.0, 0.25),
        "stone",
        "round grains side by side",
        sheets,
        layers,
    )
}

fn sponge(rng: &mut Rng) -> Material {
    let base = palette::any(rng);
    let (a, b) = (rng.range(5.0, 12.0), rng.range(14.0, 26.0));
    let dark = scale3(base.rgb, rng.range(0.3, 0.6));
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(2), b, Paint::Shade(0.08)).raised(0.004),
        Layer::new(
            rng,
            Pattern::Pits {
                share: 0.8,
                r: 0.30,
            },
            b,
            Paint::Tint(dark, 0.7),
        )
        .raised(0.012),
        Layer::new(
            rng,
            Pattern::Pits {
                share: 0.6,
                r: 0.34,
            },
            a,
            Paint::Tint(dark, 0.8),
        )
        .raised(0.02),
    ];
    made(
        base,
        0.0,
        "foam",
        "many small pores",
        &["foam block", "sponge", "bread slice"],
        layers,
    )
}

fn chips(rng: &mut Rng) -> Material {
    let (base, late) = if rng.chance(0.6) {
        timber(rng)
    } else {
        let base = palette::neutral(rng);
        (base, palette::any(rng).rgb)
    };
    let density = rng.range(7.0, 22.0);
    let (angle, joint) = (rng.angle(), rng.range(0.0, 0.12));
    let layers = vec![
        Layer::new(
            rng,
            Pattern::Facet(joint),
            density,
            Paint::Cells {
                rgb: late,
                amount: 0.8,
                joint: 0.15,
            },
        )
        .stretched(1.6)
        .turned(angle)
        .warped(0.25),
        Layer::new(rng, Pattern::Cloud(2), 50.0, Paint::Shade(0.08)),
    ];
    made(
        base,
        rng.range(0.0, 0.2),
        "pressed",
        "small pressed flakes",
        &["pressed board", "cork sheet", "terrazzo floor"],
        layers,
    )
}

fn scales(rng: &mut Rng) -> Material {
    let base = palette::any(rng);
    let density = rng.range(4.0, 10.0);
    let second = palette::shade_of(rng, base.rgb, 0.3);
    let layers = vec![
        Layer::new(
            rng,
            Pattern::Scales,
            density,
            Paint::Cells {
                rgb: second,
                amount: 0.7,
                joint: 0.5,
            },
        )
        .raised(0.12 / density),
        Layer::new(rng, Pattern::Cloud(3), 20.0, Paint::Shade(0.08)),
    ];
    made(
        base,
        rng.range(0.0, 0.3),
        "shingle",
        "rows of round scales",
        &["shingle roof", "scale skin"],
        layers,
    )
}

fn corrugated(rng: &mut Rng) -> Material {
    let (base, stuff) = if rng.chance(0.5) {
        metal(rng)
    } else {
        (palette::any(rng), "plastic")
    };
    let (density, angle) = (rng.range(2.5, 9.0), lie(rng));
    let deep = rng.range(0.10, 0.22) / density;
    let layers = vec![
        Layer::new(rng, Pattern::Wave, density, Paint::Shade(0.03))
            .turned(angle)
            .raised(deep),
        Layer::new(rng, Pattern::Cloud(2), 30.0, Paint::Shade(0.06))
            .stretched(4.0)
            .turned(angle),
    ];
    made(
        base,
        rng.range(0.05, 0.4),
        stuff,
        "straight waves",
        &["corrugated sheet", "heating plate", "roof sheet"],
        layers,
    )
}

fn baked(rng: &mut Rng) -> Material {
    let base = timber(rng).0;
    let dark = scale3(base.rgb, 0.6);
    let (density, spots) = (rng.range(6.0, 14.0), rng.range(4.0, 10.0));
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(4), density, Paint::Shade(0.16)).raised(0.25 / density),
        Layer::new(
            rng,
            Pattern::Pits { share: 0.4, r: 0.3 },
            spots,
            Paint::Tint(dark, 0.7),
        )
        .raised(0.01),
    ];
    made(base, 0.0, "baked", "a rough crust", &["biscuit"], layers)
}

/// A plain table, sheet of paper or light box.
fn sheet(rng: &mut Rng) -> Material {
    let base = if rng.chance(0.75) {
        palette::neutral(rng)
    } else {
        palette::any(rng)
    };
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(2), 1.2, Paint::Shade(0.06)),
        Layer::new(rng, Pattern::Cloud(1), 70.0, Paint::Shade(0.03)),
    ];
    made(
        base,
        rng.range(0.0, 0.15),
        "paper",
        "an even face",
        &["paper sheet"],
        layers,
    )
}
