//! Compares parsed answers with the ground truth, and counts how often they are right.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::answer_parser::{Claim, Parsed};

/// Ground truth of one photograph.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// Whether there is a defect.
    pub is_defective: bool,
    /// Kinds of the defects; empty where the data does not name them.
    pub kinds: Vec<String>,
    /// Cells of the 3×3 grid that hold one; empty where the data has no mask.
    pub places: Vec<String>,
    /// Word for the size of the largest defect; `None` where it is unknown.
    pub size: Option<String>,
    /// Word for the severity of the worst defect; `None` where it is unknown.
    pub severity: Option<String>,
}

/// The comparison of one answer with the ground truth. A field is `None` where it does not apply.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Of a defect of known kind: whether a kind that is there is named.
    pub kind_right: Option<bool>,
    /// Of a defect of known place: whether places are named, and all of them hold a defect.
    pub place_right: Option<bool>,
    /// Of a defect, where the answer has a word for its size: whether the word is right.
    pub size_right: Option<bool>,
    /// Of a defect, where the answer has a word for its severity: whether the word is right.
    pub severity_right: Option<bool>,
    /// Whether the object's name is repeated.
    pub object_repeated: bool,
    /// Of an answer that names a kind: whether one of its sentences does so twice.
    #[serde(default)]
    pub runs_on: Option<bool>,
    /// Of a normal part: whether it is called normal.
    pub normal_called_normal: Option<bool>,
    /// Of a normal part: whether it is called defective.
    pub normal_called_defective: Option<bool>,
    /// Of a defective part: whether it is called normal.
    pub defect_denied: Option<bool>,
    /// Of a photograph whose kinds of defect are known: whether the answer claims another kind.
    pub false_kind: Option<bool>,
}

impl Judgement {
    /// Compares a parsed answer with the ground truth.
    pub fn of(answer: &Parsed, truth: &Truth) -> Self {
        let bad = truth.is_defective;
        let same_word = |answer: &Option<String>, truth: &Option<String>| match (answer, truth) {
            (Some(answer), Some(truth)) if bad => Some(answer == truth),
            _ => None,
        };
        let among = |all: &[String], found: &[String]| found.iter().all(|x| all.contains(x));
        let knows_kinds = !bad || !truth.kinds.is_empty();
        Self {
            kind_right: (bad && !truth.kinds.is_empty())
                .then(|| answer.kinds.iter().any(|kind| truth.kinds.contains(kind))),
            place_right: (bad && !truth.places.is_empty())
                .then(|| !answer.places.is_empty() && among(&truth.places, &answer.places)),
            size_right: same_word(&answer.size, &truth.size),
            severity_right: same_word(&answer.severity, &truth.severity),
            object_repeated: answer.names_object,
            runs_on: (answer.kinds.len() + answer.denied.len() > 0)
                .then_some(answer.repeats_itself),
            normal_called_normal: (!bad).then_some(answer.claim == Claim::Normal),
            normal_called_defective: (!bad).then_some(answer.claim == Claim::Defective),
            defect_denied: bad.then_some(answer.claim == Claim::Normal),
            false_kind: knows_kinds.then(|| !among(&truth.kinds, &answer.kinds)),
        }
    }
}

/// A count of cases in which something holds, and of all cases.
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
    /// Of defects, where the answer has a word for the size: the word is right.
    pub size_right: Rate,
    /// Of defects, where the answer has a word for the severity: the word is right.
    pub severity_right: Rate,
    /// Of all answers: the object's name is repeated.
    pub object_repeated: Rate,
    /// Of answers that name a kind: one of their sentences does so twice.
    #[serde(default)]
    pub runs_on: Rate,
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
    pub fn rows(&self) -> [(&'static str, Rate); 10] {
        [
            ("defect type right", self.kind_right),
            ("place right", self.place_right),
            ("size right where said", self.size_right),
            ("severity right where said", self.severity_right),
            ("object repeated", self.object_repeated),
            ("sentence runs on", self.runs_on),
            ("normal called normal", self.normal_called_normal),
            ("normal called defective", self.normal_called_defective),
            ("defect denied", self.defect_denied),
            ("type claimed that is not there", self.false_kind),
        ]
    }

    fn rates_mut(&mut self) -> [&mut Rate; 10] {
        [
            &mut self.kind_right,
            &mut self.place_right,
            &mut self.size_right,
            &mut self.severity_right,
            &mut self.object_repeated,
            &mut self.runs_on,
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
            judged.runs_on,
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

/// Confusion matrix in counts: rows are the truth, columns the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confusion {
    /// Truth → answer → count.
    pub rows: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Confusion {
    /// Counts one answer. A defect without a known kind is left out. Of several kinds, the first
    /// that is both there and named counts; otherwise the first there, and the first named.
    pub fn count(&mut self, answer: &Parsed, truth: &Truth) {
        let both = answer.kinds.iter().find(|kind| truth.kinds.contains(kind));
        let row = match (truth.is_defective, both.or(truth.kinds.first())) {
            (false, _) => NORMAL,
            (true, Some(kind)) => kind,
            (true, None) => return,
        };
        let column = match (both.or(answer.kinds.first()), answer.claim) {
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
            .flat_map(|(row, columns)| columns.keys().chain([row]))
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
    use crate::answer_parser::Lexicon;

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
