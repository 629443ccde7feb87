//! Brings a drawn defect to its contrast and measures it: mask, place, size and severity.

use crate::defect::{Defect, DefectKind};
use crate::math::{Rgb, lum};
use crate::window::Window;
use image::{GrayImage, Luma};

/// Smallest median contrast of a defect, at any difficulty up to the default.
pub const MIN_CONTRAST: f32 = 0.12;
/// Smallest defect area as a fraction of the image.
pub const MIN_AREA: f32 = 0.0015;
/// Largest defect area as a fraction of the image.
pub const MAX_AREA: f32 = 0.12;

/// A defect that was drawn and lit, before its contrast is set.
pub(crate) struct DrawnDefect<'a> {
    pub kind: DefectKind,
    pub side: usize,
    /// The picture without the defect.
    pub clean: &'a [Rgb],
    /// The picture with it; read inside of `window` only.
    pub defective: &'a [Rgb],
    /// How much each pixel belongs to the defect.
    pub alpha: &'a [f32],
    /// Holds every pixel that the defect can have changed.
    pub window: Window,
    /// How many pixels beyond `alpha` the picture can differ.
    pub spread: usize,
}

/// How much a defect shall stand out.
#[derive(Clone, Copy)]
pub(crate) struct Contrast {
    /// The median that stronger defects are faded to.
    pub target: f32,
    /// The least median; weaker defects are strengthened, or dropped.
    pub least: f32,
    /// How much of the surface's own unevenness is added to both.
    pub busy: f32,
    /// How far a weak defect may be exaggerated.
    pub most_gain: f32,
}

/// A defect with the pixels it changes.
pub(crate) struct FinishedDefect {
    /// Touched pixels in rising order.
    pub region: Vec<usize>,
    /// Their colours.
    pub picture: Vec<Rgb>,
    pub defect: Defect,
}

impl DrawnDefect<'_> {
    /// Brings the defect to its contrast and cuts its mask to the pixels that changed.
    ///
    /// Nothing when it is too faint, too small or too large.
    pub(crate) fn finish_defect(&self, contrast: Contrast) -> Option<FinishedDefect> {
        let Self {
            kind,
            side: n,
            clean,
            defective,
            alpha,
            window,
            ..
        } = *self;
        let region = self.touched();
        let mut core: Vec<f32> = region
            .iter()
            .filter(|i| alpha[**i] > 0.5)
            .map(|i| difference(clean[*i], defective[*i]))
            .collect();
        let natural = median(&mut core);
        if natural < 0.03 {
            return None;
        }
        let own = if contrast.busy > 0.0 {
            contrast.busy * deviation(&region, clean)
        } else {
            0.0
        };
        let (target, least) = (contrast.target + own, contrast.least + own);
        // Too strong for the drawn target: fade. Too weak for the difficulty: exaggerate.
        let gain = if natural > target {
            // A faded opening would look like a film on the surface.
            let opaque = matches!(
                kind,
                DefectKind::Hole | DefectKind::Cut | DefectKind::Chip | DefectKind::Burn
            );
            (target / natural).max(if opaque { 0.65 } else { 0.0 })
        } else if natural < least * 1.25 {
            (least * 1.25 / natural).min(contrast.most_gain)
        } else {
            1.0
        };
        let picture: Vec<Rgb> = region
            .iter()
            .map(|i| {
                let (c, s) = (clean[*i], defective[*i]);
                [0, 1, 2].map(|k| (c[k] + gain * (s[k] - c[k])).clamp(0.0, 1.0))
            })
            .collect();
        let threshold = (0.30 * natural * gain).clamp(0.05, 0.12);
        let mut hit = vec![false; n * n];
        for (i, c) in region.iter().zip(&picture) {
            hit[*i] = difference(clean[*i], *c) > threshold;
        }
        let hit = close(&hit, alpha, n, window);
        let mut inside: Vec<f32> = region
            .iter()
            .zip(&picture)
            .filter(|(i, _)| hit[**i])
            .map(|(i, c)| difference(clean[*i], *c))
            .collect();
        let area = inside.len() as f32 / (n * n) as f32;
        let level = median(&mut inside);
        if !(MIN_AREA..=MAX_AREA).contains(&area) || level < least.max(0.09) {
            return None;
        }
        let mut mask = GrayImage::new(n as u32, n as u32);
        for y in window.rows() {
            for x in window.columns() {
                if hit[y * n + x] {
                    mask.put_pixel(x as u32, y as u32, Luma([255]));
                }
            }
        }
        let defect = Defect::measured(kind, mask, level)?;
        Some(FinishedDefect {
            region,
            picture,
            defect,
        })
    }

    /// Pixels within `spread` (square) of any that belongs to the defect.
    fn touched(&self) -> Vec<usize> {
        let Self {
            side: n,
            alpha,
            window,
            spread: r,
            ..
        } = *self;
        let mut near = vec![false; n * n];
        for y in window.rows() {
            for x in window.columns() {
                if alpha[y * n + x] <= 0.0 {
                    continue;
                }
                for yy in y.saturating_sub(r)..=(y + r).min(n - 1) {
                    near[yy * n + x.saturating_sub(r)..=yy * n + (x + r).min(n - 1)].fill(true);
                }
            }
        }
        window
            .rows()
            .flat_map(|y| window.columns().map(move |x| y * n + x))
            .filter(|i| near[*i])
            .collect()
    }
}

/// Largest channel difference.
fn difference(a: Rgb, b: Rgb) -> f32 {
    (a[0] - b[0])
        .abs()
        .max((a[1] - b[1]).abs())
        .max((a[2] - b[2]).abs())
}

fn median(values: &mut [f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let k = values.len() / 2;
    *values.select_nth_unstable_by(k, f32::total_cmp).1
}

/// Standard deviation of the brightness.
fn deviation(region: &[usize], picture: &[Rgb]) -> f32 {
    let (mut sum, mut squares) = (0.0, 0.0);
    for i in region {
        let l = lum(picture[*i]);
        sum += l;
        squares += l * l;
    }
    let count = region.len().max(1) as f32;
    (squares / count - (sum / count) * (sum / count))
        .max(0.0)
        .sqrt()
}

/// Fills pixels of the defect that lie between changed ones (a dent's flat centre line), and drops
/// changed pixels that have no changed neighbour.
fn close(hit: &[bool], alpha: &[f32], n: usize, window: Window) -> Vec<bool> {
    let mut out = hit.to_vec();
    let r = 2;
    for y in window.y0.max(r)..window.y1.min(n.saturating_sub(r)) {
        for x in window.x0.max(r)..window.x1.min(n - r) {
            let i = y * n + x;
            if !hit[i] && alpha[i] <= 0.35 {
                continue;
            }
            let around = |r: usize| {
                (y - r..=y + r)
                    .map(|yy| {
                        hit[yy * n + x - r..=yy * n + x + r]
                            .iter()
                            .filter(|h| **h)
                            .count()
                    })
                    .sum::<usize>()
            };
            out[i] = if hit[i] {
                around(1) >= 3
            } else {
                around(2) >= 9
            };
        }
    }
    out
}
