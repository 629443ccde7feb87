//! Confidence intervals by resampling images.
//!
//! Images are drawn with replacement within each category, normal and defective ones apart, so that
//! every resample has the set's own composition (stratified percentile bootstrap). The mean over
//! categories is resampled with them: each category is fixed, its images are drawn.
//!
//! Pixel metrics of a resample come from histograms: the pixels of each image are counted in
//! [`BINS`] bins whose borders are quantiles of the whole category, one half of them quantiles of the
//! defect-free pixels and the other of those in defects. A resample then adds up histograms where
//! it would have to sort millions of pixels. What the bins lose is the same for every resample up to
//! second order: the interval is shifted by the difference between the exact value and that of the
//! histogram of the whole set.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::pixels::PixelSet;
use crate::pro::LimitedArea;
use crate::rank::{Ranking, ordered_key};

/// Bins of the histograms from which pixel metrics are resampled.
pub const BINS: usize = 1024;

/// Share of the resamples that lies within an interval.
pub const LEVEL: f64 = 0.95;

/// Pixels from which the borders of the bins are taken.
const MAX_SAMPLE: usize = 1 << 18;

/// How confidence intervals are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Resamples.
    pub n_resamples: usize,
    /// The same seed draws the same resamples.
    pub seed: u64,
}

/// An interval around each metric, from its 2.5th to its 97.5th percentile over the resamples.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Intervals {
    /// Of the AUROC of image scores.
    pub image_auroc: Option<(f64, f64)>,
    /// Of the average precision of image scores.
    pub image_ap: Option<(f64, f64)>,
    /// Of the best F1 of image scores.
    pub image_f1_max: Option<(f64, f64)>,
    /// Of the AUROC over pixels.
    pub pixel_auroc: Option<(f64, f64)>,
    /// Of the average precision over pixels.
    pub pixel_ap: Option<(f64, f64)>,
    /// Of the per-region overlap in MVTec's form.
    pub pro: Option<(f64, f64)>,
}

const N_METRICS: usize = 6;

/// The metrics of one resample, in the order of [`Intervals`].
type Values = [Option<f64>; N_METRICS];

/// The metrics of each resample.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replicates(Vec<Values>);

impl Replicates {
    /// Resamples one category.
    pub fn draw(
        bootstrap: Bootstrap,
        category: &str,
        scores: &[f32],
        labels: &[bool],
        pixels: Option<&Profile>,
        fpr_limit: f64,
    ) -> Self {
        let seed = bootstrap.seed ^ fnv1a(category);
        let images = Strata::of(labels.iter().copied());
        let with_pixels = pixels.map(|p| Strata::of(p.images.iter().map(|i| i.is_defective)));
        let values = (0..bootstrap.n_resamples)
            .into_par_iter()
            .map(|i| {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(i as u64);
                let (mut positives, mut negatives) = (Vec::new(), Vec::new());
                for image in images.draw(&mut rng) {
                    let list = if labels[image] {
                        &mut positives
                    } else {
                        &mut negatives
                    };
                    list.push(ordered_key(scores[image]));
                }
                let ranking = Ranking::sorted(positives, negatives);
                let [auroc, ap, pro] = match (pixels, &with_pixels) {
                    (Some(profile), Some(strata)) => {
                        profile.metrics(strata.draw(&mut rng), fpr_limit)
                    }
                    _ => [None; 3],
                };
                [
                    ranking.auroc(),
                    ranking.average_precision(),
                    ranking.f1_max().map(|best| best.f1),
                    auroc,
                    ap,
                    pro,
                ]
            })
            .collect();
        Self(values)
    }

    /// Moves the pixel metrics by what the bins have lost.
    pub fn correct(&mut self, exact: [Option<f64>; 3], binned: [Option<f64>; 3]) {
        for values in &mut self.0 {
            for ((value, exact), binned) in values[3..].iter_mut().zip(exact).zip(binned) {
                if let (Some(value), Some(exact), Some(binned)) = (value, exact, binned) {
                    *value = (*value + exact - binned).clamp(0.0, 1.0);
                }
            }
        }
    }

    /// Resample by resample, the mean over the categories that define a metric.
    pub fn mean(categories: &[Self]) -> Self {
        let n = categories.iter().map(|c| c.0.len()).min().unwrap_or(0);
        let of = |i: usize, metric: usize| {
            let found: Vec<f64> = categories.iter().filter_map(|c| c.0[i][metric]).collect();
            (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
        };
        Self(
            (0..n)
                .map(|i| std::array::from_fn(|metric| of(i, metric)))
                .collect(),
        )
    }

    pub fn intervals(&self) -> Intervals {
        let of = |metric: usize| {
            let mut values: Vec<f64> = self.0.iter().filter_map(|v| v[metric]).collect();
            // A metric that most resamples leave undefined has no interval.
            if values.is_empty() || 2 * values.len() < self.0.len() {
                return None;
            }
            values.sort_unstable_by(f64::total_cmp);
            let tail = (1.0 - LEVEL) / 2.0;
            Some((quantile(&values, tail), quantile(&values, 1.0 - tail)))
        };
        Intervals {
            image_auroc: of(0),
            image_ap: of(1),
            image_f1_max: of(2),
            pixel_auroc: of(3),
            pixel_ap: of(4),
            pro: of(5),
        }
    }
}

/// A quantile of sorted values, between two of them by straight line.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64)
}

/// Spreads categories over the seeds.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Indices of normal and of defective images.
struct Strata([Vec<usize>; 2]);

impl Strata {
    fn of(labels: impl Iterator<Item = bool>) -> Self {
        let mut strata = [Vec::new(), Vec::new()];
        for (index, label) in labels.enumerate() {
            strata[usize::from(label)].push(index);
        }
        Self(strata)
    }

    /// As many of each as there are, with replacement.
    fn draw(&self, rng: &mut ChaCha8Rng) -> Vec<usize> {
        let mut drawn = Vec::with_capacity(self.0[0].len() + self.0[1].len());
        for stratum in &self.0 {
            for _ in stratum {
                let at = (u64::from(rng.next_u32()) * stratum.len() as u64) >> 32;
                drawn.push(stratum[at as usize]);
            }
        }
        drawn
    }
}

/// Pixels of one image in each bin.
#[derive(Debug, Clone)]
struct Histogram {
    normal: Vec<u32>,
    defect: Vec<u32>,
    /// Sum of 1 / area of the region over the pixels of regions.
    recall: Vec<f64>,
    n_regions: usize,
    is_defective: bool,
}

/// Histograms of all images of a category.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    n_bins: usize,
    images: Vec<Histogram>,
}

impl Profile {
    /// Counts the pixels of a set that is not ranked yet.
    pub fn of(set: &PixelSet) -> Self {
        let borders = borders(set);
        let n_bins = borders.len() + 1;
        let bin = |key: u32| borders.partition_point(|border| *border <= key);
        let starts = |i: usize| match i.checked_sub(1).and_then(|i| set.ends.get(i)) {
            Some(before) => (before.normal, before.defect, before.regions),
            None => (0, 0, 0),
        };
        let images = (0..set.ends.len())
            .into_par_iter()
            .map(|i| {
                let (normal, defect, regions) = starts(i);
                let end = set.ends[i];
                let mut histogram = Histogram {
                    normal: vec![0; n_bins],
                    defect: vec![0; n_bins],
                    recall: vec![0.0; n_bins],
                    n_regions: end.regions - regions,
                    is_defective: end.is_defective,
                };
                for &key in &set.normal[normal..end.normal] {
                    histogram.normal[bin(key)] += 1;
                }
                for &pixel in &set.defect[defect..end.defect] {
                    let at = bin((pixel >> 32) as u32);
                    let region = (pixel & u64::from(u32::MAX)) as usize;
                    histogram.defect[at] += 1;
                    histogram.recall[at] += set.weights[region];
                }
                histogram
            })
            .collect();
        Self { n_bins, images }
    }

    /// AUROC, average precision and PRO of all images once.
    pub fn whole(&self, fpr_limit: f64) -> [Option<f64>; 3] {
        self.metrics(0..self.images.len(), fpr_limit)
    }

    /// AUROC, average precision and PRO of some images, any of them more than once.
    fn metrics(&self, drawn: impl IntoIterator<Item = usize>, fpr_limit: f64) -> [Option<f64>; 3] {
        let mut normal = vec![0_u64; self.n_bins];
        let mut defect = vec![0_u64; self.n_bins];
        let mut recall = vec![0.0_f64; self.n_bins];
        let mut n_regions = 0;
        for image in drawn {
            let image = &self.images[image];
            n_regions += image.n_regions;
            for (sum, n) in normal.iter_mut().zip(&image.normal) {
                *sum += u64::from(*n);
            }
            if image.n_regions == 0 {
                continue;
            }
            for (sum, n) in defect.iter_mut().zip(&image.defect) {
                *sum += u64::from(*n);
            }
            for (sum, share) in recall.iter_mut().zip(&image.recall) {
                *sum += share;
            }
        }
        let n_normal = normal.iter().sum::<u64>() as f64;
        let n_defect = defect.iter().sum::<u64>() as f64;
        if n_normal == 0.0 || n_defect == 0.0 {
            return [None; 3];
        }
        let (mut area, mut precision_sum) = (0.0, 0.0);
        let mut overlap = LimitedArea::new(fpr_limit);
        let (mut n_true, mut n_false, mut covered) = (0.0, 0.0, 0.0);
        for bin in (0..self.n_bins).rev() {
            let (true_here, false_here) = (defect[bin] as f64, normal[bin] as f64);
            area += false_here * (n_true + 0.5 * true_here);
            n_true += true_here;
            n_false += false_here;
            covered += recall[bin];
            if true_here > 0.0 {
                precision_sum += true_here * n_true / (n_true + n_false);
            }
            overlap.to(n_false / n_normal, (covered / n_regions as f64).min(1.0));
        }
        [
            Some(area / (n_normal * n_defect)),
            Some(precision_sum / n_defect),
            Some(overlap.share()),
        ]
    }
}

/// Borders of the bins, ascending: quantiles of the defect-free pixels and of those in defects.
fn borders(set: &PixelSet) -> Vec<u32> {
    let normal = sample(&set.normal, |key| key);
    let defect = sample(&set.defect, |pixel| (pixel >> 32) as u32);
    let mut borders = Vec::with_capacity(BINS);
    for keys in [normal, defect] {
        let n = BINS / 2;
        borders.extend((1..n).filter_map(|i| keys.get(i * keys.len() / n).copied()));
    }
    borders.sort_unstable();
    borders.dedup();
    borders
}

/// Sorted keys of at most [`MAX_SAMPLE`] entries at even distances.
fn sample<T: Copy>(entries: &[T], key: impl Fn(T) -> u32) -> Vec<u32> {
    let step = entries.len().div_ceil(MAX_SAMPLE).max(1);
    let mut keys: Vec<u32> = entries.iter().step_by(step).map(|&e| key(e)).collect();
    keys.sort_unstable();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::EvalError;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const BOOTSTRAP: Bootstrap = Bootstrap {
        n_resamples: 400,
        seed: 7,
    };

    /// Noisy maps of 40 images, half of them with a square in which values are higher.
    fn set() -> Result<PixelSet, EvalError> {
        let side = 33;
        let mut rng = StdRng::seed_from_u64(5);
        let mut set = PixelSet::new(side, side)?;
        for i in 0..40 {
            let is_defective = i % 2 == 0;
            let mask: Vec<bool> = (0..side * side)
                .map(|p| is_defective && (p % side) / 6 == 2 && (p / side) / 5 == i % 6)
                .collect();
            let lift = rng.random_range(0.0..1.0);
            let map: Vec<f32> = mask
                .iter()
                .map(|&m| rng.random_range(0.0..1.0) + if m { lift } else { 0.0 })
                .collect();
            set.add(&map, &mask, is_defective)?;
        }
        Ok(set)
    }

    /// 1024 bins of quantiles: half a bin of recall is 1e-3 at most.
    const BINNING: f64 = 2e-3;

    #[test]
    fn histograms_come_close_to_the_exact_values() -> Result<(), EvalError> {
        let set = set()?;
        let binned = Profile::of(&set).whole(0.3);
        let ranked = set.rank();
        let exact = [
            ranked.auroc(),
            ranked.average_precision(),
            ranked.pro_mvtec(0.3)?,
        ];
        for (binned, exact) in binned.into_iter().zip(exact) {
            let near = matches!((binned, exact), (Some(b), Some(e)) if (b - e).abs() < BINNING);
            assert!(near, "{binned:?} and {exact:?}");
        }
        Ok(())
    }

    #[test]
    fn intervals_hold_the_value_and_repeat() -> Result<(), EvalError> {
        let mut rng = StdRng::seed_from_u64(3);
        let labels: Vec<bool> = (0..60).map(|i| i % 3 == 0).collect();
        let scores: Vec<f32> = labels
            .iter()
            .map(|&l| rng.random_range(0.0..1.0) + if l { 0.4 } else { 0.0 })
            .collect();
        let profile = Profile::of(&set()?);
        let draw = |seed| {
            let bootstrap = Bootstrap { seed, ..BOOTSTRAP };
            Replicates::draw(bootstrap, "a", &scores, &labels, Some(&profile), 0.3).intervals()
        };
        let found = draw(7);
        assert_eq!(found, draw(7));
        assert_ne!(found, draw(8));
        let exact = crate::auroc(&scores, &labels)?;
        for (interval, value) in [
            (found.image_auroc, exact),
            (found.pixel_auroc, profile.whole(0.3)[0]),
            (found.pro, profile.whole(0.3)[2]),
        ] {
            let (Some((low, high)), Some(value)) = (interval, value) else {
                panic!("{interval:?} {value:?}")
            };
            assert!(low < value && value < high, "{low} {value} {high}");
            assert!(high - low < 0.35, "{low} {high}");
        }
        Ok(())
    }

    /// The standard error of an AUROC of independent scores is known (Hanley and McNeil 1982).
    #[test]
    fn width_agrees_with_hanley_and_mcneil() -> Result<(), EvalError> {
        let mut rng = StdRng::seed_from_u64(11);
        let labels: Vec<bool> = (0..240).map(|i| i % 2 == 0).collect();
        let scores: Vec<f32> = labels
            .iter()
            .map(|&l| -f32::ln(rng.random_range(1e-6..1.0)) * if l { 3.0 } else { 1.0 })
            .collect();
        let found = Replicates::draw(BOOTSTRAP, "a", &scores, &labels, None, 0.3).intervals();
        let (Some((low, high)), Some(a)) = (found.image_auroc, crate::auroc(&scores, &labels)?)
        else {
            panic!("{found:?}")
        };
        // Exponential scores: Q₁ = A / (2 − A), Q₂ = 2A² / (1 + A).
        let n = 120.0;
        let variance = (a * (1.0 - a)
            + (n - 1.0) * (a / (2.0 - a) - a * a)
            + (n - 1.0) * (2.0 * a * a / (1.0 + a) - a * a))
            / (n * n);
        let expected = 2.0 * 1.96 * variance.sqrt();
        let ratio = (high - low) / expected;
        assert!((0.85..1.15).contains(&ratio), "{ratio}");
        assert_eq!(found.pro, None);
        Ok(())
    }

    #[test]
    fn undefined_metrics_have_no_interval() {
        let found = Replicates::draw(BOOTSTRAP, "a", &[0.1, 0.2], &[true; 2], None, 0.3);
        assert_eq!(found.intervals(), Intervals::default());
        assert_eq!(Replicates::mean(&[]).intervals(), Intervals::default());
    }

    #[test]
    fn quantiles_lie_between_values() {
        for (share, expected) in [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (0.25, 1.75)] {
            assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], share), expected);
        }
    }
}
