//! The sampling parameters of each token.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vmad_kernels::Draw;

use crate::Generation;

/// Gives the parameters with which each token of an answer is sampled.
///
/// Invariant: they depend on the settings and the token's index only. A token that is sampled again
/// after a step back gets the same random number.
#[derive(Debug)]
pub(crate) struct Sampler {
    draw: Draw,
    rng: StdRng,
    /// A random number in [0, 1) for each token so far.
    uniforms: Vec<f32>,
}

impl Sampler {
    pub fn new(generation: &Generation) -> Self {
        Self {
            draw: Draw {
                temperature: generation.temperature,
                top_k: generation.top_k,
                top_p: generation.top_p,
                repetition_penalty: generation.repetition_penalty,
                uniform: 0.0,
            },
            rng: StdRng::seed_from_u64(generation.seed),
            uniforms: Vec::new(),
        }
    }

    /// The parameters for the token at `index` of the answer.
    pub fn draw(&mut self, index: usize) -> Draw {
        while self.uniforms.len() <= index {
            self.uniforms.push(self.rng.random());
        }
        Draw {
            uniform: self.uniforms[index],
            ..self.draw
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_and_the_index_determine_the_random_number() {
        let uniforms = |seed| {
            let generation = Generation {
                seed,
                ..Generation::default()
            };
            let mut sampler = Sampler::new(&generation);
            // One index twice, and not in order.
            [3, 0, 1, 3].map(|index| sampler.draw(index).uniform)
        };
        let one = uniforms(1);
        assert_eq!(one, uniforms(1));
        assert_eq!(one[0], one[3]);
        assert_ne!(one, uniforms(2));
        assert!(one.iter().all(|number| (0.0..1.0).contains(number)));
    }
}
