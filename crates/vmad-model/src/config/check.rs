//! Checks that all tables of a configuration share.

use crate::ModelError;

/// A [`ModelError::Config`] that says `rule` where it does not hold.
pub(super) fn check(holds: bool, rule: &str) -> Result<(), ModelError> {
    if holds {
        Ok(())
    } else {
        Err(ModelError::Config(rule.to_owned()))
    }
}

/// Whether a size lies between 1 and 2²⁰, so that products of a few sizes do not overflow.
pub(super) fn is_size(size: usize) -> bool {
    (1..=1 << 20).contains(&size)
}
