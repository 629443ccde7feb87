//! Scores of what the model said.

use std::collections::BTreeMap;

/// Share of defective images whose answer names the true defect type. An answer that names
/// none counts as wrong. Pairs are (truth, type read from the answer). `None` without a pair.
pub fn defect_type_accuracy<'a>(
    pairs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Option<f64> {
    share(
        pairs
            .into_iter()
            .map(|(truth, answer)| answer == Some(truth)),
    )
}

/// Share of normal images whose answer says that nothing is wrong. One flag per normal image;
/// `None` without one.
pub fn normal_called_normal(says_normal: impl IntoIterator<Item = bool>) -> Option<f64> {
    share(says_normal)
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

fn share(hits: impl IntoIterator<Item = bool>) -> Option<f64> {
    let (mut n_hits, mut n) = (0_usize, 0_usize);
    for hit in hits {
        n += 1;
        n_hits += usize::from(hit);
    }
    (n > 0).then(|| n_hits as f64 / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        let pairs = [
            ("dent", Some("dent")),
            ("dent", Some("hole")),
            ("hole", None),
        ];
        assert_eq!(defect_type_accuracy(pairs), Some(1.0 / 3.0));
        assert_eq!(defect_type_accuracy([]), None);
        assert_eq!(normal_called_normal([true, true, false, true]), Some(0.75));
        assert_eq!(normal_called_normal([]), None);
    }

    #[test]
    fn equals_go_to_the_first_name() {
        assert_eq!(most_frequent_type(["b", "c", "b", "c", "a"]), Some("b"));
        assert_eq!(most_frequent_type([]), None);
    }
}
