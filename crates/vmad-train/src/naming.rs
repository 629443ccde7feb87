//! What users call things.

use std::sync::LazyLock;

use rand::Rng;
use rand::seq::IndexedRandom;

/// Names that the scenes' own do not have. Those of the categories that training does not see, and of the
/// photographs in `tests/photos`, are not among them.
pub(crate) static NOUNS: LazyLock<Vec<&str>> =
    LazyLock::new(|| include_str!("names.txt").split_whitespace().collect());

/// What may stand before these.
pub(crate) const MODIFIERS: [&str; 45] = [
    "steel", "brass", "copper", "plastic", "wooden", "painted", "polished", "black", "white",
    "red", "blue", "green", "grey", "small", "large", "round", "flat", "long", "hollow",
    "threaded", "coated", "printed", "woven", "folded", "welded", "forged", "moulded", "clear",
    "old", "new", "leather", "ceramic", "nylon", "silver", "golden", "yellow", "brown", "thin",
    "heavy", "short", "square", "drilled", "milled", "empty", "tall",
];

/// What a user may call an object: so many names that answering with the right one means repeating it.
pub(crate) fn name(rng: &mut impl Rng) -> String {
    let noun = drawn(&NOUNS, rng);
    let modifier = drawn(&MODIFIERS, rng);
    match rng.random_range(0..10) {
        0..3 => noun.to_owned(),
        3..6 => format!("{modifier} {noun}"),
        6 => format!("{} {noun}", drawn(&NOUNS, rng)),
        7 => format!("{noun} of {}", drawn(&NOUNS, rng)),
        8 => format!("{modifier} {} {noun}", drawn(&NOUNS, rng)),
        _ => format!(
            "{noun} {}{}",
            rng.random_range('A'..='Z'),
            rng.random_range(1..100)
        ),
    }
}

fn drawn(words: &[&'static str], rng: &mut impl Rng) -> &'static str {
    words.choose(rng).copied().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use vmad_data::{Category, Split};

    use super::*;

    #[test]
    fn names_of_unseen_categories_are_not_among_them() {
        let words: HashSet<_> = NOUNS.iter().chain(&MODIFIERS).copied().collect();
        assert_eq!(words.len(), NOUNS.len() + MODIFIERS.len());
        let unseen = Category::ALL.map(|c| (c.split() == Split::Unseen).then(|| c.object()));
        for object in unseen.into_iter().flatten() {
            let known = object.split(' ').all(|word| words.contains(word));
            assert!(!known, "{object} can be drawn");
        }
    }
}
