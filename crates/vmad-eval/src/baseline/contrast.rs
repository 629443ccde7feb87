//! Pixel statistics that learn nothing: how unlike its surroundings each pixel is.

use crate::error::EvalError;

/// A picture as planes of pixels; always finite, never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Planes {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl Planes {
    /// # Shapes
    /// - values: `[planes, height, width]`
    ///
    /// # Errors
    /// A number of values that is no whole number of planes, or a value that is not finite.
    pub fn new(width: usize, height: usize, values: Vec<f32>) -> Result<Self, EvalError> {
        let area = width.checked_mul(height).filter(|area| *area > 0);
        if values.is_empty() || !area.is_some_and(|area| values.len().is_multiple_of(area)) {
            return Err(EvalError::BadSize { width, height });
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(EvalError::NotFinite {
                what: "pixel",
                index,
                value: values[index].to_string(),
            });
        }
        Ok(Self {
            width,
            height,
            values,
        })
    }

    fn planes(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width * self.height)
    }

    /// √Σ over planes of the square of what `one` makes of each.
    fn combined(&self, one: impl Fn(&[f32]) -> Vec<f32>) -> Vec<f32> {
        let mut squares = vec![0.0; self.width * self.height];
        for plane in self.planes() {
            for (sum, value) in squares.iter_mut().zip(one(plane)) {
                *sum += value * value;
            }
        }
        squares.into_iter().map(f32::sqrt).collect()
    }
}

/// The difference between two Gaussian blurs of the picture, over all planes: what stands out from
/// its surroundings at a scale between `fine` and `coarse`, the standard deviations in pixels.
///
/// Gaussians are cut at four standard deviations, and the picture is mirrored at its edges.
///
/// # Shapes
/// - output: `[height, width]`
///
/// # Errors
/// Standard deviations that are not 0 < fine < coarse.
pub fn difference_of_gaussians(
    picture: &Planes,
    fine: f64,
    coarse: f64,
) -> Result<Vec<f32>, EvalError> {
    if !(fine > 0.0 && fine < coarse && coarse <= MAX_SIGMA) {
        return Err(EvalError::BadSetting {
            name: "standard deviations",
            value: format!("{fine}, {coarse}"),
            rule: "0 < fine < coarse <= 1000 is needed",
        });
    }
    let (width, height) = (picture.width, picture.height);
    let (fine, coarse) = (gaussian(fine), gaussian(coarse));
    Ok(picture.combined(|plane| {
        let blurred = blur(plane, width, height, &fine);
        let around = blur(plane, width, height, &coarse);
        blurred.iter().zip(around).map(|(a, b)| a - b).collect()
    }))
}

/// Wider blurs see the whole of any picture.
const MAX_SIGMA: f64 = 1000.0;

/// Each pixel's distance from the mean of the square around it, in standard deviations of that
/// square, over all planes. `radius` reaches from a pixel to the square's edge; at the picture's
/// edges the square is what there is of it. `floor` is added to the standard deviation.
///
/// # Shapes
/// - output: `[height, width]`
///
/// # Errors
/// A radius of 0, or a floor that is no positive number.
pub fn local_z_score(picture: &Planes, radius: usize, floor: f32) -> Result<Vec<f32>, EvalError> {
    if radius == 0 || !(floor > 0.0 && floor.is_finite()) {
        return Err(EvalError::BadSetting {
            name: "radius and floor",
            value: format!("{radius}, {floor}"),
            rule: "both must be positive",
        });
    }
    let (width, height) = (picture.width, picture.height);
    Ok(picture.combined(|plane| {
        let sums = Sums::new(plane, width);
        let around = |at: usize, len: usize| {
            let end = at.saturating_add(radius).saturating_add(1).min(len);
            (at.saturating_sub(radius), end)
        };
        let score = |(i, value): (usize, &f32)| {
            let (x, y) = (around(i % width, width), around(i / width, height));
            let (mean, variance) = sums.mean_and_variance(x, y);
            ((f64::from(*value) - mean) / (variance.sqrt() + f64::from(floor))) as f32
        };
        plane.iter().enumerate().map(score).collect()
    }))
}

/// Sums over all rectangles that begin at the corner, of values and of their squares.
struct Sums {
    /// `[height + 1, width + 1]`
    table: Vec<(f64, f64)>,
    stride: usize,
}

impl Sums {
    fn new(plane: &[f32], width: usize) -> Self {
        let stride = width + 1;
        let mut table = vec![(0.0, 0.0); stride];
        for row in plane.chunks_exact(width) {
            let above = table.len() - stride;
            let mut sum = (0.0, 0.0);
            table.push(sum);
            for (x, value) in row.iter().enumerate() {
                let value = f64::from(*value);
                sum = (sum.0 + value, sum.1 + value * value);
                let (a, b) = table[above + x + 1];
                table.push((a + sum.0, b + sum.1));
            }
        }
        Self { table, stride }
    }

    fn mean_and_variance(&self, x: (usize, usize), y: (usize, usize)) -> (f64, f64) {
        let at = |x: usize, y: usize| self.table[y * self.stride + x];
        let (a, b, c, d) = (at(x.0, y.0), at(x.1, y.0), at(x.0, y.1), at(x.1, y.1));
        let n = ((x.1 - x.0) * (y.1 - y.0)) as f64;
        let mean = (d.0 - b.0 - c.0 + a.0) / n;
        let square = (d.1 - b.1 - c.1 + a.1) / n;
        (mean, (square - mean * mean).max(0.0))
    }
}

/// One half of a Gaussian, the middle first; the whole sums up to 1.
fn gaussian(sigma: f64) -> Vec<f32> {
    let radius = (4.0 * sigma + 0.5) as usize;
    let raw = (0..=radius).map(|k| (-0.5 * (k as f64 / sigma).powi(2)).exp());
    let raw: Vec<f64> = raw.collect();
    let sum = 2.0 * raw.iter().sum::<f64>() - raw[0];
    raw.into_iter().map(|value| (value / sum) as f32).collect()
}

fn blur(plane: &[f32], width: usize, height: usize, half: &[f32]) -> Vec<f32> {
    let mut across = vec![0.0; plane.len()];
    for (row, out) in plane
        .chunks_exact(width)
        .zip(across.chunks_exact_mut(width))
    {
        for (x, out) in out.iter_mut().enumerate() {
            *out = weighed(half, |shift| row[mirrored(x as isize + shift, width)]);
        }
    }
    let mut out = vec![0.0; plane.len()];
    for (i, out) in out.iter_mut().enumerate() {
        let (x, y) = (i % width, (i / width) as isize);
        *out = weighed(half, |shift| {
            across[mirrored(y + shift, height) * width + x]
        });
    }
    out
}

fn weighed(half: &[f32], value: impl Fn(isize) -> f32) -> f32 {
    let sides = half.iter().enumerate().skip(1);
    let sides = sides.map(|(k, weight)| weight * (value(k as isize) + value(-(k as isize))));
    half[0] * value(0) + sides.sum::<f32>()
}

/// Index within `0..len`, mirrored about the outer edges as often as needed (`b a | a b c | c b`).
fn mirrored(at: isize, len: usize) -> usize {
    let folded = at.rem_euclid(2 * len as isize) as usize;
    folded.min(2 * len - 1 - folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors() {
        let seen: Vec<usize> = (-4..8).map(|at| mirrored(at, 3)).collect();
        assert_eq!(seen, [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1]);
    }

    /// Two planes of 13 × 9 with a spot at (4, 6) in the second.
    fn spotted() -> Result<Planes, EvalError> {
        let mut values = vec![0.5; 2 * 13 * 9];
        values[13 * 9 + 6 * 13 + 4] = 1.0;
        Planes::new(13, 9, values)
    }

    #[test]
    fn a_spot_stands_out() -> Result<(), EvalError> {
        let picture = spotted()?;
        let maps = [
            difference_of_gaussians(&picture, 0.7, 2.0)?,
            local_z_score(&picture, 2, 0.01)?,
        ];
        for map in maps {
            let highest = (0..map.len()).max_by(|a, b| map[*a].total_cmp(&map[*b]));
            assert_eq!(highest, Some(6 * 13 + 4));
            assert!(map[0] < 1e-3, "{}", map[0]);
        }
        Ok(())
    }

    #[test]
    fn a_z_score_is_known_by_hand() -> Result<(), EvalError> {
        // Mean 1/3, variance 2/9 of three pixels, seen from the middle.
        let picture = Planes::new(3, 1, vec![0.0, 1.0, 0.0])?;
        let map = local_z_score(&picture, 1, 1e-6)?;
        assert!((map[1] - 2.0_f32.sqrt()).abs() < 1e-4, "{map:?}");
        Ok(())
    }

    #[test]
    fn settings_and_pictures_are_checked() -> Result<(), EvalError> {
        let picture = spotted()?;
        for (fine, coarse) in [(0.0, 1.0), (2.0, 1.0), (1.0, f64::NAN), (1.0, 1e9)] {
            let result = difference_of_gaussians(&picture, fine, coarse);
            assert!(result.is_err(), "{fine}, {coarse}");
        }
        assert!(local_z_score(&picture, 0, 0.1).is_err());
        assert!(local_z_score(&picture, 1, 0.0).is_err());
        assert!(local_z_score(&picture, usize::MAX, 0.1).is_ok());
        assert!(Planes::new(0, 3, vec![]).is_err());
        assert!(Planes::new(2, 2, vec![0.0; 5]).is_err());
        assert!(Planes::new(1, 1, vec![f32::NAN]).is_err());
        Ok(())
    }
}
