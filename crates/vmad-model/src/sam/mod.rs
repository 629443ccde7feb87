//! SAM (Kirillov et al. 2023): image encoder, prompt encoder, mask decoder. MobileSAM (Zhang et al.
//! 2023) is the same with a smaller image encoder.
//! Reference: facebookresearch/segment-anything; names are those of its checkpoints.

mod decoder;
mod encoder;
mod neck;
mod prompt;
mod tiny_vit;
mod vit;
mod windows;

pub use decoder::MaskDecoder;
pub use encoder::ImageEncoder;
pub use prompt::PromptEncoder;
pub use tiny_vit::TinyVitEncoder;
pub use vit::VitEncoder;
