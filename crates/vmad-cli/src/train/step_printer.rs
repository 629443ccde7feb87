//! The losses of a run on a terminal.

use std::time::Instant;

use indicatif::ProgressBar;
use vmad_train::{LossPart, StepReport};

use crate::text;

/// Steps between two lines where no bar can be drawn.
const STEPS_PER_LINE: u64 = 25;

/// Prints the smoothed losses of a run on a bar, or as lines where no bar can be drawn.
pub(super) struct StepPrinter {
    bar: ProgressBar,
    /// Smoothed losses.
    mean: Option<[f32; LossPart::ALL.len()]>,
    since: Instant,
    n_steps: u64,
}

/// Share of the newest step in the mean.
const NEWEST: f32 = 0.05;

impl StepPrinter {
    pub fn new(bar: ProgressBar) -> Self {
        Self {
            bar,
            mean: None,
            since: Instant::now(),
            n_steps: 0,
        }
    }

    /// A line of its own, above the bar.
    pub fn print_line(&self, line: &str) {
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    pub fn print_step(&mut self, report: &StepReport) {
        let now = LossPart::ALL.map(|part| report.losses.part(part));
        let mean = self.mean.get_or_insert(now);
        for (mean, now) in mean.iter_mut().zip(now) {
            *mean += NEWEST * (now - *mean);
        }
        self.n_steps += 1;
        let parts = LossPart::ALL.iter().zip(mean);
        // A part that the stage does not have stays 0.
        let parts = parts.filter(|(_, mean)| **mean != 0.0);
        let parts = parts.map(|(part, mean)| format!("{} {mean:.4}  ", part.name()));
        let line = format!(
            "{}rate {:.2e}  {} a step",
            parts.collect::<String>(),
            report.learning_rate,
            text::duration(self.since.elapsed().as_secs_f64() * 1e3 / self.n_steps as f64)
        );
        if self.bar.is_hidden() && (self.n_steps == 1 || report.step.is_multiple_of(STEPS_PER_LINE))
        {
            eprintln!("step {}  {line}", report.step);
        }
        self.bar.set_position(report.step);
        self.bar.set_message(line);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
