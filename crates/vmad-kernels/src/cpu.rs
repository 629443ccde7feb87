//! The operations on the CPU backend.
//!
//! A product with a packed weight decodes each row in registers inside its dot products for a few tokens, and a tile of
//! rows that fits the second-level cache for many; the decoded matrix is never stored. Machines with fused multiply-add
//! compute in floats (`float.rs`), WebAssembly in integers (`fixed.rs`).

mod attention;
mod dense;
mod fixed;
mod float;
mod gemm;
mod lanes;
mod linear;
mod packed;
#[cfg(any(target_family = "wasm", test))]
mod panels;
mod sample;
mod stem;
mod strided;
mod tensors;
