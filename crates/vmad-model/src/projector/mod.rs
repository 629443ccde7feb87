//! Projectors from patch features to visual tokens (§4). The feature `ablation` adds three that the
//! paper compares them with.

mod any;
mod deformable;
mod downsampler;
#[cfg(feature = "ablation")]
mod ldp;
mod learner;
mod ltc;
#[cfg(feature = "ablation")]
mod pool;
mod region;
#[cfg(feature = "ablation")]
mod resampler;
mod token_packer;

pub use any::Projector;
pub use deformable::DeformableAttention;
#[cfg(feature = "ablation")]
pub use ldp::Ldpv2;
pub use ltc::{Injection, Ltc, LtcOutput};
#[cfg(feature = "ablation")]
pub use pool::AvgPool;
pub use region::{RegionAttention, RegionLevel};
#[cfg(feature = "ablation")]
pub use resampler::Resampler;
pub use token_packer::TokenPacker;
