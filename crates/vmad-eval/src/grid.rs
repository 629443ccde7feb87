//! Bringing maps and masks of any size to the evaluation grid.

use crate::error::EvalError;

pub(crate) fn check_size(
    what: &'static str,
    index: usize,
    actual: usize,
    width: usize,
    height: usize,
) -> Result<(), EvalError> {
    match width.checked_mul(height) {
        Some(expected) if expected > 0 && expected == actual => Ok(()),
        Some(expected) if expected > 0 => Err(EvalError::SizeMismatch {
            what,
            index,
            width,
            height,
            expected,
            actual,
        }),
        _ => Err(EvalError::BadSize { width, height }),
    }
}

/// For each of `n_to` cells along one axis: the two source cells and the weight of the second.
fn taps(n_from: usize, n_to: usize) -> Vec<(usize, usize, f32)> {
    let scale = n_from as f64 / n_to as f64;
    (0..n_to)
        .map(|i| {
            let at = ((i as f64 + 0.5) * scale - 0.5).max(0.0);
            let low = (at as usize).min(n_from - 1);
            let high = (low + 1).min(n_from - 1);
            (low, high, (at - low as f64) as f32)
        })
        .collect()
}

/// Bilinear resize with half-pixel centres and no antialiasing: torch's `interpolate` with
/// `align_corners=False`, which the published evaluations use.
///
/// # Shapes
/// - map: `[from.1, from.0]`, where a size is (width, height)
/// - output: `[to.1, to.0]`
pub fn resize_map(
    map: &[f32],
    from: (usize, usize),
    to: (usize, usize),
) -> Result<Vec<f32>, EvalError> {
    check_size("map", 0, map.len(), from.0, from.1)?;
    check_target(to)?;
    if from == to {
        return Ok(map.to_vec());
    }
    let columns = taps(from.0, to.0);
    let mut resized = Vec::with_capacity(to.0 * to.1);
    for (top, bottom, down) in taps(from.1, to.1) {
        let upper = &map[top * from.0..][..from.0];
        let lower = &map[bottom * from.0..][..from.0];
        resized.extend(columns.iter().map(|&(left, right, across)| {
            let above = upper[left] * (1.0 - across) + upper[right] * across;
            let below = lower[left] * (1.0 - across) + lower[right] * across;
            above * (1.0 - down) + below * down
        }));
    }
    Ok(resized)
}

/// Nearest-neighbour resize: each cell takes the pixel at its centre (PIL's `NEAREST`).
///
/// # Shapes
/// - mask: `[from.1, from.0]`, where a size is (width, height)
/// - output: `[to.1, to.0]`
pub fn resize_mask(
    mask: &[bool],
    from: (usize, usize),
    to: (usize, usize),
) -> Result<Vec<bool>, EvalError> {
    check_size("mask", 0, mask.len(), from.0, from.1)?;
    check_target(to)?;
    let centre = |i: usize, n_from: usize, n_to: usize| {
        (((i as f64 + 0.5) * n_from as f64 / n_to as f64) as usize).min(n_from - 1)
    };
    let columns: Vec<usize> = (0..to.0).map(|x| centre(x, from.0, to.0)).collect();
    let mut resized = Vec::with_capacity(to.0 * to.1);
    for y in 0..to.1 {
        let row = &mask[centre(y, from.1, to.1) * from.0..][..from.0];
        resized.extend(columns.iter().map(|&x| row[x]));
    }
    Ok(resized)
}

fn check_target((width, height): (usize, usize)) -> Result<(), EvalError> {
    match width.checked_mul(height) {
        Some(n) if n > 0 => Ok(()),
        _ => Err(EvalError::BadSize { width, height }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_is_bilinear_with_half_pixel_centres() -> Result<(), EvalError> {
        // torch: interpolate([[0, 1], [2, 3]], (4, 4), bilinear)[0] = 0, .25, .75, 1
        let big = resize_map(&[0.0, 1.0, 2.0, 3.0], (2, 2), (4, 4))?;
        assert_eq!(big[..4], [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(big[4..8], [0.5, 0.75, 1.25, 1.5]);
        let small = resize_map(&[0.0, 1.0, 2.0, 3.0], (4, 1), (2, 1))?;
        assert_eq!(small, [0.5, 2.5]);
        assert_eq!(resize_map(&[0.7], (1, 1), (3, 2))?, [0.7; 6]);
        Ok(())
    }

    #[test]
    fn mask_is_nearest() -> Result<(), EvalError> {
        let mask = [false, true, false, true, true, false];
        assert_eq!(
            resize_mask(&mask, (3, 2), (1, 2))?,
            [true, true],
            "the centre column"
        );
        assert_eq!(
            resize_mask(&mask, (3, 2), (6, 2))?[..6],
            [false, false, true, true, false, false]
        );
        Ok(())
    }

    #[test]
    fn sizes_are_checked() {
        assert!(matches!(
            resize_map(&[0.0; 5], (2, 2), (4, 4)),
            Err(EvalError::SizeMismatch { actual: 5, .. })
        ));
        assert!(matches!(
            resize_mask(&[], (0, 3), (4, 4)),
            Err(EvalError::BadSize { .. })
        ));
        assert!(matches!(
            resize_map(&[0.0], (1, 1), (0, 4)),
            Err(EvalError::BadSize { .. })
        ));
    }
}
