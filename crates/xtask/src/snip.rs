//! Removes the code of functions that our calls never reach. The compiler keeps them, since method tables refer to
//! them, or a kind of tensor that is only known at run time.
//!
//! A snipped function keeps its index and traps. wasm-opt then drops the functions that only snipped ones called.

use anyhow::Result;

use crate::functions::{self, Function};

/// Path prefixes of the functions to snip, or of the types and traits that they belong to.
pub const UNREACHED: &[&str] = &[
    // Quantised tensors of burn: our weights have another packing and shaders of our own.
    "cubecl_std::quant",
    "cubek_quant",
    "burn_cubecl::kernel::quantization",
    // Burn's matrix products and convolutions for GPUs: `vmad_kernels::matmul` and `conv2d` replace them.
    "cubek_matmul",
    "cubek_tile",
    // Parsers of cubecl's intermediate representation: there is none as text.
    "combine",
    "pliron::parsable",
];

/// Smaller functions may be shared: the linker merges equal code under one of the names.
const MIN_BYTES: usize = 96;

const UNREACHABLE: u8 = 0x00;
const NOP: u8 = 0x01;
const END: u8 = 0x0b;

/// The result of [`snip`].
pub struct Snipped {
    /// Bytes of the snipped functions.
    pub n_bytes: usize,
    /// Members of [`UNREACHED`] that match no function.
    pub absent: Vec<&'static str>,
}

/// Overwrites the unreached functions.
///
/// # Errors
/// When the wasm cannot be parsed.
pub fn snip(wasm: &mut [u8]) -> Result<Snipped> {
    let functions = functions::of(wasm)?;
    let (mut n_bytes, mut absent) = (0, Vec::new());
    for path in UNREACHED {
        let found = functions.iter().filter(|f| is_of(f, path));
        let before = n_bytes;
        for function in found {
            n_bytes += function.body.len();
            trap(&mut wasm[function.body.clone()]);
        }
        if n_bytes == before {
            absent.push(*path);
        }
    }
    Ok(Snipped { n_bytes, absent })
}

fn is_of(function: &Function, path: &str) -> bool {
    // `drop_in_place` is shared by all variants of a generic type, under the name of one.
    function.body.len() >= MIN_BYTES
        && !function.name.starts_with("core::ptr::drop_in_place")
        && begins_a_path(&function.name, path)
}

/// True for `path::…` and for methods of `<path::…>`, `<T as path::…>` or `<impl path::… for T>`.
fn begins_a_path(name: &str, path: &str) -> bool {
    let own = name.trim_start_matches(['<', '&', '(', '[', '*']);
    let mut begins = vec![own];
    begins.extend(own.split(" as ").skip(1).take(1));
    begins.extend(own.split("<impl ").skip(1).take(1));
    begins.iter().any(|start| {
        start
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with("::"))
    })
}

/// Replaces a body by one of the same length that has no locals and traps.
fn trap(body: &mut [u8]) {
    let last = body.len() - 1;
    body.fill(NOP);
    body[0] = 0;
    body[1] = UNREACHABLE;
    body[last] = END;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_functions() {
        for name in [
            "combine::parser::parse",
            "<combine::parser::Map<P, F> as core::fmt::Debug>::fmt",
            "<pliron::location::Source as combine::Parsable>::parse",
            "<&combine::Stream as core::fmt::Debug>::fmt",
            "pliron::x::<impl combine::Parser for F>::parse",
        ] {
            assert!(begins_a_path(name, "combine"), "{name}");
        }
        for name in [
            "combined::parse",
            "itertools::combine::parse",
            "alloc::vec::Vec<combine::Stream>::push",
            "combine",
            "",
        ] {
            assert!(!begins_a_path(name, "combine"), "{name}");
        }
    }

    #[test]
    fn a_trap_is_a_body() {
        let mut body = [0xff; 6];
        trap(&mut body);
        assert_eq!(body, [0, UNREACHABLE, NOP, NOP, NOP, END]);
    }
}
