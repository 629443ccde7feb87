//! SAM (Kirillov et al. 2023): image encoder, prompt encoder, mask decoder.
//! Reference: facebookresearch/segment-anything; names are those of its checkpoints.

mod decoder;
mod encoder;
mod prompt;

pub use decoder::MaskDecoder;
pub use encoder::ImageEncoder;
pub use prompt::PromptEncoder;
