//! Forms of parts: an outline with the words that name it.

use super::outline::Outline;
use crate::math::Rng;

/// A form with the words that name it.
pub(super) struct Form {
    pub outline: Outline,
    /// Word after the material, such as "ring".
    pub noun: &'static str,
    /// Short look, such as "round with an open middle".
    pub look: &'static str,
    /// Whether single ones lie as they fall.
    pub loose: bool,
    /// Whether its section is round, as a pin's or a bottle's.
    pub domed: bool,
}

/// Draws a form.
pub(super) fn draw(rng: &mut Rng) -> Form {
    let form = |outline, noun, look, loose, domed| Form {
        outline,
        noun,
        look,
        loose,
        domed,
    };
    match rng.below(26) {
        0 => {
            let noun = ["disc", "lid", "cap", "token", "button", "wheel"][rng.below(6)];
            form(
                Outline::Disc {
                    r: rng.range(0.75, 0.92),
                },
                noun,
                "round",
                true,
                rng.chance(0.3),
            )
        }
        1 => {
            let (a, b) = (rng.range(0.75, 0.95), rng.range(0.4, 0.7));
            let noun = ["badge", "cover", "soap", "sole"][rng.below(4)];
            form(
                Outline::Ellipse { a, b },
                noun,
                "oval",
                true,
                rng.chance(0.5),
            )
        }
        2 | 3 => {
            let sides = (3 + rng.below(6)) as f32;
            let noun = ["block", "tile", "nut", "head", "token"][rng.below(5)];
            let round = rng.range(0.02, 0.2);
            form(
                Outline::Polygon {
                    sides,
                    r: 0.82,
                    round,
                },
                noun,
                "even-sided",
                true,
                false,
            )
        }
        4 | 5 => {
            let noun = ["ring", "seal", "gasket", "spacer", "flange"][rng.below(5)];
            let (r, bore) = (rng.range(0.75, 0.9), rng.range(0.3, 0.66));
            form(
                Outline::Ring { r, bore },
                noun,
                "round with an open middle",
                true,
                rng.chance(0.35),
            )
        }
        6 | 7 => {
            let (teeth, r) = ((8 + rng.below(24)) as f32, rng.range(0.70, 0.82));
            let (depth, bore) = (rng.range(0.05, 0.16), rng.range(0.08, 0.34));
            let noun = ["cog", "sprocket", "ratchet"][rng.below(3)];
            let sharp = rng.range(0.15, 0.8);
            let outline = Outline::Gear {
                teeth,
                r,
                depth,
                bore,
                sharp,
            };
            form(outline, noun, "round with equal teeth", true, false)
        }
        8..=10 => {
            let hx = rng.range(0.6, 0.92);
            let hy = hx * rng.range(0.3, 1.0);
            let noun = [
                "plate", "cover", "panel", "lid", "block", "tray", "case", "brick",
            ][rng.below(8)];
            let round = rng.range(0.01, 0.25) * hy;
            form(
                Outline::Plate { hx, hy, round },
                noun,
                "rectangular",
                false,
                false,
            )
        }
        11 => {
            let (a, b, half) = (
                rng.range(0.6, 0.85),
                rng.range(0.5, 0.85),
                rng.range(0.14, 0.26),
            );
            form(
                Outline::Corner { a, b, half },
                "corner piece",
                "bent at a right angle",
                false,
                false,
            )
        }
        12 => {
            let (a, b, half) = (
                rng.range(0.6, 0.85),
                rng.range(0.6, 0.85),
                rng.range(0.13, 0.25),
            );
            form(
                Outline::Tee { a, b, half },
                "tee piece",
                "shaped like a tee",
                false,
                false,
            )
        }
        13 => {
            let (a, half) = (rng.range(0.75, 0.9), rng.range(0.15, 0.3));
            form(
                Outline::Cross { a, half },
                "cross piece",
                "shaped like a cross",
                true,
                false,
            )
        }
        14 => {
            let (hx, hy, half) = (
                rng.range(0.6, 0.85),
                rng.range(0.5, 0.8),
                rng.range(0.10, 0.18),
            );
            form(
                Outline::Channel { hx, hy, half },
                "clip",
                "bent with two arms",
                false,
                false,
            )
        }
        15 | 16 => {
            let r = rng.range(0.14, 0.34);
            let noun = ["pin", "pill", "rod", "fuse", "handle", "tube"][rng.below(6)];
            form(
                Outline::Capsule {
                    half: rng.range(0.4, 0.65),
                    r,
                },
                noun,
                "long with round ends",
                true,
                true,
            )
        }
        17 => {
            let (body, neck) = (rng.range(0.28, 0.42), rng.range(0.11, 0.17));
            let shoulder = rng.range(-0.4, -0.15);
            form(
                Outline::Bottle {
                    body,
                    neck,
                    shoulder,
                },
                "bottle",
                "narrow at the neck",
                false,
                true,
            )
        }
        18 => {
            let points = (5 + rng.below(5)) as f32;
            let outline = Outline::Star {
                points,
                r: 0.88,
                inner: rng.range(0.42, 0.65),
            };
            form(outline, "star", "pointed on all sides", true, false)
        }
        19 => {
            let (head, tall) = (rng.range(0.26, 0.42), rng.range(0.12, 0.28));
            let outline = Outline::Screw {
                head,
                tall,
                shaft: rng.range(0.11, 0.2),
                pitch: rng.range(9.0, 20.0),
            };
            form(
                outline,
                ["bolt", "screw"][rng.below(2)],
                "long with a thread",
                true,
                true,
            )
        }
        20 => {
            let (a, b) = (rng.range(0.22, 0.36), rng.range(0.16, 0.3));
            let outline = Outline::Link {
                half: 0.52,
                a,
                b,
                bar: rng.range(0.08, 0.14),
            };
            form(
                outline,
                ["lever", "link", "rod"][rng.below(3)],
                "long with two eyes",
                true,
                false,
            )
        }
        21 => {
            let (a, b) = (rng.range(0.65, 0.85), rng.range(0.45, 0.8));
            let noun = ["nut", "bean", "stone", "biscuit", "almond", "potato"][rng.below(6)];
            let outline = Outline::Pebble {
                seed: rng.bits(),
                a,
                b,
                rough: rng.range(0.08, 0.3),
            };
            form(outline, noun, "uneven and round", true, true)
        }
        22 => {
            let (r, half) = (rng.range(0.55, 0.72), rng.range(0.08, 0.18));
            form(
                Outline::Hook {
                    r,
                    half,
                    open: rng.range(0.4, 1.5),
                },
                ["hook", "clamp", "hose"][rng.below(3)],
                "bent like a bow",
                true,
                true,
            )
        }
        23 => {
            let outline = Outline::Tag {
                hx: rng.range(0.65, 0.85),
                hy: rng.range(0.3, 0.5),
            };
            form(
                outline,
                ["tag", "sign"][rng.below(2)],
                "pointed at one end",
                false,
                false,
            )
        }
        24 => {
            let outline = Outline::Spanner {
                half: 0.55,
                jaw: rng.range(0.26, 0.36),
                bar: rng.range(0.09, 0.14),
            };
            form(outline, "spanner", "long with an open jaw", true, false)
        }
        _ => {
            if rng.chance(0.5) {
                let outline = Outline::Knob {
                    lobes: (3 + rng.below(6)) as f32,
                    r: 0.76,
                    depth: rng.range(0.05, 0.14),
                };
                form(
                    outline,
                    "knob",
                    "round with even lobes",
                    true,
                    rng.chance(0.5),
                )
            } else {
                let outline = Outline::Key {
                    r: rng.range(0.28, 0.36),
                    half: rng.range(0.09, 0.13),
                    seed: rng.bits(),
                };
                form(outline, "key", "long with a round head", true, false)
            }
        }
    }
}
