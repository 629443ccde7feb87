//! Takes code out of a wasm that no call of ours reaches, which the compiler cannot know: it stands in tables of
//! methods, or behind a kind of tensor that is told apart only when the program runs.
//!
//! A snipped function keeps its place and traps. wasm-opt then drops what only such functions called.

use anyhow::Result;

use crate::functions::{self, Function};

/// By the beginning of a function's path, or of that of the type or trait that it belongs to.
pub const UNREACHED: &[&str] = &[
    // Tensors that burn quantises: our weights are packed in another way, and have shaders of our own.
    "cubecl_std::quant",
    "cubek_quant",
    "burn_cubecl::kernel::quantization",
    // Burn's products and convolutions for GPUs: `vmad_kernels::matmul` and `conv2d` take their place.
    "cubek_matmul",
    "cubek_tile",
    // Reading cubecl's intermediate representation as text: nothing writes it.
    "combine",
    "pliron::parsable",
];

/// Smaller ones may be merged with others of the same code, which go by one of their names.
const LEAST_BYTES: usize = 96;

const UNREACHABLE: u8 = 0x00;
const NOP: u8 = 0x01;
const END: u8 = 0x0b;

/// What was snipped.
pub struct Snipped {
    /// Bytes of the functions.
    pub n_bytes: usize,
    /// Members of [`UNREACHED`] that the wasm has no function of.
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
    // What is dropped may be another variant of a type that is named for one.
    function.body.len() >= LEAST_BYTES
        && !function.name.starts_with("core::ptr::drop_in_place")
        && begins_a_path(&function.name, path)
}

/// Whether a function is `path::…`, or a method of `<path::…>`, `<T as path::…>` or `<impl path::… for T>`.
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

/// A body without locals that traps, as long as the old one.
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
