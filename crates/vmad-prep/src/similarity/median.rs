//! The median.

/// The lower median; 0 for no values.
pub fn median(values: &[f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let mut sorted = values.to_vec();
    let middle = (sorted.len() - 1) / 2;
    *sorted.select_nth_unstable_by(middle, f32::total_cmp).1
}
