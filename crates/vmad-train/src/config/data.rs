//! `[data]`: the scenes that a run learns from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::serde_defaults::{is_mixture, is_share};

/// The scenes of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Side of the square crops, as a share of the scene's side. A crop contains a defect where the scene
    /// has one. Scenes are rendered larger by the same factor, so that a crop fills SAM's input. Many
    /// small crops teach what a defect looks like in a fraction of the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<f32>,
    /// Share of generated scenes with a defect; the generators' own share if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defective: Option<f32>,
    /// Seed of the scenes; the run's seed if absent. Runs of different seeds can so learn from the same
    /// scenes in another order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Scenes in the pool; samples are drawn from it with replacement.
    pub pool: usize,
    /// Scenes that the pool starts with.
    pub pool_start: usize,
    /// Scenes by which the pool grows at each step.
    pub pool_growth: usize,
    /// Difficulty at the first step, 0 to 1.
    pub difficulty_start: f32,
    /// Difficulty of the pool's last scenes.
    pub difficulty_end: f32,
    /// The generators, with their shares.
    #[serde(default = "catalogue")]
    pub worlds: BTreeMap<World, f32>,
    /// Data sets on disk, beside the generators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<FolderConfig>,
    /// What happens with a photograph or mask that cannot be read.
    #[serde(default)]
    pub on_bad_image: BadImage,
    /// Augments each view: rotation, mirroring, lighting.
    #[serde(default)]
    pub augment: bool,
    /// Different views of a scene; 0 makes every view a new one. Frozen encoders run once for each view.
    #[serde(default)]
    pub views_per_scene: u64,
}

/// A data set on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// Its folder.
    pub path: PathBuf,
    /// `coco`, `mvtec`, `visa` or `wfdd`; recognised if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
    /// A file that splits the categories; the run learns from the training ones. Without it the run learns
    /// from all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<PathBuf>,
    /// Its share among the worlds and folders.
    pub share: f32,
}

/// What happens with a photograph or mask that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadImage {
    /// The run ends; its last checkpoint stays valid.
    #[default]
    Fail,
    /// Another one replaces it; it is named and counted.
    Skip,
}

/// A generator of scenes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum World {
    /// [`vmad_data::Generator`]: the 16 products of the training split.
    Catalogue,
    /// [`vmad_data::Workshop`]: surfaces and parts, new for each scene.
    Workshop,
}

impl World {
    /// Its name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Catalogue => "catalogue",
            Self::Workshop => "workshop",
        }
    }
}

impl DataConfig {
    /// # Errors
    /// The first value that cannot be used, in words.
    pub fn validate(&self) -> Result<(), String> {
        let can_crop = |share: f32| is_share(share) && share >= 0.05;
        if let Some(share) = self.crop.filter(|share| !can_crop(*share)) {
            return Err(format!("data.crop is {share}; 0.05 to 1 is needed"));
        }
        if let Some(share) = self.defective.filter(|share| !is_share(*share)) {
            return Err(format!("data.defective is {share}; 0 to 1 is needed"));
        }
        if self.pool == 0 || self.pool_start == 0 {
            return Err("data.pool and data.pool_start must be positive".to_owned());
        }
        let folders = self.folders.iter().map(|folder| folder.share);
        if !is_mixture(self.worlds.values().copied().chain(folders)) {
            return Err(
                "data.worlds and data.folders need shares of at least 0 whose sum is positive"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Scenes that the pool holds at `step`.
    #[must_use]
    pub fn pool_at(&self, step: u64) -> usize {
        let grown = (self.pool_growth as u64).saturating_mul(step);
        let grown = usize::try_from(grown).unwrap_or(usize::MAX);
        self.pool_start.saturating_add(grown).min(self.pool)
    }
}

fn catalogue() -> BTreeMap<World, f32> {
    BTreeMap::from([(World::Catalogue, 1.0)])
}
