//! Accuracy on questions with given choices, counted as MMAD does (arXiv 2410.09453).
//!
//! Accuracy is per subtask and data set; the subtask *Anomaly Detection* is balanced, the mean of
//! the accuracy on normal and on defective images, so that always saying yes scores one half.
//! A data set's average is the mean of its subtasks, and the overall row the mean of the data sets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::answer_metrics::Rate;

/// The subtask whose accuracy is balanced over its right answers.
const BALANCED: &str = "Anomaly Detection";

/// One question, answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The data set that the image is from.
    pub set: String,
    /// The subtask.
    pub subtask: String,
    /// Choices offered; at least one.
    pub n_options: usize,
    /// Text of the right choice: the class over which a balanced accuracy is averaged.
    pub right: String,
    /// Whether the model took the right choice.
    pub is_right: bool,
}

/// Accuracy on some questions.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Accuracy {
    /// Questions answered right, and questions.
    #[serde(flatten)]
    pub rate: Rate,
    /// Share of right answers, balanced where the subtask is.
    pub accuracy: Option<f64>,
    /// Expected share of right answers by guessing.
    pub chance: Option<f64>,
}

/// Accuracy by subtask, and in all.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChoiceReport {
    /// Questions.
    pub n_questions: usize,
    /// Questions of the file that were left out.
    pub n_left_out: usize,
    /// Mean over the data sets of their averages.
    pub mean_accuracy: Option<f64>,
    /// Expected accuracy by guessing.
    pub mean_chance: Option<f64>,
    /// By subtask: counts over all data sets, accuracies as means over them.
    pub subtasks: BTreeMap<String, Accuracy>,
    /// By data set and subtask.
    pub sets: BTreeMap<String, BTreeMap<String, Accuracy>>,
}

#[derive(Default)]
struct Tally {
    rate: Rate,
    /// By right answer: how many were taken, and the sum of 1 / number of options.
    classes: BTreeMap<String, (Rate, f64)>,
}

impl Tally {
    fn accuracy(&self, is_balanced: bool) -> Accuracy {
        let over = |value: &dyn Fn(&(Rate, f64)) -> f64| -> Option<f64> {
            let weight = |rate: Rate| {
                if is_balanced {
                    1.0 / (rate.of as f64 * self.classes.len() as f64)
                } else {
                    1.0 / self.rate.of as f64
                }
            };
            let sum = self
                .classes
                .values()
                .map(|class| weight(class.0) * value(class));
            (self.rate.of > 0).then(|| sum.sum())
        };
        Accuracy {
            rate: self.rate,
            accuracy: over(&|(rate, _)| rate.n as f64),
            chance: over(&|(_, chance)| *chance),
        }
    }
}

/// Counts questions; `n_left_out` is passed on.
pub fn choice_report(choices: &[Choice], n_left_out: usize) -> ChoiceReport {
    let mut tallies = BTreeMap::<&str, BTreeMap<&str, Tally>>::new();
    for choice in choices {
        let of_set = tallies.entry(&choice.set).or_default();
        let tally = of_set.entry(&choice.subtask).or_default();
        let (rate, chance) = tally.classes.entry(choice.right.clone()).or_default();
        rate.count(Some(choice.is_right));
        *chance += 1.0 / choice.n_options.max(1) as f64;
        tally.rate.count(Some(choice.is_right));
    }
    let sets: BTreeMap<String, BTreeMap<String, Accuracy>> = tallies
        .iter()
        .map(|(set, subtasks)| {
            let accuracies = subtasks
                .iter()
                .map(|(name, tally)| ((*name).to_owned(), tally.accuracy(*name == BALANCED)));
            ((*set).to_owned(), accuracies.collect())
        })
        .collect();

    let mut gathered = BTreeMap::<String, Vec<Accuracy>>::new();
    for (name, accuracy) in sets.values().flatten() {
        gathered.entry(name.clone()).or_default().push(*accuracy);
    }
    let subtasks = gathered
        .into_iter()
        .map(|(name, parts)| {
            let mut rate = Rate::default();
            for part in &parts {
                rate.n += part.rate.n;
                rate.of += part.rate.of;
            }
            let all = Accuracy {
                rate,
                accuracy: mean(parts.iter().map(|part| part.accuracy)),
                chance: mean(parts.iter().map(|part| part.chance)),
            };
            (name, all)
        })
        .collect();
    let average = |get: fn(&Accuracy) -> Option<f64>| {
        mean(sets.values().map(|set| mean(set.values().map(get))))
    };
    ChoiceReport {
        n_questions: choices.len(),
        n_left_out,
        mean_accuracy: average(|accuracy| accuracy.accuracy),
        mean_chance: average(|accuracy| accuracy.chance),
        subtasks,
        sets,
    }
}

fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.flatten().collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(set: &str, subtask: &str, n_options: usize, right: &str, is_right: bool) -> Choice {
        Choice {
            set: set.into(),
            subtask: subtask.into(),
            n_options,
            right: right.into(),
            is_right,
        }
    }

    #[test]
    fn detection_is_balanced_and_sets_are_averaged() {
        let detection = "Anomaly Detection";
        let choices = [
            // Three defective images found, one normal image not.
            choice("a", detection, 2, "yes", true),
            choice("a", detection, 2, "yes", true),
            choice("a", detection, 2, "yes", true),
            choice("a", detection, 2, "no", false),
            choice("a", "Defect Localization", 4, "left", true),
            choice("a", "Defect Localization", 2, "right", false),
            choice("b", "Defect Localization", 4, "left", false),
        ];
        let report = choice_report(&choices, 2);
        assert_eq!((report.n_questions, report.n_left_out), (7, 2));
        let found = report.sets["a"][detection];
        assert_eq!((found.accuracy, found.chance), (Some(0.5), Some(0.5)));
        assert_eq!(found.rate, Rate { n: 3, of: 4 });
        let place = report.subtasks["Defect Localization"];
        // (0.5 + 0) / 2 and (0.375 + 0.25) / 2
        assert_eq!((place.accuracy, place.chance), (Some(0.25), Some(0.3125)));
        assert_eq!(place.rate, Rate { n: 1, of: 3 });
        // Set a: (0.5 + 0.5) / 2, set b: 0.
        assert_eq!(report.mean_accuracy, Some(0.25));
        assert_eq!(report.mean_chance, Some((0.4375 + 0.25) / 2.0));
    }

    #[test]
    fn no_question_no_number() {
        assert_eq!(choice_report(&[], 0), ChoiceReport::default());
    }
}
