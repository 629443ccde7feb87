//! How pixels become patch features.

use serde::{Deserialize, Serialize};

use super::check::check;
use crate::ModelError;

/// How an encoder turns pixels into patch features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stem {
    /// One convolution as large as its stride, CLIP's and SAM's own.
    #[default]
    Patch,
    /// Overlapping patches of 8 pixels every 4, then 4×4 cells every 2, with channel norms. Ours.
    Overlap,
    /// [`Self::Overlap`] with batch norms in place of the channel norms: learns faster from random
    /// weights. Ours.
    OverlapBatch,
}

impl Stem {
    /// Checks that the stem of `part` fits its patches.
    pub(super) fn validate(
        self,
        part: &str,
        patch_size: usize,
        d_model: usize,
    ) -> Result<(), ModelError> {
        match self {
            Self::Patch => Ok(()),
            Self::Overlap | Self::OverlapBatch => check(
                patch_size.is_power_of_two()
                    && patch_size >= 4
                    && d_model.is_multiple_of(patch_size / 4),
                &format!(
                    "{part}.stem = overlap needs a patch_size that is a power of two from 4 on, and \
                     a d_model that is a multiple of a quarter of it"
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stem_of_an_older_version_is_refused_by_name() {
        let error = serde_json::from_str::<Stem>("\"conv\"").map_err(|error| error.to_string());
        let message = error.err().unwrap_or_default();
        for word in ["`conv`", "`patch`", "`overlap`", "`overlap_batch`"] {
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn patches_must_suit_the_stem() {
        for (stem, patch_size, d_model, fits) in [
            (Stem::Patch, 14, 24, true),
            (Stem::Overlap, 16, 24, true),
            (Stem::OverlapBatch, 4, 1, true),
            (Stem::Overlap, 14, 24, false),
            (Stem::Overlap, 2, 24, false),
            (Stem::OverlapBatch, 16, 25, false),
        ] {
            let outcome = stem.validate("clip", patch_size, d_model);
            assert_eq!(outcome.is_ok(), fits, "{stem:?}, {patch_size}, {d_model}");
        }
    }
}
