//! The public operations: each checks shapes, asks [`Route`](crate::route::Route) and calls a backend or composes burn's
//! operations.

mod activation;
mod attention;
mod deformable;
mod dense;
mod kv;
mod linear;
mod norm;
mod quant;
mod region;
mod sample;
mod stem;

pub use attention::{attention, relative_positions};
pub use deformable::{Points, deformable_attention};
pub use dense::{conv2d, matmul, upsample_2x};
pub use kv::{KvLayer, Rotary};
pub use linear::{RmsScale, linear_f32, matmul_gated, matmul_linear, matmul_normed, matmul_parts};
pub use norm::{layer_norm, layer_norm_image, rms_norm};
pub use quant::{Epilogue, gather_quant, matmul_quant};
pub use region::region_attention;
pub use sample::SampledTokens;
pub use stem::{ChannelNorm, batch_norm, overlapping_cells};
