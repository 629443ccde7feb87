//! Names of objects in conversations.

use std::sync::LazyLock;

use rand::Rng;
use rand::seq::IndexedRandom;
use vmad_prep::{Specials, Tokenizer};

/// Nouns that no scene uses as its object's name. The categories that training does not see, and the objects
/// in `tests/photos`, are not among them.
pub static NOUNS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    include_str!("object_names.txt")
        .split_whitespace()
        .collect()
});

/// Words before a noun.
pub const MODIFIERS: [&str; 45] = [
    "steel", "brass", "copper", "plastic", "wooden", "painted", "polished", "black", "white",
    "red", "blue", "green", "grey", "small", "large", "round", "flat", "long", "hollow",
    "threaded", "coated", "printed", "woven", "folded", "welded", "forged", "moulded", "clear",
    "old", "new", "leather", "ceramic", "nylon", "silver", "golden", "yellow", "brown", "thin",
    "heavy", "short", "square", "drilled", "milled", "empty", "tall",
];

/// A name that a user may give an object. There are so many that the model has to copy it.
pub fn object_name(rng: &mut impl Rng) -> String {
    let noun = choose(&NOUNS, rng);
    let modifier = choose(&MODIFIERS, rng);
    match rng.random_range(0..10) {
        0..3 => noun.to_owned(),
        3..6 => format!("{modifier} {noun}"),
        6 => format!("{} {noun}", choose(&NOUNS, rng)),
        7 => format!("{noun} of {}", choose(&NOUNS, rng)),
        8 => format!("{modifier} {} {noun}", choose(&NOUNS, rng)),
        _ => format!(
            "{noun} {}{}",
            rng.random_range('A'..='Z'),
            rng.random_range(1..100)
        ),
    }
}

fn choose(words: &[&'static str], rng: &mut impl Rng) -> &'static str {
    words.choose(rng).copied().unwrap_or_default()
}

/// A word of no language.
///
/// Half have two or three syllables. Half are random tokens of the vocabulary, so that the model learns to copy
/// each token: real names have some that neither scenes nor syllables have.
pub fn invented_name(tokenizer: &Tokenizer, rng: &mut impl Rng) -> String {
    if rng.random_bool(0.5) {
        (0..rng.random_range(2..=3))
            .map(|_| syllable(rng))
            .collect()
    } else {
        (0..rng.random_range(2..=4))
            .map(|_| token_or_letter(tokenizer, rng))
            .collect()
    }
}

fn syllable(rng: &mut impl Rng) -> String {
    const STARTS: [&str; 20] = [
        "b", "br", "c", "ch", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t",
        "tr", "v", "w",
    ];
    const VOWELS: [&str; 8] = ["a", "e", "i", "o", "u", "ea", "oo", "ai"];
    const ENDS: [&str; 12] = ["", "", "l", "m", "n", "r", "s", "t", "ck", "ng", "rd", "sh"];
    [&STARTS[..], &VOWELS, &ENDS]
        .map(|parts| choose(parts, rng))
        .concat()
}

/// A token of letters; in one of 20 draws a letter that the vocabulary has no token for.
fn token_or_letter(tokenizer: &Tokenizer, rng: &mut impl Rng) -> String {
    const LETTERS: [&str; 10] = ["ä", "ö", "ü", "ß", "é", "è", "ñ", "ç", "ø", "å"];
    if rng.random_bool(0.05) {
        return choose(&LETTERS, rng).to_owned();
    }
    let mut token = || {
        let id = rng.random_range(0..tokenizer.vocab_size());
        let id = i32::try_from(id).unwrap_or_default();
        tokenizer.decode(&[id], Specials::Skip)
    };
    let of_letters = |text: &String| !text.is_empty() && text.chars().all(char::is_alphabetic);
    // A vocabulary of bytes alone may have none.
    (0..100)
        .map(|_| token())
        .find(of_letters)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use vmad_data::{Category, Split};

    use super::*;
    use crate::error::TrainError;
    use crate::questions::corpus_texts;
    use crate::tokenizer::train_tokenizer;

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

    #[test]
    fn invented_words_are_of_letters_and_reach_the_whole_vocabulary() -> Result<(), TrainError> {
        let corpus = corpus_texts().into_iter();
        let tokenizer = Tokenizer::from_json(&train_tokenizer(corpus, 400)?)?;
        let mut rng = StdRng::seed_from_u64(5);
        let mut seen = HashSet::new();
        for _ in 0..5000 {
            let word = invented_name(&tokenizer, &mut rng);
            assert!(
                word.chars().all(char::is_alphabetic) && !word.is_empty(),
                "{word:?}"
            );
            seen.extend(tokenizer.encode(&word, false)?);
        }
        // Single letters are bytes, too, which words are made of only where the vocabulary lacks the letter.
        let spelt = |id: &i32| {
            let text = tokenizer.decode(&[*id], Specials::Skip);
            text.chars().all(char::is_alphabetic) && text.chars().count() > 1
        };
        let missing: Vec<i32> = (0..400)
            .filter(|id| spelt(id) && !seen.contains(id))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
        Ok(())
    }
}
