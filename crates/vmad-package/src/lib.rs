//! The model package: one `model.json`, one `tokenizer.json` and weight shards
//! in the safetensors format. Bytes in, structs out.
//!
//! The format is specified in `docs/package-format.md`. This crate is its only
//! parser; it does no I/O, so the browser and the command line share it. What
//! a [`Manifest`] or a [`ShardTensor`] holds has been checked: versions, sizes,
//! hashes, names, shapes, dtypes, ranges. Nothing is allocated by a number that
//! a file states before that number has been compared with what is there.
//!
//! ```no_run
//! # fn fetch(_: &str) -> Vec<u8> { Vec::new() }
//! # fn main() -> Result<(), vmad_package::PackageError> {
//! use vmad_package::{Joiner, Manifest, ShardReader};
//!
//! let manifest = Manifest::parse(&fetch("model.json"))?;
//! let mut joiner = Joiner::default();
//! for (index, shard) in manifest.shards().iter().enumerate() {
//!     let bytes = fetch(&shard.file);
//!     for piece in ShardReader::verify_and_parse(&manifest, index, &bytes)? {
//!         if let Some(tensor) = joiner.push(piece)? {
//!             println!("{} {:?}", tensor.name, tensor.shape);
//!         }
//!     }
//! }
//! joiner.finish()
//! # }
//! ```

mod conversation;
mod entry;
mod error;
mod header;
mod join;
mod manifest;
mod meta;
mod placement;
mod plan;
mod recipe;
mod sha256;
mod shard;
mod storage;
mod tensor;
mod writer;

#[cfg(test)]
mod fuzz;

pub use conversation::{
    Conversation, DEFAULT_OBJECT, IMAGE_PLACEHOLDER, Queries, Templates, Topic,
};
pub use entry::{FileEntry, TensorEntry};
pub use error::{EntryPlace, PackageError};
pub use join::Joiner;
pub use manifest::{
    FORMAT, MANIFEST_FILE, MAX_FILE_BYTES, MAX_MANIFEST_BYTES, MAX_SHARDS, MAX_TENSORS, Manifest,
    TOKENIZER_FILE, VERSION,
};
pub use meta::{PackageMeta, Threshold};
pub use recipe::{Recipe, Rule, name_matches};
pub use sha256::Sha256;
pub use shard::ShardReader;
pub use storage::{MAX_RANK, Storage};
pub use tensor::{ShardTensor, TensorData};
pub use vmad_quant::{Q4Matrix, Q8Matrix, QuantError};
pub use writer::PackageWriter;
