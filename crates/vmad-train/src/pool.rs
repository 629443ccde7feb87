//! The scenes of a run: rendered once, viewed many times, each time augmented differently.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use vmad_data::Sample;

use crate::TrainError;
use crate::config::TrainConfig;
use crate::crop_window::CropWindow;
use crate::dialogue::{Dialogue, DialogueBuilder};
use crate::targets::Targets;
use crate::view::{View, prepare_view};
use crate::worlds::{Purpose, Worlds};

/// The scenes of a run.
pub struct Pool {
    config: TrainConfig,
    worlds: Worlds,
    scenes: Vec<OnceLock<Sample>>,
    next: AtomicUsize,
    stop: AtomicBool,
}

/// A view of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ViewId {
    /// Index of the scene.
    pub scene: usize,
    /// Which of its augmentations.
    pub variant: u64,
}

impl Pool {
    /// An empty pool; scenes are rendered ahead by [`Self::render_ahead`] or when needed.
    ///
    /// # Errors
    /// A data set that cannot be read.
    pub fn new(config: &TrainConfig) -> Result<Self, TrainError> {
        let mut scenes = Vec::new();
        scenes.resize_with(config.data.pool, OnceLock::new);
        Ok(Self {
            config: config.clone(),
            worlds: Worlds::new(config, Purpose::Train)?,
            scenes,
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// Renders scene after scene, but for those that are `needless`, until the pool is full or
    /// [`Self::stop`] is called.
    pub fn render_ahead(&self, needless: impl Fn(usize) -> bool) {
        while !self.stop.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.scenes.len() {
                return;
            }
            // A scene that fails is rendered again when a step needs it; that step reports the error.
            if !needless(index) && self.scene(index).is_err() {
                return;
            }
        }
    }

    /// Ends [`Self::render_ahead`] after the current scene.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Scene `index`, rendered now if it was not yet.
    fn scene(&self, index: usize) -> Result<&Sample, TrainError> {
        let scene = &self.scenes[index];
        if let Some(sample) = scene.get() {
            return Ok(sample);
        }
        // Two threads may render the same scene; they get the same.
        let sample = self.worlds.scene(index, self.config.scene_size())?;
        Ok(scene.get_or_init(|| sample))
    }

    /// Photographs of data sets that were left out, and why.
    pub fn skipped(&self) -> Vec<(String, String)> {
        self.worlds.skipped()
    }

    /// The views of `step`: a pure function of the configuration and the step. With
    /// `data.views_per_scene` = 0 every view is a new one.
    pub fn view_ids(&self, step: u64) -> Vec<ViewId> {
        let mut rng = self.rng_of_step(step);
        let available = self.config.data.pool_at(step);
        (0..self.config.batch)
            .map(|_| ViewId {
                scene: rng.random_range(0..available),
                variant: match self.config.data.views_per_scene {
                    0 => rng.random(),
                    n => rng.random_range(0..n),
                },
            })
            .collect()
    }

    /// A view of a scene.
    ///
    /// # Errors
    /// A photograph that cannot be read.
    pub fn view(&self, id: ViewId) -> Result<View, TrainError> {
        let seed = self.config.data_seed() ^ 0x5eed_0002 ^ id.variant << 20;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(id.scene as u64);
        let sample = self.scene(id.scene)?;
        let sample = if self.config.data.augment {
            sample.augmented(&mut rng)
        } else {
            sample.clone()
        };
        let dssl = self.config.ablation.dssl.as_ref();
        let n_boxes = dssl.map_or(0, |dssl| dssl.n_boxes);
        let crop = match self.config.data.crop {
            Some(share) => Some(CropWindow::around_a_defect(&sample, share, &mut rng)),
            None => CropWindow::without_a_border(&sample, &mut rng),
        };
        let boxes = Some((&mut rng, n_boxes));
        Ok(prepare_view(&self.config.model, &sample, crop, boxes))
    }

    /// Views, made on all cores.
    ///
    /// # Errors
    /// As [`Self::view`].
    pub fn views(&self, ids: &[ViewId]) -> Result<Vec<View>, TrainError> {
        ids.par_iter().map(|id| self.view(*id)).collect()
    }

    /// The dialogue about each view of `step`.
    ///
    /// # Errors
    /// The tokenizer's.
    pub fn dialogues<'a>(
        &self,
        step: u64,
        targets: impl Iterator<Item = &'a Targets>,
        builder: &DialogueBuilder,
    ) -> Result<Vec<Dialogue>, TrainError> {
        let mut rng = self.rng_of_step(step);
        rng.set_word_pos(1 << 20);
        targets
            .map(|targets| builder.build(&targets.text, targets.has_true_places, &mut rng))
            .collect()
    }

    fn rng_of_step(&self, step: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed ^ 0x5eed_0001);
        rng.set_stream(step);
        rng
    }
}
