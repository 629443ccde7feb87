//! `vmad train --strip`: a checkpoint of what a run has learned.

use std::path::{Path, PathBuf};

use anyhow::Result;
use vmad_train::{StripOptions, StripReport, TrainConfig, learned_names, strip_checkpoint};

use crate::args::Usage;

/// Writes the learned tensors of `package` to `out`. `learned` replaces what `run` says; `bases` are
/// `PATTERN=PACKAGE`.
pub(super) fn strip(
    package: &Path,
    run: Option<&TrainConfig>,
    learned: &[String],
    bases: &[String],
    out: &Path,
) -> Result<()> {
    let learned = match (learned, run) {
        ([], Some(run)) => learned_names(run)?,
        ([], None) => {
            let message = "--strip needs the run's configuration, or --learned";
            return Err(Usage(message.to_owned()).into());
        }
        (learned, _) => learned.to_vec(),
    };
    let bases = bases.iter().map(|base| match base.split_once('=') {
        Some((pattern, folder)) => Ok((pattern.to_owned(), PathBuf::from(folder))),
        None => Err(Usage(format!("--base {base}: PATTERN=PACKAGE is needed"))),
    });
    let bases = bases.collect::<Result<_, _>>()?;
    let StripReport {
        n_learned,
        n_in_bases,
        n_absent,
    } = strip_checkpoint(package, &StripOptions { learned, bases }, out)?;
    eprintln!(
        "{}: {n_learned} tensors learned, {n_in_bases} in bases, {n_absent} without values",
        out.display()
    );
    Ok(())
}
