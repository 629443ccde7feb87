//! The result of a finished run.

use serde::{Deserialize, Serialize};

use super::matrix::{Evaluation, run_name};
use super::measure::Measured;

/// A finished run, as in its result.json.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RunResult {
    pub variant: String,
    pub seed: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// What it was measured on.
    pub evaluation: Evaluation,
    pub measured: Measured,
}

impl RunResult {
    /// Name of its folder.
    pub fn name(&self) -> String {
        run_name(&self.variant, self.seed)
    }
}
