//! Wood, stone, masonry and pressed boards.

use super::common::{choose, grain_direction, material};
use crate::math::{Rgb, Rng, lum, mix3, scale3};
use crate::workshop::material::{Layer, Material, Paint};
use crate::workshop::palette::{self, Colour};
use crate::workshop::pattern::Pattern;

pub(super) fn timber(rng: &mut Rng) -> (Colour, Rgb) {
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

pub(super) fn wood(rng: &mut Rng) -> Material {
    let (base, late) = timber(rng);
    let (density, angle) = (rng.range(2.0, 9.0), grain_direction(rng));
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
    material(
        base,
        rng.range(0.0, 0.3),
        "wooden",
        "long grain lines",
        &["wooden board", "veneer", "wooden door"],
        layers,
    )
}

pub(super) fn planks(rng: &mut Rng) -> Material {
    let (base, late) = timber(rng);
    let angle = grain_direction(rng);
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
    material(
        base,
        rng.range(0.0, 0.25),
        "wooden",
        "straight boards",
        &["wooden floor", "plank wall"],
        layers,
    )
}

pub(super) fn granite(rng: &mut Rng) -> Material {
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
    material(
        base,
        rng.range(0.0, 0.35),
        "stone",
        "many small speckles",
        &["stone slab", "granite slab"],
        layers,
    )
}

pub(super) fn marble(rng: &mut Rng) -> Material {
    let base = palette::neutral(rng);
    let vein = palette::shade_of(rng, base.rgb, 0.45);
    let density = rng.range(1.0, 3.0);
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(4), 2.0 * density, Paint::Shade(0.12)).warped(0.6),
        Layer::new(rng, Pattern::Vein, density, Paint::Tint(vein, 0.7)).warped(0.8),
    ];
    material(
        base,
        rng.range(0.1, 0.5),
        "marble",
        "soft veins",
        &["marble slab", "marble tile"],
        layers,
    )
}

pub(super) fn plaster(rng: &mut Rng) -> Material {
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
    material(
        base,
        0.0,
        "plaster",
        "a rough even ground",
        &["plaster wall", "concrete wall", "road surface"],
        layers,
    )
}

pub(super) fn masonry(rng: &mut Rng) -> Material {
    const CLAYS: [(Rgb, &str); 4] = [
        ([0.58, 0.28, 0.20], "red brown"),
        ([0.66, 0.54, 0.38], "beige"),
        ([0.50, 0.48, 0.46], "grey"),
        ([0.78, 0.77, 0.74], "white"),
    ];
    let (rgb, word) = choose(rng, &CLAYS);
    let base = palette::near(rng, rgb, word);
    let (density, ratio) = (rng.range(2.5, 6.0), rng.range(1.6, 3.2));
    let shift = choose(rng, &[0.5, 0.5, 0.33]);
    let joint = rng.range(0.04, 0.09);
    let mortar = choose(rng, &[0.25, 0.5, 0.6]);
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
    material(
        base,
        0.0,
        "brick",
        "straight rows of bricks",
        &["brick wall", "paved path"],
        layers,
    )
}

pub(super) fn tiles(rng: &mut Rng) -> Material {
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
    material(
        base,
        rng.range(0.1, 0.5),
        "ceramic",
        "equal tiles with straight joints",
        &["tiled wall", "tiled floor", "mosaic"],
        layers,
    )
}

pub(super) fn pebbles(rng: &mut Rng) -> Material {
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
    material(
        base,
        rng.range(0.0, 0.25),
        "stone",
        "round grains side by side",
        sheets,
        layers,
    )
}

pub(super) fn chips(rng: &mut Rng) -> Material {
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
    material(
        base,
        rng.range(0.0, 0.2),
        "pressed",
        "small pressed flakes",
        &["pressed board", "cork sheet", "terrazzo floor"],
        layers,
    )
}

pub(super) fn scales(rng: &mut Rng) -> Material {
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
    material(
        base,
        rng.range(0.0, 0.3),
        "shingle",
        "rows of round scales",
        &["shingle roof", "scale skin"],
        layers,
    )
}
