//! Packages written, read back, and damaged.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod hostile;
mod round_trip;
