//! Cloth, hide, rubber, plastic, paint and other coats.

use super::common::{choose, grain_direction, material};
use super::minerals::timber;
use crate::math::{Rng, scale3};
use crate::workshop::material::{Layer, Material, Paint};
use crate::workshop::palette::{self};
use crate::workshop::pattern::Pattern;

pub(super) fn cloth(rng: &mut Rng) -> Material {
    let base = palette::any(rng);
    let density = rng.range(9.0, 26.0);
    let second = if rng.chance(0.4) {
        palette::against(rng, base.rgb).rgb
    } else {
        palette::shade_of(rng, base.rgb, 0.15)
    };
    let (over, under, step) = choose(
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
    material(base, rng.range(0.0, 0.12), "woven", look, sheets, layers)
}

pub(super) fn knit(rng: &mut Rng) -> Material {
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
    material(
        base,
        0.0,
        "knitted",
        "rows of loops",
        &["knitted cloth", "wool cloth"],
        layers,
    )
}

pub(super) fn felt(rng: &mut Rng) -> Material {
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
    material(
        base,
        0.0,
        "felt",
        "short fibres",
        &["felt sheet", "filter sheet", "wool mat", "paper sheet"],
        layers,
    )
}

pub(super) fn hide(rng: &mut Rng) -> Material {
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
    material(
        base,
        rng.range(0.05, 0.3),
        "leather",
        "fine creases",
        &["leather skin", "leather cover", "seat cover"],
        layers,
    )
}

pub(super) fn rubber(rng: &mut Rng) -> Material {
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
    let angle = grain_direction(rng);
    let grain = rng.range(45.0, 90.0);
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(1), grain, Paint::Shade(0.12)),
        Layer::new(rng, pattern, density, Paint::Shade(0.06))
            .turned(angle)
            .raised(0.12 / density),
    ];
    material(
        base,
        rng.range(0.0, 0.2),
        "rubber",
        look,
        &["rubber sheet", "rubber belt", "conveyor belt"],
        layers,
    )
}

pub(super) fn sponge(rng: &mut Rng) -> Material {
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
    material(
        base,
        0.0,
        "foam",
        "many small pores",
        &["foam block", "sponge", "bread slice"],
        layers,
    )
}

pub(super) fn plastic(rng: &mut Rng) -> Material {
    let base = palette::any(rng);
    let (density, deep) = (rng.range(10.0, 34.0), rng.range(0.05, 0.22));
    let stuff = choose(rng, &["plastic", "plastic", "nylon", "resin"]);
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
    material(
        base,
        rng.range(0.05, 0.5),
        stuff,
        "a smooth face",
        sheets,
        layers,
    )
}

pub(super) fn painted(rng: &mut Rng) -> Material {
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
    material(
        base,
        rng.range(0.1, 0.6),
        "painted",
        "an even coat",
        sheets,
        layers,
    )
}

/// A plain table, sheet of paper or light box.
pub(super) fn sheet(rng: &mut Rng) -> Material {
    let base = if rng.chance(0.75) {
        palette::neutral(rng)
    } else {
        palette::any(rng)
    };
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(2), 1.2, Paint::Shade(0.06)),
        Layer::new(rng, Pattern::Cloud(1), 70.0, Paint::Shade(0.03)),
    ];
    material(
        base,
        rng.range(0.0, 0.15),
        "paper",
        "an even face",
        &["paper sheet"],
        layers,
    )
}

pub(super) fn baked(rng: &mut Rng) -> Material {
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
    material(base, 0.0, "baked", "a rough crust", &["biscuit"], layers)
}
