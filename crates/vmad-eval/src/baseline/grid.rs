//! The features of an image, cell by cell.

use crate::error::EvalError;

/// A feature vector for each cell of a grid; always finite, never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchGrid {
    rows: usize,
    columns: usize,
    d: usize,
    values: Vec<f32>,
}

impl PatchGrid {
    /// # Shapes
    /// - values: `[rows, columns, d]`
    ///
    /// # Errors
    /// Another number of values, or one that is not finite.
    pub fn new(rows: usize, columns: usize, d: usize, values: Vec<f32>) -> Result<Self, EvalError> {
        let expected = rows.checked_mul(columns).and_then(|n| n.checked_mul(d));
        if expected != Some(values.len()) || values.is_empty() {
            return Err(EvalError::FeatureShape {
                expected: (rows, columns, d),
                actual: values.len(),
            });
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(EvalError::NotFinite {
                what: "feature",
                index,
                value: values[index].to_string(),
            });
        }
        Ok(Self {
            rows,
            columns,
            d,
            values,
        })
    }

    /// Rows, columns and width of a vector.
    #[must_use]
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.rows, self.columns, self.d)
    }

    /// The vectors, row by row.
    pub fn patches(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.d)
    }

    /// Vectors of grids of one size set end to end, as of several layers.
    ///
    /// # Errors
    /// No grid, or grids of different sizes.
    pub fn joined(parts: &[Self]) -> Result<Self, EvalError> {
        let Some(first) = parts.first() else {
            return Err(EvalError::FeatureShape {
                expected: (0, 0, 0),
                actual: 0,
            });
        };
        let (rows, columns) = (first.rows, first.columns);
        let d = parts.iter().map(|part| part.d).sum();
        if let Some(part) = parts
            .iter()
            .find(|p| (p.rows, p.columns) != (rows, columns))
        {
            return Err(EvalError::FeatureShape {
                expected: (rows, columns, part.d),
                actual: part.values.len(),
            });
        }
        let mut values = Vec::with_capacity(rows * columns * d);
        for cell in 0..rows * columns {
            for part in parts {
                values.extend_from_slice(&part.values[cell * part.d..][..part.d]);
            }
        }
        Ok(Self {
            rows,
            columns,
            d,
            values,
        })
    }

    /// Each vector replaced by the mean over the cells at most `radius` away along either axis, as
    /// far as there are any: PatchCore's locally aware features.
    #[must_use]
    pub fn neighbourhood_mean(&self, radius: usize) -> Self {
        let around = |at: usize, len: usize| at.saturating_sub(radius)..(at + radius + 1).min(len);
        let mut values = vec![0.0; self.values.len()];
        for (cell, mean) in values.chunks_exact_mut(self.d).enumerate() {
            let (rows, columns) = (
                around(cell / self.columns, self.rows),
                around(cell % self.columns, self.columns),
            );
            let share = 1.0 / (rows.len() * columns.len()) as f32;
            for row in rows {
                for column in columns.clone() {
                    let other = &self.values[(row * self.columns + column) * self.d..][..self.d];
                    for (mean, value) in mean.iter_mut().zip(other) {
                        *mean += share * value;
                    }
                }
            }
        }
        Self {
            values,
            ..Self::clone(self)
        }
    }

    /// Fails where another grid has another shape.
    pub(super) fn check_like(&self, expected: (usize, usize, usize)) -> Result<(), EvalError> {
        if self.shape() == expected {
            return Ok(());
        }
        Err(EvalError::FeatureShape {
            expected,
            actual: self.values.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_checked() {
        for (shape, values) in [
            ((2, 3, 1), vec![0.0; 5]),
            ((0, 3, 1), vec![]),
            ((1, 1, 2), vec![0.0, f32::NAN]),
            ((usize::MAX, 2, 1), vec![0.0; 2]),
        ] {
            let (rows, columns, d) = shape;
            assert!(
                PatchGrid::new(rows, columns, d, values).is_err(),
                "{shape:?}"
            );
        }
    }

    #[test]
    fn layers_are_joined_cell_by_cell() -> Result<(), EvalError> {
        let a = PatchGrid::new(1, 2, 2, vec![1.0, 2.0, 3.0, 4.0])?;
        let b = PatchGrid::new(1, 2, 1, vec![5.0, 6.0])?;
        let joined = PatchGrid::joined(&[a.clone(), b])?;
        assert_eq!(joined.shape(), (1, 2, 3));
        assert_eq!(joined.values, [1.0, 2.0, 5.0, 3.0, 4.0, 6.0]);
        let other = PatchGrid::new(2, 1, 1, vec![5.0, 6.0])?;
        assert!(PatchGrid::joined(&[a, other]).is_err());
        assert!(PatchGrid::joined(&[]).is_err());
        Ok(())
    }

    #[test]
    fn means_stop_at_the_border() -> Result<(), EvalError> {
        let grid = PatchGrid::new(2, 3, 1, vec![0.0, 3.0, 6.0, 9.0, 12.0, 15.0])?;
        assert_eq!(
            grid.neighbourhood_mean(1).values,
            [6.0, 7.5, 9.0, 6.0, 7.5, 9.0]
        );
        assert_eq!(grid.neighbourhood_mean(0), grid);
        Ok(())
    }
}
