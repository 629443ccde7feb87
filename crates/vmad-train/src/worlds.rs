//! Which scenes a run learns from: a mixture of generators, and how hard their scenes are.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vmad_data::{Category, Generator, Sample, Scenes, Split, Workshop};

use crate::config::{TrainConfig, World};

/// The generators of a run.
pub struct Worlds {
    config: TrainConfig,
}

impl Worlds {
    /// The worlds of `config`.
    pub fn new(config: &TrainConfig) -> Self {
        Self {
            config: config.clone(),
        }
    }

    /// Scene `index` of the run, `size` pixels a side. Difficulty rises from the pool's first scene
    /// to its last.
    pub fn scene(&self, index: usize, size: u32) -> Sample {
        let data = &self.config.data;
        let share = index as f32 / data.pool as f32;
        let difficulty =
            data.difficulty_start + (data.difficulty_end - data.difficulty_start) * share;
        let seed = self.config.data_seed();
        match self.world_of(index) {
            World::Catalogue => Generator::new(seed, Split::Train, size)
                .with_difficulty(difficulty)
                .sample(index as u64),
            World::Workshop => Workshop::new(seed, size)
                .with_difficulty(difficulty)
                .sample(index as u64),
        }
    }

    /// The world that scene `index` comes from, drawn by the shares of the configuration.
    fn world_of(&self, index: usize) -> World {
        let worlds = &self.config.data.worlds;
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.data_seed() ^ 0x5eed_0003);
        rng.set_stream(index as u64);
        let total: f32 = worlds.values().sum();
        let mut at = rng.random_range(0.0..total);
        for (world, share) in worlds {
            if at < *share {
                return *world;
            }
            at -= share;
        }
        World::Catalogue
    }

    /// Classes of [`Self::object_class`].
    pub const N_OBJECTS: usize = Category::ALL.len() + 1;

    /// A number for what a scene shows: the product of the catalogue, or one class for all else.
    pub fn object_class(&self, sample: &Sample) -> usize {
        Category::parse(&sample.category).map_or(Category::ALL.len(), |category| category as usize)
    }
}
