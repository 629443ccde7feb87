//! The sizes of every part. One serialisable value, [`VmadConfig`], describes a whole model.

mod check;
mod clip;
mod llama;
mod projector;
mod sam;
mod stem;
mod vmad;

pub use clip::ClipConfig;
pub use llama::LlamaConfig;
pub use projector::{Fusion, LtcConfig, ProjectorConfig, RegionConfig};
#[cfg(feature = "ablation")]
pub use projector::{PoolConfig, ResamplerConfig};
pub use sam::{ConvNorm, SamConfig, SamEncoder, SamVitConfig, SimilaritySource, TinyVitConfig};
pub use stem::Stem;
pub use vmad::{EvidenceConfig, VmadConfig};
