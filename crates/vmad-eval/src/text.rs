//! What an answer says, read by rule, and whether it is so.
//!
//! The rules know names of defects, the nine places of a 3×3 grid, words for size and weight, and
//! denial. They are meant for short plain sentences, and the same for every model: no model judges
//! another here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Words that say that something is wrong, without saying what.
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

/// Words whose denial says that nothing is wrong; alone they say nothing.
const CONSEQUENCES: [&str; 4] = ["impact", "action", "problem", "issue"];

const DENIALS: [&str; 7] = ["no", "not", "without", "never", "neither", "nor", "free"];

/// A denial does not reach over these.
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
            claim: Claim::Unclear,
        };
        let (mut asserts, mut denies) = (false, false);
        // Where the last name of a kind ended, and whether it was denied.
        let mut last: Option<(usize, bool)> = None;
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
                asserts |= !denied;
                denies |= denied;
                at += n;
                last = Some((at, denied));
                continue;
            }
            let word = words[at].as_str();
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

/// What an answer says of the part as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Claim {
    /// Nothing is wrong.
    Normal,
    /// Something is wrong.
    Defective,
    /// It does not say.
    Unclear,
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parsed {
    /// Kinds of defect that it says are there, in its order.
    pub kinds: Vec<String>,
    /// Kinds that it says are not there.
    pub denied: Vec<String>,
    /// Cells of the 3×3 grid.
    pub places: Vec<String>,
    /// `small`, `medium` or `large`.
    pub size: Option<String>,
    /// `minor`, `moderate` or `severe`.
    pub severity: Option<String>,
    /// Whether it repeats the object's name.
    pub names_object: bool,
    /// What it says of the part as a whole.
    pub claim: Claim,
}

/// What is so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// Whether there is a defect.
    pub is_defective: bool,
    /// Kinds of the defects; empty where the data does not name them.
    pub kinds: Vec<String>,
    /// Cells of the 3×3 grid that hold one; empty where the data has no mask.
    pub places: Vec<String>,
    /// Word for the size of the largest, if it can be told.
    pub size: Option<String>,
    /// Word for the weight of the worst, if it can be told.
    pub severity: Option<String>,
}

/// How an answer stands to the truth. `None` where the question does not arise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Of a defect of known kind: whether a kind that is there is named.
    pub kind_right: Option<bool>,
    /// Of a defect of known place: whether places are named, and all of them hold a defect.
    pub place_right: Option<bool>,
    /// Of a defect whose size is told: whether it is that size.
    pub size_right: Option<bool>,
    /// Of a defect whose weight is told: whether it is that weight.
    pub severity_right: Option<bool>,
    /// Whether the object's name is repeated.
    pub object_repeated: bool,
    /// Of a normal part: whether it is called normal.
    pub normal_called_normal: Option<bool>,
    /// Of a normal part: whether it is called defective.
    pub normal_called_defective: Option<bool>,
    /// Of a defective part: whether it is called normal.
    pub defect_denied: Option<bool>,
    /// Of a part of which it is known: whether a kind is claimed that is not there.
    pub false_kind: Option<bool>,
}

impl Judgement {
    /// Holds what is said against what is so.
    pub fn of(said: &Parsed, truth: &Truth) -> Self {
        let bad = truth.is_defective;
        let told = |said: &Option<String>, truth: &Option<String>| match (said, truth) {
            (Some(said), Some(truth)) if bad => Some(said == truth),
            _ => None,
        };
        let among = |all: &[String], found: &[String]| found.iter().all(|x| all.contains(x));
        let knows_kinds = !bad || !truth.kinds.is_empty();
        Self {
            kind_right: (bad && !truth.kinds.is_empty())
                .then(|| said.kinds.iter().any(|kind| truth.kinds.contains(kind))),
            place_right: (bad && !truth.places.is_empty())
                .then(|| !said.places.is_empty() && among(&truth.places, &said.places)),
            size_right: told(&said.size, &truth.size),
            severity_right: told(&said.severity, &truth.severity),
            object_repeated: said.names_object,
            normal_called_normal: (!bad).then_some(said.claim == Claim::Normal),
            normal_called_defective: (!bad).then_some(said.claim == Claim::Defective),
            defect_denied: bad.then_some(said.claim == Claim::Normal),
            false_kind: knows_kinds.then(|| !among(&truth.kinds, &said.kinds)),
        }
    }
}

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rate {
    /// Cases in which it holds.
    pub n: usize,
    /// Cases in which it could.
    pub of: usize,
}

impl Rate {
    /// Counts a case, if it is one.
    pub fn count(&mut self, case: Option<bool>) {
        if let Some(holds) = case {
            self.of += 1;
            self.n += usize::from(holds);
        }
    }

    /// `None` without a case.
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.n as f64 / self.of as f64)
    }

    /// Wilson's 95 % interval.
    pub fn interval(self) -> Option<(f64, f64)> {
        let p = self.share()?;
        let (n, z) = (self.of as f64, 1.959_964);
        let middle = p + z * z / (2.0 * n);
        let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let of = |value: f64| (value / (1.0 + z * z / n)).clamp(0.0, 1.0);
        Some((of(middle - half), of(middle + half)))
    }
}

/// How often answers are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TextScores {
    /// Of defects of known kind: a kind that is there is named.
    pub kind_right: Rate,
    /// Of defects of known place: places are named, and all of them hold a defect.
    pub place_right: Rate,
    /// Of defects whose size is told: it is that size.
    pub size_right: Rate,
    /// Of defects whose weight is told: it is that weight.
    pub severity_right: Rate,
    /// Of all answers: the object's name is repeated.
    pub object_repeated: Rate,
    /// Of normal parts: called normal.
    pub normal_called_normal: Rate,
    /// Of normal parts: called defective.
    pub normal_called_defective: Rate,
    /// Of defective parts: called normal.
    pub defect_denied: Rate,
    /// Of parts of which it is known: a kind is claimed that is not there.
    pub false_kind: Rate,
}

impl TextScores {
    /// Title and value of each rate, for tables.
    pub fn rows(&self) -> [(&'static str, Rate); 9] {
        [
            ("defect type right", self.kind_right),
            ("place right", self.place_right),
            ("size right where said", self.size_right),
            ("severity right where said", self.severity_right),
            ("object repeated", self.object_repeated),
            ("normal called normal", self.normal_called_normal),
            ("normal called defective", self.normal_called_defective),
            ("defect denied", self.defect_denied),
            ("type claimed that is not there", self.false_kind),
        ]
    }

    fn rates_mut(&mut self) -> [&mut Rate; 9] {
        [
            &mut self.kind_right,
            &mut self.place_right,
            &mut self.size_right,
            &mut self.severity_right,
            &mut self.object_repeated,
            &mut self.normal_called_normal,
            &mut self.normal_called_defective,
            &mut self.defect_denied,
            &mut self.false_kind,
        ]
    }

    /// Adds the counts of other answers.
    pub fn merge(&mut self, other: &Self) {
        for (sum, (_, rate)) in self.rates_mut().into_iter().zip(other.rows()) {
            sum.n += rate.n;
            sum.of += rate.of;
        }
    }

    /// Counts one answer.
    pub fn count(&mut self, judged: &Judgement) {
        let cases = [
            judged.kind_right,
            judged.place_right,
            judged.size_right,
            judged.severity_right,
            Some(judged.object_repeated),
            judged.normal_called_normal,
            judged.normal_called_defective,
            judged.defect_denied,
            judged.false_kind,
        ];
        for (rate, case) in self.rates_mut().into_iter().zip(cases) {
            rate.count(case);
        }
    }
}

/// Row and column of parts without a defect.
pub const NORMAL: &str = "normal";

/// Column of answers that name no kind and do not call the part normal.
pub const UNNAMED: &str = "unnamed";

/// What is said (columns) of what is so (rows), in counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confusion {
    /// Truth → said → count.
    pub rows: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Confusion {
    /// Counts one answer. A defect without a known kind is left out. Of several kinds, the first
    /// that is both there and named counts; otherwise the first there, and the first named.
    pub fn count(&mut self, said: &Parsed, truth: &Truth) {
        let both = said.kinds.iter().find(|kind| truth.kinds.contains(kind));
        let row = match (truth.is_defective, both.or(truth.kinds.first())) {
            (false, _) => NORMAL,
            (true, Some(kind)) => kind,
            (true, None) => return,
        };
        let column = match (both.or(said.kinds.first()), said.claim) {
            (Some(kind), _) => kind,
            (None, Claim::Normal) => NORMAL,
            (None, _) => UNNAMED,
        };
        let row = self.rows.entry(row.to_owned()).or_default();
        *row.entry(column.to_owned()).or_default() += 1;
    }

    /// All names, in alphabetical order, `normal` and `unnamed` last.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .rows
            .iter()
            .flat_map(|(row, said)| said.keys().chain([row]))
            .map(String::as_str)
            .collect();
        names.sort_unstable_by_key(|name| ([NORMAL, UNNAMED].contains(name), *name));
        names.dedup();
        names
    }
}

/// The most frequent name; the first in alphabetical order among equals.
pub fn most_frequent_type<'a>(truths: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for truth in truths {
        *counts.entry(truth).or_default() += 1;
    }
    counts
        .into_iter()
        .rev()
        .max_by_key(|&(_, count)| count)
        .map(|(name, _)| name)
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

    fn dents_and_holes() -> Truth {
        Truth {
            is_defective: true,
            kinds: vec!["dent".into(), "hole".into()],
            places: vec!["upper left".into(), "centre".into()],
            size: Some("small".into()),
            severity: Some("minor".into()),
        }
    }

    #[test]
    fn judgements() {
        let judge =
            |answer: &str, truth: &Truth| Judgement::of(&lexicon().parse(answer, "coin"), truth);
        let truth = dents_and_holes();
        let right = judge("A small hole on the centre of the coin.", &truth);
        assert_eq!(right.kind_right, Some(true), "one of several will do");
        assert_eq!(right.place_right, Some(true));
        assert_eq!((right.size_right, right.severity_right), (Some(true), None));
        assert_eq!(
            (right.false_kind, right.defect_denied),
            (Some(false), Some(false))
        );
        assert_eq!(right.normal_called_normal, None);

        let wrong = judge(
            "A severe dent and rust on the lower left and the centre.",
            &truth,
        );
        assert_eq!(wrong.kind_right, Some(true));
        assert_eq!(wrong.false_kind, Some(true));
        assert_eq!(wrong.place_right, Some(false));
        assert_eq!(wrong.severity_right, Some(false));

        let denied = judge("No defect.", &truth);
        assert_eq!(
            (denied.kind_right, denied.place_right),
            (Some(false), Some(false))
        );
        assert_eq!(
            (denied.defect_denied, denied.false_kind),
            (Some(true), Some(false))
        );

        let normal = judge("There is a large dent.", &Truth::default());
        assert_eq!(normal.normal_called_defective, Some(true));
        assert_eq!((normal.false_kind, normal.size_right), (Some(true), None));
        assert_eq!(normal.kind_right, None);

        let unknown = Truth {
            is_defective: true,
            ..Truth::default()
        };
        let unknown = judge("There is a large dent.", &unknown);
        assert_eq!((unknown.kind_right, unknown.false_kind), (None, None));
    }

    #[test]
    fn confusion_counts_pairs() {
        let mut table = Confusion::default();
        let truth = dents_and_holes();
        for (answer, truth) in [
            ("a hole", &truth),
            ("rust", &truth),
            ("no defect", &truth),
            ("hello", &truth),
            ("a scratch", &Truth::default()),
        ] {
            table.count(&lexicon().parse(answer, ""), truth);
        }
        let count = |row: &str, column: &str| table.rows[row].get(column).copied();
        assert_eq!(count("hole", "hole"), Some(1));
        assert_eq!(count("dent", "rust"), Some(1));
        assert_eq!(count("dent", NORMAL), Some(1));
        assert_eq!(count("dent", UNNAMED), Some(1));
        assert_eq!(count(NORMAL, "scratch"), Some(1));
        assert_eq!(
            table.names(),
            ["dent", "hole", "rust", "scratch", NORMAL, UNNAMED]
        );
    }

    #[test]
    fn rates() {
        let mut rate = Rate::default();
        assert_eq!((rate.share(), rate.interval()), (None, None));
        for case in [Some(true), None, Some(false), Some(true), Some(true)] {
            rate.count(case);
        }
        assert_eq!(rate.share(), Some(0.75));
        // statsmodels: proportion_confint(3, 4, method="wilson")
        let near = |a: f64, b: f64| (a - b).abs() < 1e-4;
        let Some((low, high)) = rate.interval() else {
            panic!()
        };
        assert!(near(low, 0.300_64) && near(high, 0.954_41), "{low} {high}");
    }

    #[test]
    fn equals_go_to_the_first_name() {
        assert_eq!(most_frequent_type(["b", "c", "b", "c", "a"]), Some("b"));
        assert_eq!(most_frequent_type([]), None);
    }
}
