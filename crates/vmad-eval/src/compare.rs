//! A report against an earlier one.

use crate::report::{Provenance, Report, Scores, escape};

/// A metric in two reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The category; `None` for the mean.
    pub category: Option<String>,
    /// Title of the metric.
    pub metric: &'static str,
    /// Its value.
    pub value: f64,
    /// Its value in the reference.
    pub reference: f64,
    /// Whether the value lies outside the reference's confidence interval; `None` without one.
    pub is_outside: Option<bool>,
}

/// Two reports side by side.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// Why the numbers cannot be compared as they are.
    pub reservations: Vec<String>,
    /// Metrics that both define, means first.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// A Markdown table in per cent, after what stands against it.
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        for reservation in &self.reservations {
            text.push_str(&format!("- not comparable as it is: {reservation}\n"));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(
            "| category | metric | here | reference | difference |\n|:--|:--|--:|--:|--:|\n",
        );
        for found in &self.differences {
            let category = found.category.as_deref().map_or("**mean**".into(), escape);
            let (value, reference) = (found.value * 100.0, found.reference * 100.0);
            let mark = match found.is_outside {
                Some(true) => " *",
                _ => "",
            };
            text.push_str(&format!(
                "| {category} | {} | {value:.1} | {reference:.1} | {:+.1}{mark} |\n",
                found.metric,
                value - reference
            ));
        }
        text.push_str("\n\\* outside the reference's confidence interval.\n");
        text
    }
}

/// Compares a report with a reference.
pub fn compare(report: &Report, reference: &Report) -> Comparison {
    let mut differences = differences(None, &report.scores, &reference.scores, reference);
    for (name, category) in &report.categories {
        if let Some(before) = reference.categories.get(name) {
            let found = self::differences(Some(name), &category.scores, &before.scores, reference);
            differences.extend(found);
        }
    }
    Comparison {
        reservations: reservations(report, reference),
        differences,
    }
}

fn differences(
    category: Option<&str>,
    scores: &Scores,
    before: &Scores,
    reference: &Report,
) -> Vec<Difference> {
    let intervals = match category {
        None => reference.ci,
        Some(name) => reference.categories.get(name).and_then(|c| c.ci),
    };
    let found = scores.columns().into_iter().zip(before.columns());
    found
        .filter_map(|((metric, value), (_, reference))| {
            let (value, reference) = (value?, reference?);
            let interval = intervals.and_then(|i| i.of(metric));
            Some(Difference {
                category: category.map(str::to_owned),
                metric,
                value,
                reference,
                is_outside: interval.map(|(low, high)| value < low || value > high),
            })
        })
        .collect()
}

fn reservations(report: &Report, reference: &Report) -> Vec<String> {
    let mut found = Vec::new();
    let mut differ = |what: &str, now: String, before: String| {
        if now != before {
            found.push(format!("{what}: {now} here, {before} in the reference"));
        }
    };
    let of = |get: fn(&Provenance) -> String| {
        let get = move |report: &Report| report.provenance.as_ref().map_or("unknown".into(), get);
        (get(report), get(reference))
    };
    let (now, before) = of(|p| p.data_sha256.clone());
    differ("SHA-256 of the labels", now, before);
    let (now, before) = of(|p| p.protocol.clone());
    differ("protocol", now, before);
    let (now, before) = of(|p| match &p.references {
        Some(references) => format!("{} ({})", references.protocol, references.sha256),
        None => "none".to_owned(),
    });
    differ("references", now, before);
    let (now, before) = of(|p| p.asked.join(", "));
    differ("asked for", now, before);
    let size = |report: &Report| format!("{}x{}", report.grid.0, report.grid.1);
    differ("evaluation grid", size(report), size(reference));
    let count = |report: &Report| report.n_images.to_string();
    differ("photographs", count(report), count(reference));
    let limit = |report: &Report| report.pro_fpr_limit.to_string();
    differ("limit of PRO", limit(report), limit(reference));
    found
}
