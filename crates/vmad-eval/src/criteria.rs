//! Verdicts under criteria that allow or forbid kinds of defect, as in the paper's Fig. 1b.

use serde::{Deserialize, Serialize};

use crate::answer_metrics::Rate;

/// The verdicts on one defective photograph under several criteria: true where it is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// All of its kinds of defect are forbidden.
    pub forbidden: bool,
    /// All of its kinds of defect are allowed.
    pub allowed: bool,
    /// A kind is allowed that it does not show.
    pub other_allowed: bool,
}

/// Rates of verdicts that follow the criterion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CriteriaReport {
    /// Rejected where its defects are forbidden.
    pub rejected_if_forbidden: Rate,
    /// Passed where its defects are allowed.
    pub passed_if_allowed: Rate,
    /// Both: the same photograph has two verdicts.
    pub follows_both: Rate,
    /// Rejected where only a kind is allowed that it does not show.
    pub rejected_if_other_allowed: Rate,
}

impl CriteriaReport {
    /// Counts a photograph.
    pub fn count(&mut self, verdicts: Verdicts) {
        let Verdicts {
            forbidden,
            allowed,
            other_allowed,
        } = verdicts;
        self.rejected_if_forbidden.count(Some(forbidden));
        self.passed_if_allowed.count(Some(!allowed));
        self.follows_both.count(Some(forbidden && !allowed));
        self.rejected_if_other_allowed.count(Some(other_allowed));
    }

    /// Title and value of each rate, for tables.
    pub fn rows(&self) -> [(&'static str, Rate); 4] {
        [
            (
                "rejected, its defects forbidden",
                self.rejected_if_forbidden,
            ),
            ("passed, its defects allowed", self.passed_if_allowed),
            ("both, the same photograph", self.follows_both),
            (
                "rejected, another kind allowed",
                self.rejected_if_other_allowed,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_that_never_changes_follows_half() {
        let mut report = CriteriaReport::default();
        let verdicts = |forbidden, allowed, other_allowed| Verdicts {
            forbidden,
            allowed,
            other_allowed,
        };
        report.count(verdicts(true, true, true));
        report.count(verdicts(false, false, false));
        report.count(verdicts(true, false, true));
        let counts = report.rows().map(|(_, rate)| (rate.n, rate.of));
        assert_eq!(counts, [(2, 3), (2, 3), (1, 3), (2, 3)]);
    }
}
