//! Data sets on disk: every layout, divisions, bad files, hostile annotations.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod coco;
mod common;
mod folders;
mod masks;
mod photos;
mod splits;
