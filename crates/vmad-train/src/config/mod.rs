//! The configuration of a run: one TOML file, or a run of a plan. It is kept with the result.

mod ablation;
mod aliases;
mod data;
mod loss;
mod optimiser;
mod plan;
mod serde_defaults;
mod stage;
mod start;
mod tasks;
mod training;

pub use ablation::Ablation;
pub use aliases::modernise;
pub use data::{BadImage, DataConfig, FolderConfig, World};
pub use loss::LossConfig;
pub use optimiser::OptimiserConfig;
pub use plan::{Plan, PlannedRun, merge_tables, remove_key};
pub use stage::Stage;
pub use start::StartConfig;
pub use tasks::Tasks;
pub use training::TrainConfig;
