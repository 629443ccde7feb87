//! Everything between a photograph or a sentence and the numbers a model eats, and back again.
//!
//! Image bytes → RGB ([`decode`]) → pixel tensors of the two vision branches ([`pixels`]);
//! text ↔ token ids ([`text`], [`prompt`]); mask logits → anomaly map, score, regions ([`mask`])
//! → pictures ([`overlay`]); scores → decision thresholds ([`threshold`]). Pure functions: no I/O, no clock, no randomness, and nothing here
//! panics on outside data.

pub mod decode;
mod error;
pub mod mask;
pub mod overlay;
pub mod pixels;
mod prior;
pub mod prompt;
pub mod resize;
pub mod similarity;
pub mod text;
pub mod threshold;

pub use decode::{Limits, decode};
pub use error::PrepError;
pub use image::{GrayImage, RgbImage};
pub use mask::{Region, ScoreMode, anomaly_map, image_score, regions, union_max, upscale_logits};
pub use pixels::{ClipMode, SamFrame, clip_pixels, sam_pixels};
pub use prior::Prior;
pub use prompt::{expanded_index, state_index};
pub use similarity::{Reference, ReferenceBank};
pub use text::{IMAGE_SENTINEL, Specials, StreamDecoder, Tokenizer};
pub use threshold::{F1Max, Quantile, QuantileThreshold, f1_max, quantile_threshold};
