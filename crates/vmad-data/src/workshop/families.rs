//! Families of materials; each draws one of very many members.

mod common;
mod metals;
mod minerals;
mod soft;

use super::material::{Layer, Material, Paint};
use super::pattern::Pattern;
use crate::math::Rng;

/// Draws a material that products are made of.
pub(super) fn product(rng: &mut Rng) -> Material {
    const ALL: [fn(&mut Rng) -> Material; 31] = [
        metals::brushed,
        metals::brushed,
        metals::cast,
        metals::milled,
        metals::polished,
        metals::galvanised,
        metals::hammered,
        metals::knurled,
        metals::tread,
        soft::painted,
        soft::painted,
        soft::plastic,
        soft::plastic,
        soft::rubber,
        minerals::wood,
        minerals::planks,
        soft::cloth,
        soft::cloth,
        soft::knit,
        soft::felt,
        soft::hide,
        minerals::granite,
        minerals::marble,
        minerals::plaster,
        minerals::masonry,
        minerals::tiles,
        minerals::pebbles,
        soft::sponge,
        minerals::chips,
        minerals::scales,
        metals::corrugated,
    ];
    let mut material = ALL[rng.below(ALL.len())](rng);
    age(rng, &mut material);
    material
}

/// Draws a material for a solid part: nothing that only makes sense as a large area.
pub(super) fn solid(rng: &mut Rng) -> Material {
    const ALL: [fn(&mut Rng) -> Material; 22] = [
        metals::brushed,
        metals::brushed,
        metals::cast,
        metals::milled,
        metals::polished,
        metals::galvanised,
        metals::hammered,
        metals::knurled,
        soft::painted,
        soft::painted,
        soft::painted,
        soft::plastic,
        soft::plastic,
        soft::plastic,
        soft::rubber,
        minerals::wood,
        soft::felt,
        soft::hide,
        minerals::granite,
        minerals::marble,
        minerals::chips,
        soft::baked,
    ];
    let mut material = ALL[rng.below(ALL.len())](rng);
    age(rng, &mut material);
    material
}

/// Draws what parts lie on: mostly calm.
pub(super) fn ground(rng: &mut Rng) -> Material {
    if rng.chance(0.4) {
        return soft::sheet(rng);
    }
    const ALL: [fn(&mut Rng) -> Material; 14] = [
        metals::brushed,
        soft::plastic,
        soft::rubber,
        minerals::wood,
        minerals::planks,
        soft::cloth,
        soft::felt,
        minerals::plaster,
        minerals::granite,
        soft::painted,
        soft::sheet,
        minerals::chips,
        metals::corrugated,
        minerals::tiles,
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
