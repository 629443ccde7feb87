//! Metals by the way their surface was made.

use super::common::{grain_direction, material};
use crate::math::{Rgb, Rng, scale3};
use crate::workshop::material::{Layer, Material, Paint};
use crate::workshop::palette::{self, Colour};
use crate::workshop::pattern::Pattern;

pub(super) fn metal(rng: &mut Rng) -> (Colour, &'static str) {
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

pub(super) fn brushed(rng: &mut Rng) -> Material {
    let (base, stuff) = metal(rng);
    let (angle, amount) = (grain_direction(rng), rng.range(0.05, 0.20));
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
    material(
        base,
        rng.range(0.15, 0.40),
        stuff,
        "fine straight lines",
        sheets,
        layers,
    )
}

pub(super) fn cast(rng: &mut Rng) -> Material {
    let (base, stuff) = metal(rng);
    let density = rng.range(14.0, 45.0);
    let relief = rng.range(0.15, 0.5) / density;
    let amount = rng.range(0.05, 0.16);
    let layers =
        vec![Layer::new(rng, Pattern::Cloud(3), density, Paint::Shade(amount)).raised(relief)];
    let sheets = &["casting", "cast plate", "rough casting"];
    material(
        base,
        rng.range(0.0, 0.20),
        stuff,
        "a rough even grain",
        sheets,
        layers,
    )
}

pub(super) fn milled(rng: &mut Rng) -> Material {
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
        material(
            base,
            gloss,
            stuff,
            "fine round tool lines",
            &["turned face", "turned disc"],
            layers,
        )
    } else {
        let (density, angle) = (rng.range(7.0, 22.0), grain_direction(rng));
        let layers = vec![
            Layer::new(rng, Pattern::Arcs, density, Paint::Shade(amount))
                .turned(angle)
                .raised(0.001),
        ];
        material(
            base,
            gloss,
            stuff,
            "regular curved tool lines",
            &["milled face", "milled block"],
            layers,
        )
    }
}

pub(super) fn polished(rng: &mut Rng) -> Material {
    let (base, stuff) = metal(rng);
    let (density, amount, angle) = (
        rng.range(0.6, 2.0),
        rng.range(0.12, 0.32),
        grain_direction(rng),
    );
    let long = rng.range(1.0, 4.0);
    let layers = vec![
        Layer::new(rng, Pattern::Cloud(2), density, Paint::Shade(amount))
            .stretched(long)
            .turned(angle)
            .warped(0.4),
    ];
    material(
        base,
        rng.range(0.3, 0.6),
        stuff,
        "soft reflections",
        &["polished plate", "mirror plate"],
        layers,
    )
}

pub(super) fn galvanised(rng: &mut Rng) -> Material {
    let base = palette::near(rng, [0.58, 0.60, 0.62], "grey");
    let density = rng.range(3.0, 14.0);
    let rgb = scale3(base.rgb, rng.range(0.6, 0.85));
    let (amount, joint) = (rng.range(0.4, 0.9), rng.range(0.0, 0.12));
    let paint = Paint::Cells { rgb, amount, joint };
    let layers = vec![Layer::new(rng, Pattern::Facet(0.0), density, paint).warped(0.08)];
    material(
        base,
        rng.range(0.1, 0.3),
        "zinc",
        "flat crystals",
        &["zinc sheet", "galvanised sheet"],
        layers,
    )
}

pub(super) fn hammered(rng: &mut Rng) -> Material {
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
    material(
        base,
        rng.range(0.1, 0.4),
        stuff,
        "many equal dimples",
        &["hammered sheet", "dimpled plate"],
        layers,
    )
}

pub(super) fn knurled(rng: &mut Rng) -> Material {
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
    material(
        base,
        rng.range(0.1, 0.3),
        stuff,
        "a regular grid of grooves",
        &["knurled grip", "grip plate"],
        layers,
    )
}

pub(super) fn tread(rng: &mut Rng) -> Material {
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
    material(
        base,
        rng.range(0.1, 0.35),
        stuff,
        "rows of raised bars",
        &["tread plate", "floor plate"],
        layers,
    )
}

pub(super) fn corrugated(rng: &mut Rng) -> Material {
    let (base, stuff) = if rng.chance(0.5) {
        metal(rng)
    } else {
        (palette::any(rng), "plastic")
    };
    let (density, angle) = (rng.range(2.5, 9.0), grain_direction(rng));
    let deep = rng.range(0.10, 0.22) / density;
    let layers = vec![
        Layer::new(rng, Pattern::Wave, density, Paint::Shade(0.03))
            .turned(angle)
            .raised(deep),
        Layer::new(rng, Pattern::Cloud(2), 30.0, Paint::Shade(0.06))
            .stretched(4.0)
            .turned(angle),
    ];
    material(
        base,
        rng.range(0.05, 0.4),
        stuff,
        "straight waves",
        &["corrugated sheet", "heating plate", "roof sheet"],
        layers,
    )
}
