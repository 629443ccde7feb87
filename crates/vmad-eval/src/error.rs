/// Why a set of results cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// Scores and labels, or maps and masks, do not pair up.
    #[error("{n_scores} scores or maps for {n_labels} labels or masks")]
    CountMismatch {
        /// How many scores or maps were given.
        n_scores: usize,
        /// How many labels or masks were given.
        n_labels: usize,
    },
    /// A map or mask does not have `width * height` entries.
    #[error("{what} {index} has {actual} values, {width}x{height} needs {expected}")]
    SizeMismatch {
        /// "map" or "mask".
        what: &'static str,
        /// Position in the given list.
        index: usize,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Values that the size asks for.
        expected: usize,
        /// Values that are there.
        actual: usize,
    },
    /// A width, height or grid side is 0 or too large to index.
    #[error("{width}x{height} pixels is no usable size")]
    BadSize {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// A score is NaN, or a map holds NaN or an infinity.
    #[error("{what} {index} is or holds {value}, which cannot be scored")]
    NotFinite {
        /// "score" or "map".
        what: &'static str,
        /// Position in the given list.
        index: usize,
        /// The value as text: `NaN`, `inf` or `-inf`.
        value: String,
    },
    /// A limit on the false positive rate outside (0, 1].
    #[error("the limit on the false positive rate must be in (0, 1], not {0}")]
    BadLimit(String),
    /// An image of the ground truth is normal and yet has a mask with a defect in it.
    #[error("category {category}: image {index} is labelled normal but its mask is not empty")]
    NormalWithMask {
        /// The category.
        category: String,
        /// Position of the image in its category.
        index: usize,
    },
    /// An image was added to a category that was already closed.
    #[error("category {0} is closed: no image can be added to it")]
    CategoryClosed(String),
    /// Features of an image do not have the shape that is asked for.
    #[error("features: {actual} values, {expected:?} (rows, columns, width) is needed")]
    FeatureShape {
        /// Rows, columns and width of a vector.
        expected: (usize, usize, usize),
        /// Values that are there.
        actual: usize,
    },
    /// A detector has too few normal images to learn from.
    #[error("{found} normal images, at least {needed} are needed")]
    TooFewNormal {
        /// The least number.
        needed: usize,
        /// Images that are there.
        found: usize,
    },
    /// A detector's setting cannot be used.
    #[error("{name}: {value} cannot be used, {rule}")]
    BadSetting {
        /// Which setting.
        name: &'static str,
        /// Its value as text.
        value: String,
        /// What would do.
        rule: &'static str,
    },
}
