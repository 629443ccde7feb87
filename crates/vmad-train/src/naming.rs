//! What users call things.

use rand::Rng;

/// Names that the scenes' own do not have.
pub(crate) const NAMES: [&str; 73] = [
    "part",
    "piece",
    "product",
    "sample",
    "item",
    "component",
    "surface",
    "sheet",
    "plate",
    "cover",
    "housing",
    "casting",
    "pipe",
    "rod",
    "screw",
    "bolt",
    "spring",
    "wheel",
    "panel",
    "lid",
    "bottle",
    "can",
    "cable",
    "connector",
    "glass",
    "lens",
    "tube",
    "valve",
    "hinge",
    "handle",
    "frame",
    "shaft",
    "seal",
    "ring",
    "nut",
    "washer",
    "clamp",
    "hose",
    "belt",
    "chain",
    "knob",
    "switch",
    "battery",
    "blade",
    "filter",
    "fan",
    "motor",
    "pump",
    "tank",
    "label",
    "bag",
    "cap",
    "cup",
    "spoon",
    "key",
    "lock",
    "badge",
    "toy",
    "brick",
    "stone",
    "shoe",
    "glove",
    "carpet",
    "curtain",
    "pillow",
    "wafer",
    "sensor",
    "antenna",
    "magnet",
    "nozzle",
    "piston",
    "rotor",
    "rail",
];

/// What may stand before these.
pub(crate) const MODIFIERS: [&str; 30] = [
    "steel", "brass", "copper", "plastic", "wooden", "painted", "polished", "black", "white",
    "red", "blue", "green", "grey", "small", "large", "round", "flat", "long", "hollow",
    "threaded", "coated", "printed", "woven", "folded", "welded", "forged", "moulded", "clear",
    "old", "new",
];

/// What a user may call an object: so many names that answering with the right one means repeating it.
pub(crate) fn name(rng: &mut impl Rng) -> String {
    let noun = NAMES[rng.random_range(0..NAMES.len())];
    let modifier = MODIFIERS[rng.random_range(0..MODIFIERS.len())];
    match rng.random_range(0..5) {
        0 | 1 => noun.to_owned(),
        2 | 3 => format!("{modifier} {noun}"),
        _ => format!(
            "{noun} {}{}",
            rng.random_range('A'..='Z'),
            rng.random_range(1..100)
        ),
    }
}

/// A word of no language, of two or three syllables.
pub(crate) fn invented(rng: &mut impl Rng) -> String {
    const STARTS: [&str; 20] = [
        "b", "br", "c", "ch", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t",
        "tr", "v", "w",
    ];
    const VOWELS: [&str; 8] = ["a", "e", "i", "o", "u", "ea", "oo", "ai"];
    const ENDS: [&str; 12] = ["", "", "l", "m", "n", "r", "s", "t", "ck", "ng", "rd", "sh"];
    let mut word = String::new();
    for _ in 0..rng.random_range(2..=3) {
        for parts in [&STARTS[..], &VOWELS, &ENDS] {
            word += parts[rng.random_range(0..parts.len())];
        }
    }
    word
}
