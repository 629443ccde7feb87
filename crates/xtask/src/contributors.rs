//! The share of each crate in the wasm's code.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};

use crate::functions;

/// The output of the compiler, with the names that wasm-opt strips.
const UNSTRIPPED: &str = "target/wasm32-unknown-unknown/web/vmad_web.wasm";

const MAX_CRATES: usize = 20;

/// Prints the crates with the most code before wasm-opt, as a Markdown table.
pub fn run(root: &Path) -> Result<()> {
    let path = root.join(UNSTRIPPED);
    let wasm = std::fs::read(&path)
        .with_context(|| format!("{} is missing; `cargo xtask wasm` makes it", path.display()))?;
    let sizes = by_crate(&wasm)?;
    let all: usize = sizes.iter().map(|(_, bytes)| bytes).sum();
    println!("| Crate | MB of code | Share |\n|---|---:|---:|");
    for (name, bytes) in sizes.iter().take(MAX_CRATES) {
        let (mb, share) = (*bytes as f64 / 1e6, 100.0 * *bytes as f64 / all as f64);
        println!("| {name} | {mb:.2} | {share:.0} % |");
    }
    println!("| all of {} | {:.2} | |", sizes.len(), all as f64 / 1e6);
    Ok(())
}

/// Bytes of the functions of each crate, the largest first.
fn by_crate(wasm: &[u8]) -> Result<Vec<(String, usize)>> {
    let mut sizes: HashMap<String, usize> = HashMap::new();
    for function in functions::of(wasm)? {
        *sizes.entry(crate_of(&function.name)).or_default() += function.body.len();
    }
    let mut sizes: Vec<_> = sizes.into_iter().collect();
    sizes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(sizes)
}

/// The crate of a function: the first path in its name, so `A`'s for `<A as B>::c`.
fn crate_of(name: &str) -> String {
    let path = name.trim_start_matches(['<', '&', '(', '[', '*']);
    let path = ["mut ", "dyn ", "const "]
        .iter()
        .fold(path, |path, word| path.strip_prefix(word).unwrap_or(path));
    match path.split_once("::") {
        Some((krate, _)) => krate.to_owned(),
        None => "others".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_names() {
        assert_eq!(crate_of("core::fmt::write"), "core");
        let implemented = "<alloc::string::String as core::fmt::Debug>::fmt";
        assert_eq!(crate_of(implemented), "alloc");
        assert_eq!(crate_of("memcpy"), "others");
    }
}
