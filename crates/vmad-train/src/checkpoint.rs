//! A run on disk: `run.toml`, `tokenizer.json`, and two checkpoints that take turns, so that a cut
//! during writing loses at most one.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::dssl::{DsslConfig, Memory};
use crate::train_model::TrainModel;

/// DSSL's memory, beside the weights.
const MEMORY: &str = "memory.safetensors";

/// Progress of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimiser steps taken.
    pub step: u64,
    /// Seconds spent in all sessions of the run.
    pub seconds: f64,
    /// Folder of the newest checkpoint.
    pub folder: String,
}

/// The folder of a run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    dir: PathBuf,
}

impl RunFolder {
    /// Opens or creates the folder.
    ///
    /// # Errors
    /// The file system's.
    pub fn new(dir: &Path) -> Result<Self, TrainError> {
        std::fs::create_dir_all(dir).map_err(|source| TrainError::Io {
            path: dir.to_owned(),
            source,
        })?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    /// Path of a file in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a file so that a reader sees the old or the new content, never half of one.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), TrainError> {
        let path = self.path(name);
        vmad_data::write_whole(&path, content).map_err(|source| TrainError::Io { path, source })
    }

    /// The progress of the run; `None` for a new one.
    ///
    /// # Errors
    /// An unreadable or damaged `progress.json`.
    pub fn progress(&self) -> Result<Option<Progress>, TrainError> {
        let path = self.path("progress.json");
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read(&path).map_err(|source| TrainError::Io {
            path: path.clone(),
            source,
        })?;
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| TrainError::Checkpoint {
                path,
                message: error.to_string(),
            })
    }

    /// Saves weights and optimiser state; `progress.json` goes last and makes them current.
    ///
    /// # Errors
    /// The file system's or the recorder's.
    pub fn save(
        &self,
        train_model: &TrainModel,
        optimiser: &ModuleOptimizer,
        memory: Option<&Memory>,
        progress: &mut Progress,
    ) -> Result<(), TrainError> {
        let folder = if progress.folder == "checkpoint-a" {
            "checkpoint-b"
        } else {
            "checkpoint-a"
        };
        let dir = self.path(folder);
        std::fs::create_dir_all(&dir).map_err(|source| TrainError::Io {
            path: dir.clone(),
            source,
        })?;
        let failed = |path: &Path, message: String| TrainError::Checkpoint {
            path: path.to_owned(),
            message,
        };
        let weights = dir.join("weights.bpk");
        train_model
            .clone()
            .into_record()
            .save(&weights)
            .map_err(|error| failed(&weights, error.to_string()))?;
        let state = dir.join("optimiser.bpk");
        optimiser
            .save(&state)
            .map_err(|error| failed(&state, error.to_string()))?;
        if let Some(memory) = memory {
            memory.save(&dir.join(MEMORY))?;
        }
        progress.folder = folder.to_owned();
        let text = serde_json::to_vec_pretty(&progress)
            .map_err(|error| failed(&dir, error.to_string()))?;
        self.write("progress.json", &text)
    }

    /// DSSL's memory as it was at the checkpoint; an empty one for a new run.
    ///
    /// # Errors
    /// A missing or damaged file, named.
    pub fn load_memory(
        &self,
        progress: &Progress,
        config: &DsslConfig,
    ) -> Result<Memory, TrainError> {
        if progress.folder.is_empty() {
            return Ok(Memory::new(config));
        }
        Memory::load(config, &self.path(&progress.folder).join(MEMORY))
    }

    /// Loads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// A missing or damaged checkpoint, named.
    pub fn load(
        &self,
        progress: &Progress,
        train_model: TrainModel,
        optimiser: ModuleOptimizer,
    ) -> Result<(TrainModel, ModuleOptimizer), TrainError> {
        let weights = self.path(&progress.folder).join("weights.bpk");
        let state = self.path(&progress.folder).join("optimiser.bpk");
        let failed = |path: &Path, message: String| TrainError::Checkpoint {
            path: path.to_owned(),
            message,
        };
        let train_model = train_model
            .try_load_file(&weights)
            .map_err(|error| failed(&weights, error.to_string()))?;
        let optimiser = optimiser
            .load(&state)
            .map_err(|error| failed(&state, error.to_string()))?;
        Ok((train_model, optimiser))
    }
}
