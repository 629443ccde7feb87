//! Draws a normal scene of a category: pose, background and choice of shader.

use crate::category::Category;
use crate::math::{Rgb, Rng, cos, fbm, hash01, mix, scale3, sin, smooth};
use crate::scene::{Point, Pose, Scene};
use crate::variation::Variation;
use crate::{objects, textures};

/// The normal scene of a category.
pub(crate) fn render(category: Category, side: usize, rng: &mut Rng) -> Scene {
    let texture = category.is_texture();
    let turn = match category {
        // Parts that lie as they fall.
        Category::Washer
        | Category::Gear
        | Category::HexNut
        | Category::BottleCap
        | Category::Button
        | Category::CableEnd
        | Category::Bearing
        | Category::Coin
        | Category::Tablet => rng.angle(),
        _ => rng.sym(0.12),
    };
    let pose = Pose {
        cos: cos(turn),
        sin: sin(turn),
        scale: rng.range(0.93, 1.07),
        dx: rng.sym(if texture { 1.0 } else { 0.05 }),
        dy: rng.sym(if texture { 1.0 } else { 0.05 }),
    };
    let value = 1.0 + rng.sym(0.08);
    let variation = Variation {
        tone: [
            value * (1.0 + rng.sym(0.04)),
            value * (1.0 + rng.sym(0.03)),
            value * (1.0 + rng.sym(0.04)),
        ],
        seed: rng.bits(),
        pixel: 2.0 / side as f32 / pose.scale,
        free: [rng.sym(1.0), rng.sym(1.0), rng.sym(1.0), rng.sym(1.0)],
    };
    let l = &variation;
    let back = Background::draw(rng, category);
    let behind = if texture {
        [0.06, 0.055, 0.05]
    } else {
        back.rgb
    };
    macro_rules! draw {
        ($f:path) => {
            Scene::render(side, pose, behind, |u, v| $f(l, u, v), |u, v| back.at(u, v))
        };
    }
    let mut scene = match category {
        Category::Leather => draw!(textures::leather),
        Category::MetalPlate => draw!(textures::metal),
        Category::Wood => draw!(textures::wood),
        Category::Fabric => draw!(textures::fabric),
        Category::Tile => draw!(textures::tile),
        Category::Carpet => draw!(textures::carpet),
        Category::Concrete => draw!(textures::concrete),
        Category::RubberMat => draw!(textures::rubber),
        Category::Cardboard => draw!(textures::cardboard),
        Category::WireMesh => draw!(textures::mesh),
        Category::Washer => draw!(objects::washer),
        Category::Gear => draw!(objects::gear),
        Category::HexNut => draw!(objects::hex_nut),
        Category::BottleCap => draw!(objects::bottle_cap),
        Category::Capsule => draw!(objects::capsule),
        Category::CircuitBoard => draw!(objects::circuit_board),
        Category::Button => draw!(objects::button),
        Category::ToyBrick => draw!(objects::toy_brick),
        Category::CableEnd => draw!(objects::cable_end),
        Category::Bearing => draw!(objects::bearing),
        Category::Coin => draw!(objects::coin),
        Category::PerforatedPlate => draw!(objects::perforated_plate),
        Category::Tablet => draw!(objects::tablet),
        Category::Bracket => draw!(objects::bracket),
    };
    if !texture {
        scene.drop_shadow(0.42);
    }
    scene
}

struct Background {
    rgb: Rgb,
    kind: usize,
    slope: (f32, f32),
    seed: u32,
}

impl Background {
    fn draw(rng: &mut Rng, category: Category) -> Self {
        // A camera station keeps its table: light products lie on dark tables and the reverse.
        let base: Rgb = match category {
            Category::Tablet | Category::Capsule | Category::Button => [0.20, 0.26, 0.33],
            Category::BottleCap | Category::ToyBrick | Category::CableEnd => [0.70, 0.70, 0.67],
            Category::Coin | Category::CircuitBoard => [0.24, 0.22, 0.22],
            Category::Washer | Category::Bearing => [0.17, 0.20, 0.19],
            Category::Bracket => [0.60, 0.58, 0.54],
            _ => [0.28, 0.34, 0.40],
        };
        let f = 1.0 + rng.sym(0.15);
        Self {
            rgb: scale3(base, f),
            kind: rng.below(3),
            slope: (rng.sym(0.12), rng.sym(0.12)),
            seed: rng.bits(),
        }
    }

    fn at(&self, u: f32, v: f32) -> Point {
        let mut f = 1.0;
        let mut height = 0.0;
        match self.kind {
            0 => {}
            1 => f += self.slope.0 * u + self.slope.1 * v,
            _ => {
                // A woven conveyor belt.
                let rows = sin(v * 110.0);
                let wear = fbm(self.seed, u * 3.0, v * 3.0, 2);
                f += 0.05 * rows + 0.12 * (wear - 0.5);
                height = 0.002 * rows * smooth(0.2, 0.6, wear);
            }
        }
        let grain = hash01(self.seed, (u * 300.0) as i32, (v * 300.0) as i32);
        Point {
            rgb: scale3(self.rgb, f + mix(-0.02, 0.02, grain)),
            height,
            gloss: 0.05,
            cover: 0.0,
        }
    }
}
