//! The losses of a run in a file.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use vmad_train::{LossPart, Losses, StepReport};

use crate::files::write_whole;

/// The columns of the log.
fn log_head() -> String {
    let parts = LossPart::ALL.map(LossPart::name).join(",");
    format!("step,total,{parts},learning_rate,seconds\n")
}

/// The values of a line's middle columns.
fn log_losses(losses: &Losses) -> String {
    let parts = LossPart::ALL.map(|part| losses.part(part).to_string());
    format!("{},{}", losses.total, parts.join(","))
}

/// `losses.csv`, one line for each step. A resumed run repeats the steps after its checkpoint, so their old lines
/// are removed.
pub(super) struct LossLog {
    path: PathBuf,
    file: File,
}

impl LossLog {
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        let context = || path.display().to_string();
        let old = match fs::read_to_string(path) {
            Ok(old) => old,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(context),
        };
        write_whole(path, kept_lines(&old, step).as_bytes())?;
        let file = OpenOptions::new().append(true).open(path);
        Ok(Self {
            path: path.to_owned(),
            file: file.with_context(context)?,
        })
    }

    pub fn add(&mut self, report: &StepReport, seconds: f64) -> Result<()> {
        writeln!(
            self.file,
            "{},{},{},{seconds:.1}",
            report.step,
            log_losses(&report.losses),
            report.learning_rate,
        )
        .with_context(|| format!("writing {}", self.path.display()))
    }
}

/// The head and the whole lines of steps up to `step`.
fn kept_lines(log: &str, step: u64) -> String {
    let is_kept = |line: &&str| {
        let number = line
            .split(',')
            .next()
            .and_then(|field| field.parse::<u64>().ok());
        line.ends_with('\n') && number.is_some_and(|number| number <= step)
    };
    let mut kept = log_head();
    kept.extend(log.split_inclusive('\n').filter(is_kept));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_log_has_each_step_once() {
        let head = log_head();
        let log = format!("{head}1,a\n2,b\n3,c\n4,d");
        assert_eq!(kept_lines(&log, 2), format!("{head}1,a\n2,b\n"));
        assert_eq!(kept_lines(&log, 9), format!("{head}1,a\n2,b\n3,c\n"));
        assert_eq!(kept_lines("", 0), head);
    }
}
