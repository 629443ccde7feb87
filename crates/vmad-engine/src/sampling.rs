//! From scores of the next token to the token.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::Generation;

/// Draws tokens as a [`Generation`] says, in the order repetition penalty, temperature, top-k,
/// top-p. The same seed and scores give the same tokens.
#[derive(Debug)]
pub struct Sampler {
    temperature: f32,
    top_p: f32,
    top_k: usize,
    repetition_penalty: f32,
    rng: StdRng,
}

impl Sampler {
    /// A sampler at the start of an answer.
    #[must_use]
    pub fn new(generation: &Generation) -> Self {
        Self {
            temperature: generation.temperature,
            top_p: generation.top_p,
            top_k: generation.top_k,
            repetition_penalty: generation.repetition_penalty,
            rng: StdRng::seed_from_u64(generation.seed),
        }
    }

    /// The next token after those `said` in this answer; 0 where there are no scores.
    ///
    /// # Shapes
    /// - logits: `[vocab_size]`, finite
    pub fn next(&mut self, logits: &[f32], said: &[i32]) -> i32 {
        let mut scores = logits.to_vec();
        self.penalise(&mut scores, said);
        let picked = if self.temperature > 0.0 {
            self.draw(&scores)
        } else {
            likeliest(&scores)
        };
        i32::try_from(picked).unwrap_or(0)
    }

    /// Keskar et al. 2019 (CTRL), over the answer's own tokens: the prompt's wording may recur.
    fn penalise(&self, scores: &mut [f32], said: &[i32]) {
        let penalty = self.repetition_penalty;
        if penalty == 1.0 {
            return;
        }
        let mut said = said.to_vec();
        said.sort_unstable();
        said.dedup();
        for id in said {
            let score = usize::try_from(id).ok().and_then(|id| scores.get_mut(id));
            if let Some(score) = score {
                *score = if *score > 0.0 {
                    *score / penalty
                } else {
                    *score * penalty
                };
            }
        }
    }

    fn draw(&mut self, scores: &[f32]) -> usize {
        let mut ranked: Vec<(usize, f32)> = scores.iter().copied().enumerate().collect();
        // Stable, so that equal scores stay in the order of their ids.
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        if self.top_k > 0 {
            ranked.truncate(self.top_k);
        }
        let Some(&(first, highest)) = ranked.first() else {
            return 0;
        };
        let weight = |score: f32| f64::from((score - highest) / self.temperature).exp();
        let total: f64 = ranked.iter().map(|(_, score)| weight(*score)).sum();
        let mut nucleus = 0.0;
        let mut n_kept = 0;
        for (_, score) in &ranked {
            nucleus += weight(*score);
            n_kept += 1;
            if nucleus >= total * f64::from(self.top_p) {
                break;
            }
        }
        let mut left = self.rng.random::<f64>() * nucleus;
        for (id, score) in &ranked[..n_kept] {
            left -= weight(*score);
            if left <= 0.0 {
                return *id;
            }
        }
        first
    }
}

/// The token with the highest score, the first of equals.
pub(crate) fn likeliest(scores: &[f32]) -> usize {
    let better = |best: usize, (id, score): (usize, &f32)| {
        if *score > scores[best] { id } else { best }
    };
    scores.iter().enumerate().fold(0, better)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(generation: &Generation, logits: &[f32], n: usize) -> Vec<i32> {
        let mut sampler = Sampler::new(generation);
        (0..n).map(|_| sampler.next(logits, &[])).collect()
    }

    #[test]
    fn greedy_takes_the_first_of_the_highest() {
        assert_eq!(draws(&Generation::default(), &[0.5, 2.0, 2.0], 2), [1, 1]);
        assert_eq!(draws(&Generation::default(), &[], 1), [0]);
    }

    #[test]
    fn top_k_and_top_p_cut_the_tail() {
        let logits = [3.0, 2.9, 0.0, -1.0];
        let base = Generation {
            temperature: 1.0,
            ..Generation::default()
        };
        for (generation, allowed) in [
            (
                Generation {
                    top_k: 1,
                    ..base.clone()
                },
                &[0][..],
            ),
            (
                Generation {
                    top_k: 2,
                    ..base.clone()
                },
                &[0, 1],
            ),
            (
                Generation {
                    top_p: 0.4,
                    ..base.clone()
                },
                &[0],
            ),
            (
                Generation {
                    top_p: 0.9,
                    ..base.clone()
                },
                &[0, 1],
            ),
            (
                Generation {
                    temperature: 0.1,
                    ..base.clone()
                },
                &[0, 1],
            ),
            (base, &[0, 1, 2, 3]),
        ] {
            let drawn = draws(&generation, &logits, 400);
            for id in 0..4 {
                assert_eq!(
                    drawn.contains(&id),
                    allowed.contains(&id),
                    "{id} {generation:?}"
                );
            }
        }
    }

    #[test]
    fn shares_follow_the_probabilities() {
        let generation = Generation {
            temperature: 2.0,
            seed: 7,
            ..Generation::default()
        };
        // At temperature 2 these are 0.75 and 0.25.
        let drawn = draws(&generation, &[2.0 * 3f32.ln(), 0.0], 4000);
        let share = drawn.iter().filter(|id| **id == 0).count() as f64 / 4000.0;
        // Three standard deviations of the share of 4000 draws.
        assert!((share - 0.75).abs() < 0.021, "{share}");
    }

    #[test]
    fn the_seed_decides() {
        let generation = |seed| Generation {
            temperature: 1.0,
            seed,
            ..Generation::default()
        };
        let logits: Vec<f32> = (0..50).map(|i| (i % 7) as f32 * 0.3).collect();
        let one = draws(&generation(1), &logits, 30);
        assert_eq!(one, draws(&generation(1), &logits, 30));
        assert_ne!(one, draws(&generation(2), &logits, 30));
    }

    #[test]
    fn repetition_is_penalised_on_both_sides_of_zero() {
        let generation = Generation {
            repetition_penalty: 2.0,
            ..Generation::default()
        };
        let mut sampler = Sampler::new(&generation);
        assert_eq!(sampler.next(&[2.0, 1.5], &[0, 0]), 1);
        assert_eq!(sampler.next(&[-1.0, -1.5], &[0]), 1);
        assert_eq!(sampler.next(&[-1.0, -3.0], &[0, 9, -4]), 0);
    }
}
