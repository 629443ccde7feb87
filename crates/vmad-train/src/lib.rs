//! Training from nothing: samples, losses, the loop with checkpoints, and the export as a package.
//! Native only.

mod checkpoint;
mod config;
mod conversation;
pub mod dssl;
mod error;
mod export;
mod freeze;
mod lora;
pub mod loss;
mod samples;
mod start;
mod step;
mod tokenizer;
mod trainer;

pub use checkpoint::Progress;
pub use config::{DataConfig, LossConfig, OptimiserConfig, TrainConfig};
pub use error::TrainError;
pub use export::{ExportOptions, export};
pub use freeze::Freeze;
pub use lora::{DroppingLora, Lora, LoraConfig};
pub use tokenizer::{TokenizerError, train_tokenizer};
pub use trainer::{StepReport, Trainer};
