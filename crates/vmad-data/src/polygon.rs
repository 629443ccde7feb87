//! COCO polygons, filled as the COCO API fills them.

use image::{GrayImage, Luma};

/// Largest distance of a corner from the origin, in pixels.
const MAX_COORDINATE: f64 = 65_536.0;
/// Longest outline, in fifths of a pixel: a second of work.
const MAX_OUTLINE: u64 = 1 << 27;
/// Edges are walked on a grid this many times finer than the pixels.
const SCALE: i64 = 5;

/// A closed outline.
///
/// Invariant: three corners or more, all finite and near enough that filling ends soon.
#[derive(Clone, Debug, PartialEq)]
pub struct Polygon {
    /// x and y on the finer grid.
    corners: Vec<(i64, i64)>,
}

/// Why numbers cannot be a polygon.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PolygonError {
    /// Not x and y in turn of at least three corners.
    #[error("a polygon has {count} numbers; x and y of three corners or more are needed")]
    Count {
        /// Numbers given.
        count: usize,
    },
    /// A corner that is nowhere near a picture.
    #[error("a polygon has a corner at {value}; corners lie within {MAX_COORDINATE} pixels")]
    Coordinate {
        /// The coordinate in pixels.
        value: f64,
    },
    /// Too many or too long edges.
    #[error("a polygon's outline is {length} pixels long, the limit is {}", MAX_OUTLINE / SCALE as u64)]
    Outline {
        /// In pixels, by the longer side of each edge.
        length: u64,
    },
}

impl Polygon {
    /// Reads x and y in turn, in pixels.
    pub fn from_flat(numbers: &[f64]) -> Result<Self, PolygonError> {
        if numbers.len() < 6 || !numbers.len().is_multiple_of(2) {
            return Err(PolygonError::Count {
                count: numbers.len(),
            });
        }
        // Written so that NaN is refused, too.
        let is_near = |value: &f64| value.abs() <= MAX_COORDINATE;
        if let Some(value) = numbers.iter().find(|value| !is_near(value)) {
            return Err(PolygonError::Coordinate { value: *value });
        }
        let fine = |value: f64| (SCALE as f64 * value + 0.5) as i64;
        let corners = numbers
            .as_chunks()
            .0
            .iter()
            .map(|[x, y]| (fine(*x), fine(*y)))
            .collect();
        let polygon = Self { corners };
        let steps: u64 = polygon.edges().map(|(a, b)| longer_side(a, b)).sum();
        if steps > MAX_OUTLINE {
            return Err(PolygonError::Outline {
                length: steps / SCALE as u64,
            });
        }
        Ok(polygon)
    }

    fn edges(&self) -> impl Iterator<Item = ((i64, i64), (i64, i64))> {
        let ends = self.corners.iter().cycle().skip(1);
        self.corners.iter().copied().zip(ends.copied())
    }

    /// Sets the covered pixels of `mask` to 255.
    ///
    /// Gives the pixels of `rleFrPoly` in the COCO API's `maskApi.c`: the outline is walked in
    /// fifths of a pixel; where it crosses the middle of a column, covered and uncovered rows change.
    pub fn paint(&self, mask: &mut GrayImage) {
        let (width, height) = (i64::from(mask.width()), i64::from(mask.height()));
        let mut changes = Vec::new();
        let mut before = None;
        for (from, to) in self.edges() {
            walk(from, to, |(x, y)| {
                if let Some((x_before, y_before)) = before.replace((x, y))
                    && x != x_before
                {
                    let left = x.min(x_before) - SCALE / 2;
                    let column = left.div_euclid(SCALE);
                    if left.rem_euclid(SCALE) == 0 && (0..width).contains(&column) {
                        let top = y.min(y_before) - SCALE / 2;
                        // Rounded up.
                        let row = (top + SCALE - 1).div_euclid(SCALE).clamp(0, height);
                        changes.push(column * height + row);
                    }
                }
            });
        }
        changes.push(width * height);
        changes.sort_unstable();
        for pair in changes.as_chunks().0 {
            let [start, end] = *pair;
            for at in start..end {
                // Both lie in the mask, whose sides are u32.
                let (x, y) = ((at / height) as u32, (at % height) as u32);
                mask.put_pixel(x, y, Luma([255]));
            }
        }
    }
}

fn longer_side(from: (i64, i64), to: (i64, i64)) -> u64 {
    (to.0.abs_diff(from.0)).max(to.1.abs_diff(from.1))
}

/// Visits the points of an edge on the finer grid, both ends included. Rounding is done from the
/// same end whichever way the edge runs, so that edges shared by two polygons meet.
fn walk(from: (i64, i64), to: (i64, i64), mut visit: impl FnMut((i64, i64))) {
    let (dx, dy) = ((to.0 - from.0).abs(), (to.1 - from.1).abs());
    let is_flat = dx >= dy;
    let is_backward = if is_flat {
        from.0 > to.0
    } else {
        from.1 > to.1
    };
    let (low, high) = if is_backward { (to, from) } else { (from, to) };
    let steps = dx.max(dy);
    if steps == 0 {
        return visit(from);
    }
    let rise = if is_flat {
        high.1 - low.1
    } else {
        high.0 - low.0
    };
    let slope = rise as f64 / steps as f64;
    for step in 0..=steps {
        let t = if is_backward { steps - step } else { step };
        let along = |start: i64| (start as f64 + slope * t as f64 + 0.5) as i64;
        visit(if is_flat {
            (low.0 + t, along(low.1))
        } else {
            (along(low.0), low.1 + t)
        });
    }
}
