//! Reads an answer by rules: kinds of defect, places, size, severity, denial.
//!
//! The rules know names of defects, the nine places of a 3×3 grid, words for size and severity,
//! and denial. They are made for short plain sentences and are the same for every model: no model
//! judges another here.

use serde::{Deserialize, Serialize};

/// Words for a defect of unnamed kind.
const FAULTS: [&str; 12] = [
    "defect",
    "defects",
    "defective",
    "anomaly",
    "anomalies",
    "anomalous",
    "abnormality",
    "abnormalities",
    "abnormal",
    "damage",
    "damaged",
    "flaw",
];

/// Words that mean "normal" where they are denied, and nothing otherwise.
const CONSEQUENCES: [&str; 4] = ["impact", "action", "problem", "issue"];

const DENIALS: [&str; 7] = ["no", "not", "without", "never", "neither", "nor", "free"];

/// Words that end the scope of a denial.
const BARRIERS: [&str; 8] = [
    ".", ",", "but", "except", "only", "because", "however", "although",
];

/// Most words between a denial and what it denies: "no visible sign of any scratch".
const REACH: usize = 5;

/// Which kinds of defect may be named, and by which words.
#[derive(Debug, Clone, Default)]
pub struct Lexicon {
    /// Words of a name, and the name; the longest first.
    kinds: Vec<(Vec<String>, String)>,
}

impl Lexicon {
    /// A lexicon of names such as `scratch` or `broken_large`. Underscores and hyphens are spaces.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut kinds: Vec<_> = names
            .into_iter()
            .map(|name| (words(name), name.to_owned()))
            .filter(|(words, _)| !words.is_empty())
            .collect();
        kinds.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        kinds.dedup();
        Self { kinds }
    }

    /// Reads an answer to a question about an `object`.
    pub fn parse(&self, answer: &str, object: &str) -> Parsed {
        let words = words(answer);
        let mut parsed = Parsed {
            kinds: Vec::new(),
            denied: Vec::new(),
            places: places(&words),
            size: first_of(
                &words,
                &[
                    (&["small", "tiny"], "small"),
                    (&["medium"], "medium"),
                    (&["large", "big"], "large"),
                ],
            ),
            severity: first_of(
                &words,
                &[
                    (&["minor"], "minor"),
                    (&["moderate"], "moderate"),
                    (&["severe"], "severe"),
                ],
            ),
            names_object: holds(&words, &self::words(object)),
            repeats_itself: false,
            claim: Claim::Unclear,
        };
        let (mut asserts, mut denies) = (false, false);
        // Where the last name of a kind ended, and whether it was denied.
        let mut last: Option<(usize, bool)> = None;
        let mut in_sentence: Vec<&str> = Vec::new();
        let mut at = 0;
        while at < words.len() {
            if let Some((n, name)) = self.kind_at(&words[at..]) {
                let listed = last.is_some_and(|(end, _)| is_listing(&words[end..at]));
                let denied = match last {
                    Some((_, denied)) if listed => denied,
                    _ => is_denied(&words, at),
                };
                let list = if denied {
                    &mut parsed.denied
                } else {
                    &mut parsed.kinds
                };
                if !list.iter().any(|known| known == name) {
                    list.push(name.to_owned());
                }
                parsed.repeats_itself |= in_sentence.contains(&name);
                in_sentence.push(name);
                asserts |= !denied;
                denies |= denied;
                at += n;
                last = Some((at, denied));
                continue;
            }
            let word = words[at].as_str();
            if word == "." {
                in_sentence.clear();
            }
            if FAULTS.contains(&word) {
                let denied = is_denied(&words, at);
                asserts |= !denied;
                denies |= denied;
            } else if CONSEQUENCES.contains(&word) {
                denies |= is_denied(&words, at);
            }
            at += 1;
        }
        // "No defect but a scratch", "A defect, no dent": what is asserted counts.
        parsed.claim = match (asserts, denies) {
            (true, _) => Claim::Defective,
            (false, true) => Claim::Normal,
            (false, false) => Claim::Unclear,
        };
        parsed
    }

    /// The longest name that these words begin with: how many words it takes, and the name.
    fn kind_at(&self, words: &[String]) -> Option<(usize, &str)> {
        self.kinds
            .iter()
            .find(|(name, _)| starts_with(words, name))
            .map(|(name, kind)| (name.len(), kind.as_str()))
    }
}

/// Lower-case words; an end of a sentence or clause is the word `.`, a comma the word `,`.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut put = |word: &mut String| {
        if !word.is_empty() {
            words.push(std::mem::take(word));
        }
    };
    for c in text.chars() {
        match c {
            c if c.is_alphanumeric() => word.extend(c.to_lowercase()),
            '.' | ';' | ':' | '!' | '?' => {
                put(&mut word);
                put(&mut ".".to_owned());
            }
            ',' => {
                put(&mut word);
                put(&mut ",".to_owned());
            }
            _ => put(&mut word),
        }
    }
    put(&mut word);
    words
}

/// Whether the words begin with a name, its last word in singular or plural.
fn starts_with(words: &[String], name: &[String]) -> bool {
    let Some((last, first)) = name.split_last() else {
        return false;
    };
    words.len() >= name.len()
        && first.iter().zip(words).all(|(a, b)| a == b)
        && words[name.len() - 1]
            .strip_prefix(last.as_str())
            .is_some_and(|rest| matches!(rest, "" | "s" | "es"))
}

fn holds(words: &[String], name: &[String]) -> bool {
    (0..words.len()).any(|at| starts_with(&words[at..], name))
}

fn is_denied(words: &[String], at: usize) -> bool {
    words[..at]
        .iter()
        .rev()
        .take(REACH)
        .take_while(|word| !BARRIERS.contains(&word.as_str()))
        .any(|word| DENIALS.contains(&word.as_str()))
}

/// Whether only a list goes on between two names: "no dent, scratch or hole".
fn is_listing(between: &[String]) -> bool {
    !between.is_empty()
        && between
            .iter()
            .all(|word| matches!(word.as_str(), "," | "or" | "nor" | "any"))
}

fn first_of(words: &[String], meanings: &[(&[&str], &str)]) -> Option<String> {
    words.iter().find_map(|word| {
        let (_, meaning) = meanings
            .iter()
            .find(|(said, _)| said.contains(&word.as_str()))?;
        Some((*meaning).to_owned())
    })
}

/// Cells of the 3×3 grid that a text names: `upper left` … `lower right`, and `centre` alone after
/// `the`, for a burn has a black centre too.
fn places(words: &[String]) -> Vec<String> {
    let row = |word: &str| match word {
        "upper" | "top" => Some("upper"),
        "lower" | "bottom" => Some("lower"),
        "centre" | "center" | "middle" => Some("centre"),
        _ => None,
    };
    let column = |word: &str| match word {
        "left" => Some("left"),
        "right" => Some("right"),
        "centre" | "center" | "middle" => Some("centre"),
        _ => None,
    };
    let mut places: Vec<String> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let Some(first) = row(&words[at]) else {
            at += 1;
            continue;
        };
        let second = words.get(at + 1).and_then(|word| column(word));
        let after_the = at > 0 && words[at - 1] == "the";
        let place = match (first, second) {
            ("centre", Some("centre")) => Some("centre".to_owned()),
            (first, Some(second)) => Some(format!("{first} {second}")),
            ("centre", None) if after_the => Some("centre".to_owned()),
            _ => None,
        };
        at += 1 + usize::from(second.is_some());
        if let Some(place) = place
            && !places.contains(&place)
        {
            places.push(place);
        }
    }
    places
}

/// The verdict that an answer states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Claim {
    /// Nothing is wrong.
    Normal,
    /// Something is wrong.
    Defective,
    /// No statement.
    Unclear,
}

/// The content of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parsed {
    /// Kinds of defect that it claims, in its order.
    pub kinds: Vec<String>,
    /// Kinds that it denies.
    pub denied: Vec<String>,
    /// Cells of the 3×3 grid.
    pub places: Vec<String>,
    /// `small`, `medium` or `large`.
    pub size: Option<String>,
    /// `minor`, `moderate` or `severe`.
    pub severity: Option<String>,
    /// Whether it repeats the object's name.
    pub names_object: bool,
    /// Whether a sentence names a kind twice: "On the left of the coin is a dent is a dent."
    #[serde(default)]
    pub repeats_itself: bool,
    /// The verdict that it states.
    pub claim: Claim,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexicon() -> Lexicon {
        Lexicon::new([
            "scratch",
            "hole",
            "dent",
            "rust",
            "burn",
            "rust_spot",
            "broken-large",
        ])
    }

    #[test]
    fn sentences_that_run_on() {
        for (answer, repeats) in [
            ("There is a small dent on the left of the mat.", false),
            ("There is a dent. The dent is small; dents matter.", false),
            (
                "There is a dent on the left of the mat is a small dent.",
                true,
            ),
            ("It has a rust spot and rust.", false),
        ] {
            let said = lexicon().parse(answer, "mat");
            assert_eq!(said.repeats_itself, repeats, "{answer}");
        }
    }

    #[test]
    fn kinds_and_denials() {
        use Claim::{Defective, Normal, Unclear};
        for (answer, kinds, denied, claim) in [
            (
                "No defect is visible. The coin looks as it should.",
                &[][..],
                &[][..],
                Normal,
            ),
            (
                "There is no impact, because the gear shows no defect.",
                &[],
                &[],
                Normal,
            ),
            ("No action is needed. The gear can pass.", &[], &[], Normal),
            (
                "There is a small dent on the upper left.",
                &["dent"],
                &[],
                Defective,
            ),
            (
                "There is no defect but a scratch.",
                &["scratch"],
                &[],
                Defective,
            ),
            ("It is not defective.", &[], &[], Normal),
            ("No, there is a dent.", &["dent"], &[], Defective),
            (
                "no dent, scratch or holes",
                &[],
                &["dent", "scratch", "hole"],
                Normal,
            ),
            (
                "There is no visible sign of any rust spot.",
                &[],
                &["rust_spot"],
                Normal,
            ),
            (
                "Rust spots and a hole, and scratches.",
                &["rust_spot", "hole", "scratch"],
                &[],
                Defective,
            ),
            (
                "It is not a dent but a hole.",
                &["hole"],
                &["dent"],
                Defective,
            ),
            ("It is broken large.", &["broken-large"], &[], Defective),
            ("A defect.", &[], &[], Defective),
            ("It has a flaw, but no dent.", &[], &["dent"], Defective),
            ("It is free of defects.", &[], &[], Normal),
            ("The whole thing is rusty.", &[], &[], Unclear),
            ("", &[], &[], Unclear),
        ] {
            let parsed = lexicon().parse(answer, "coin");
            assert_eq!(parsed.kinds, kinds, "{answer}");
            assert_eq!(parsed.denied, denied, "{answer}");
            assert_eq!(parsed.claim, claim, "{answer}");
        }
    }

    #[test]
    fn places_sizes_and_objects() {
        for (answer, places, size, severity, object) in [
            (
                "There is a small burn on the centre of the hex nut. It looks like a black centre with a brown halo.",
                &["centre"][..],
                Some("small"),
                None,
                true,
            ),
            (
                "Two large holes on the upper left and the centre right.",
                &["upper left", "centre right"],
                Some("large"),
                None,
                false,
            ),
            (
                "It is in the bottom center of the hex nuts.",
                &["lower centre"],
                None,
                None,
                true,
            ),
            (
                "The burn is severe. It has a dark centre.",
                &[],
                None,
                Some("severe"),
                false,
            ),
            ("The top shines. The nut is hex.", &[], None, None, false),
        ] {
            let parsed = lexicon().parse(answer, "hex nut");
            assert_eq!(parsed.places, places, "{answer}");
            assert_eq!(parsed.size.as_deref(), size, "{answer}");
            assert_eq!(parsed.severity.as_deref(), severity, "{answer}");
            assert_eq!(parsed.names_object, object, "{answer}");
        }
    }
}
