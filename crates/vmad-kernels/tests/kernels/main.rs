//! Every operation on every backend against plain Rust. One program: each would link all of burn.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod attention;
mod compare;
mod dense;
#[cfg(feature = "wgpu")]
mod gpu;
mod kv;
mod norm;
mod ops;
mod poison;
mod product;
mod projector;
mod random;
mod sample;
mod stem;
