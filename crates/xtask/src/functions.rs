//! The functions of a wasm that still has their names.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::Result;
use wasmparser::{KnownCustom, Name, Parser, Payload, TypeRef};

/// A function that the module defines.
pub struct Function {
    /// Demangled, without the hash; empty if the module has no name for it.
    pub name: String,
    /// Byte range of its locals and code.
    pub body: Range<usize>,
}

/// All functions, in the module's order.
pub fn of(wasm: &[u8]) -> Result<Vec<Function>> {
    let (mut n_imported, mut bodies, mut names) = (0_u32, Vec::new(), HashMap::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    n_imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.range()),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(parts) = section.as_known() {
                    for part in parts {
                        if let Name::Function(functions) = part? {
                            for function in functions {
                                let function = function?;
                                names.insert(function.index, function.name);
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }
    let demangled = |index| match names.get(&index) {
        Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
        None => String::new(),
    };
    let functions = (n_imported..).zip(bodies).map(|(index, body)| Function {
        name: demangled(index),
        body,
    });
    Ok(functions.collect())
}
