//! Training from nothing: samples, losses, the loop with checkpoints, and the export as a package.
//! Native only.

mod checkpoint;
mod config;
mod conversation;
pub mod dssl;
mod error;
mod export;
mod facts;
mod features;
mod freeze;
mod heads;
mod lora;
pub mod loss;
mod losses;
mod naming;
mod parallel;
mod samples;
mod speak;
mod start;
mod step;
mod tokenizer;
mod told;
mod trainer;
mod validation;
mod worlds;

pub use checkpoint::Progress;
pub use config::{
    BadImage, DataConfig, FolderConfig, LossConfig, OptimiserConfig, Stage, Tasks, TrainConfig,
    World,
};
pub use error::TrainError;
pub use export::{ExportOptions, export};
pub use freeze::Freeze;
pub use lora::{DroppingLora, Lora, LoraConfig};
pub use losses::{Losses, Part};
pub use tokenizer::{TokenizerError, train_tokenizer};
pub use trainer::{StepReport, Trainer};
pub use validation::{Glance, HeldOut};
