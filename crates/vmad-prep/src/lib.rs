//! Preprocessing and postprocessing of photographs, text and masks.
//!
//! Image bytes → RGB ([`decode`]) → pixel tensors of the two vision branches ([`pixels`]), which lie
//! in the photograph as [`photo_frame`] says; text ↔ token ids ([`text`], [`prompt`]); mask logits →
//! anomaly map, score, regions ([`mask`]) → pictures ([`overlay`]); scores → decision thresholds
//! ([`threshold`]). All functions are pure: no I/O, clock or randomness. None panics on outside data.

pub mod decode;
mod error;
pub mod mask;
pub mod overlay;
pub mod photo_frame;
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
pub use photo_frame::{ClipMode, FrameAxis, LinearTap, PhotoFrame, PixelBox};
pub use pixels::{SamInput, clip_pixels, sam_input};
pub use prior::Prior;
pub use prompt::{expanded_index, state_index};
pub use similarity::{Reference, ReferenceBank};
pub use text::{IMAGE_SENTINEL, Specials, StreamDecoder, Tokenizer};
pub use threshold::{F1Max, Quantile, QuantileThreshold, f1_max, quantile_threshold};
