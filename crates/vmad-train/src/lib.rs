//! Training: samples, stages with their losses, the loop with checkpoints, and the export as a package.
//! Native only.

mod batch;
mod batch_statistics;
mod checkpoint;
mod config;
mod corpus;
mod crop_window;
mod dialogue;
pub mod dssl;
mod error;
mod export;
mod features;
mod freeze;
mod heads;
mod lm_forward;
mod lora;
pub mod loss_functions;
mod loss_parts;
mod micro_batches;
mod object_names;
mod optimiser;
mod package_weights;
mod patch_classes;
mod pool;
mod questions;
mod scene_embedding;
mod scene_text;
mod stage;
mod start;
mod strip;
mod targets;
mod tensors;
mod tokenizer;
mod train_model;
mod trainer;
mod validation;
mod view;
mod worlds;

pub use checkpoint::Progress;
pub use config::{
    Ablation, BadImage, DataConfig, FolderConfig, LossConfig, OptimiserConfig, Plan, PlannedRun,
    Stage, StartConfig, Tasks, TrainConfig, World, merge_tables, modernise, remove_key,
};
pub use error::TrainError;
pub use export::{ExportOptions, export};
pub use freeze::Freeze;
pub use lora::{DroppingLora, Lora, LoraConfig};
pub use loss_parts::{LossPart, Losses};
pub use package_weights::{BASE_FILE, Base, BasePackage, PackageWeights, weights_sha256};
pub use strip::{StripOptions, StripReport, learned_names, strip_checkpoint};
pub use tokenizer::{TokenizerError, train_tokenizer};
pub use trainer::{StepReport, Trainer};
pub use validation::{HeldOut, Preview};
