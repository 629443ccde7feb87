//! Helpers of the tables' serde attributes.

/// Returns whether a key has its default value, so that it need not be written.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Returns whether shares can be drawn by: all at least 0, with a positive sum.
pub(super) fn is_mixture(shares: impl Iterator<Item = f32>) -> bool {
    let mut sum = 0.0;
    for share in shares {
        if !share.is_finite() || share < 0.0 {
            return false;
        }
        sum += share;
    }
    sum > 0.0
}

/// Returns whether a value lies in 0..=1.
pub(super) fn is_share(share: f32) -> bool {
    (0.0..=1.0).contains(&share)
}
