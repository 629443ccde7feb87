//! Public checkpoints, read and renamed into a package's tensor names.
//!
//! [`Checkpoint`] reads safetensors files, [`recognise`] finds their layout,
//! [`package_name`] maps one name, and [`for_each_package_tensor`] does all of it. The tables of
//! names live in this crate and nowhere else.

mod checkpoint;
mod error;
mod layout;
mod lora;
mod names;
mod pattern;
mod rename;

pub use checkpoint::{Checkpoint, Tensor};
pub use error::ConvertError;
pub use layout::{Layout, recognise};
pub use names::{Mapped, package_name, sam_original_from_hf};
pub use rename::{Renaming, for_each_package_tensor};
