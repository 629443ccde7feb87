//! The layers that every part is made of. Weights keep PyTorch's orientation.

mod conv;
mod embedding;
mod fused_linear;
mod layout;
mod linear;
mod norm;
mod weight;

pub use conv::{Conv2d, ConvShape, Upsample2x};
pub use embedding::Embedding;
pub(crate) use fused_linear::FusedLinear;
pub use layout::{cut_patches, gelu, merge_heads, silu, split_heads, to_channels_last, to_image};
pub use linear::{Linear, Mlp};
pub use norm::{BatchNorm, LayerNorm, RmsNorm};
