//! Defect-sensitive structure learning (§8, equations 8–18): patches of a picture are compared with
//! a memory of pictures of the same class, once by what SAM sees and once by the tokens that the
//! language model gets, and the second comparison learns to come out like the first. For training
//! only: a model at inference never needs any of it.
//!
//! The order of things in a step: ask [`Memory::is_ready`] for each picture; where it is, draw
//! [`PatchBox`]es and run their crops through CLIP and the projector; [`DsslHeads::loss`];
//! [`observe`] the pictures, ready or not; and when the whole step is done, [`Memory::push`] what
//! was observed, in the order of the batch.

mod boxes;
mod config;
mod heads;
mod memory;
mod pbsd;
mod pooling;
mod roi_align;
mod store;

pub use boxes::{PatchBox, draw_boxes};
pub use config::{ClassKey, DsslConfig, VisualHead};
pub use heads::{DsslHeads, DsslImage, Maps, Patches, observe};
pub use memory::{Centre, Entry, Memory, Observation};
pub use pbsd::{Support, contrastive, log_similarity, pbsd, unit};
pub use pooling::{Extent, extent_mean};
pub use roi_align::{SamplingRatio, roi_align, roi_mean};
