//! How each token of an answer is drawn.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vmad_kernels::Draw;

use crate::Generation;

/// The draws of an answer's tokens as a [`Generation`] says. The same seed gives the same ones, however often
/// and in whatever order they are asked for: a token that was taken back is drawn again as before.
#[derive(Debug)]
pub(crate) struct Dice {
    draw: Draw,
    rng: StdRng,
    /// Numbers in [0, 1), one for each token so far.
    rolled: Vec<f32>,
}

impl Dice {
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
            rolled: Vec::new(),
        }
    }

    /// The draw of the token at `index` of the answer.
    pub fn nth(&mut self, index: usize) -> Draw {
        while self.rolled.len() <= index {
            self.rolled.push(self.rng.random());
        }
        Draw {
            uniform: self.rolled[index],
            ..self.draw
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides() {
        let rolled = |seed| {
            let generation = Generation {
                seed,
                ..Generation::default()
            };
            let mut dice = Dice::new(&generation);
            // Twice, and not in order.
            [3, 0, 1, 3].map(|index| dice.nth(index).uniform)
        };
        let one = rolled(1);
        assert_eq!(one, rolled(1));
        assert_eq!(one[0], one[3]);
        assert_ne!(one, rolled(2));
        assert!(one.iter().all(|number| (0.0..1.0).contains(number)));
    }
}
