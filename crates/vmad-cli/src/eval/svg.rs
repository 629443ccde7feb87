//! Charts of a report, as inline SVG. They contain only numbers and the labels below.

use vmad_eval::CurvePoint;

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 34.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 8.0;
const RIGHT: f64 = 8.0;

/// Bars of a histogram.
const N_BARS: usize = 32;

/// Maximum points of a curve; more are not visible at this size.
const MAX_POINTS: usize = 400;

/// Place of a point of 0..1 × 0..1 in the picture.
fn at(x: f64, y: f64) -> (f64, f64) {
    (
        LEFT + x * (WIDTH - LEFT - RIGHT),
        HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM),
    )
}

/// A chart: frame, axis labels from 0, and `drawn` inside.
fn frame(title: &str, x_axis: &str, y_top: &str, drawn: &str) -> String {
    let ((left, bottom), (right, top)) = (at(0.0, 0.0), at(1.0, 1.0));
    let (width, height, middle) = (right - left, bottom - top, (left + right) / 2.0);
    let (under, beside, below_top) = (HEIGHT - 8.0, left - 4.0, top + 8.0);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\
         <title>{title}</title>\
         <rect class=\"frame\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/>\
         {drawn}\
         <text x=\"{left}\" y=\"{under}\">0</text>\
         <text x=\"{right}\" y=\"{under}\" text-anchor=\"end\">1</text>\
         <text x=\"{middle}\" y=\"{under}\" text-anchor=\"middle\">{x_axis}</text>\
         <text x=\"{beside}\" y=\"{bottom}\" text-anchor=\"end\">0</text>\
         <text x=\"{beside}\" y=\"{below_top}\" text-anchor=\"end\">{y_top}</text>\
         </svg>"
    )
}

fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> String {
    let ((x1, y1), (x2, y2)) = (at(from.0, from.1), at(to.0, to.1));
    format!("<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>")
}

/// Histogram of the scores of normal and of defective photographs, each as shares of its class, with
/// a line at the threshold.
pub(super) fn histogram(scores: &[f32], labels: &[bool], threshold: Option<f32>) -> String {
    let mut counts = [[0_usize; N_BARS]; 2];
    for (&score, &label) in scores.iter().zip(labels) {
        // Scores are 0 to 1; others count at the border.
        let bar = ((f64::from(score) * N_BARS as f64) as usize).min(N_BARS - 1);
        counts[usize::from(label)][bar] += 1;
    }
    let shares = counts.map(|bars| {
        let n = bars.iter().sum::<usize>().max(1) as f64;
        bars.map(|count| count as f64 / n)
    });
    let highest = shares.iter().flatten().copied().fold(1e-9, f64::max);
    let bottom = at(0.0, 0.0).1;
    let width = at(1.0 / N_BARS as f64, 0.0).0 - at(0.0, 0.0).0;
    let mut drawn = String::new();
    for (shares, class) in shares.iter().zip(["normal", "defective"]) {
        for (i, share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let (x, y) = at(i as f64 / N_BARS as f64, share / highest);
            let height = bottom - y;
            drawn += &format!(
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
            );
        }
    }
    if let Some(threshold) = threshold {
        let x = f64::from(threshold).clamp(0.0, 1.0);
        drawn += &line("threshold", (x, 0.0), (x, 1.0));
    }
    let top = format!("{:.0} %", highest * 100.0);
    frame(
        "Scores of normal and defective photographs",
        "score",
        &top,
        &drawn,
    )
}

/// The ROC curve.
pub(super) fn roc(points: &[CurvePoint]) -> String {
    let rates = points
        .iter()
        .map(|point| (point.false_positive_rate, point.true_positive_rate));
    let drawn = line("chance", (0.0, 0.0), (1.0, 1.0))
        + &polyline(std::iter::once((0.0, 0.0)).chain(rates).collect());
    frame(
        "ROC: true positive rate over false positive rate",
        "false positive rate",
        "1",
        &drawn,
    )
}

/// The precision–recall curve, with a line at the share of defective photographs.
pub(super) fn precision_recall(points: &[CurvePoint], prevalence: f64) -> String {
    // The precision holds from the recall before a point up to the point's own.
    let mut recall = 0.0;
    let steps = points.iter().flat_map(|point| {
        let from = std::mem::replace(&mut recall, point.true_positive_rate);
        [
            (from, point.precision),
            (point.true_positive_rate, point.precision),
        ]
    });
    let steps = polyline(steps.collect());
    let drawn = line("chance", (0.0, prevalence), (1.0, prevalence)) + &steps;
    frame("Precision over recall", "recall", "1", &drawn)
}

fn polyline(points: Vec<(f64, f64)>) -> String {
    let step = points.len().div_ceil(MAX_POINTS).max(1);
    let last = points.last().copied();
    let kept = points.into_iter().step_by(step).chain(last);
    let written: Vec<String> = kept
        .map(|(x, y)| {
            let (x, y) = at(x, y);
            format!("{x:.1},{y:.1}")
        })
        .collect();
    format!(
        "<polyline class=\"curve\" points=\"{}\"/>",
        written.join(" ")
    )
}
