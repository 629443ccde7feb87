//! WFDD, woven fabric defect detection: MVTec's layout with four fabrics.

use super::labels::object_words;
use super::mvtec;
use crate::error::DataError;
use std::path::Path;

/// Its categories, with the words for them.
const FABRICS: [(&str, &str); 4] = [
    ("grey_cloth", "grey cloth"),
    ("grid_cloth", "grid cloth"),
    ("yellow_cloth", "yellow cloth"),
    ("pink_flower", "pink flower cloth"),
];

/// Whether all categories are fabrics of WFDD.
pub(super) fn fits(dir: &Path) -> Result<bool, DataError> {
    let categories = mvtec::categories(dir)?;
    let is_fabric = |name: &str| FABRICS.iter().any(|(known, _)| *known == name);
    Ok(!categories.is_empty() && categories.iter().all(|(name, _)| is_fabric(name)))
}

/// A category's name as words for a sentence.
pub(super) fn object(category: &str) -> String {
    match FABRICS.iter().find(|(name, _)| *name == category) {
        Some((_, words)) => (*words).to_owned(),
        None => object_words(category),
    }
}
