//! Progress bars and spinners on standard error; nothing is drawn if that is not a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

fn style(template: &str) -> ProgressStyle {
    // The templates are constants; an invalid one falls back to the default bar.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A bar over items.
pub(crate) fn count(n: u64, label: &str) -> ProgressBar {
    ProgressBar::new(n)
        .with_style(style(
            "{prefix} {wide_bar} {pos}/{len} {elapsed} (left {eta}) {msg}",
        ))
        .with_prefix(label.to_owned())
}

/// A bar over bytes.
pub(crate) fn bytes(label: &str) -> ProgressBar {
    ProgressBar::new(0)
        .with_style(style(
            "{prefix} {wide_bar} {binary_bytes}/{binary_total_bytes}",
        ))
        .with_prefix(label.to_owned())
}

/// A bar over the steps of a training run.
pub(crate) fn steps(n: u64) -> ProgressBar {
    ProgressBar::new(n).with_style(style(
        "step {pos}/{len} {wide_bar} {elapsed} (left {eta})\n{msg}",
    ))
}

/// A spinner for a task of unknown length.
pub(crate) fn spinner(label: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(label.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}
