//! The VMAD model as burn modules: CLIP encoder, projectors, LLaMA, SAM and their composition.
//!
//! Modules hold weights only; running state (the KV cache) is an argument. Every part is sized by
//! [`VmadConfig`], gets its weights through a [`WeightSource`] and does no I/O.

pub mod clip;
pub mod config;
pub mod error;
pub mod evidence;
pub mod llama;
pub mod nn;
pub mod projector;
pub mod sam;
pub mod similarity;
mod stem;
mod vmad;
pub mod weights;

pub use config::VmadConfig;
pub use error::ModelError;
pub use vmad::{Vmad, expand_visual};
pub use weights::{Builder, DeviceWeights, Init, LoadedWeight, RandomWeights, WeightSource};
