//! The download size of the wasm.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::tools;

/// Limit of the shipped wasm after gzip, in bytes.
const LIMIT_BYTES: usize = 2_950_000;

/// Prints the size. Fails if it exceeds the limit.
pub fn run(root: &Path) -> Result<()> {
    let path = root.join(tools::WASM_FOLDER).join(tools::WASM_FILE);
    let wasm = std::fs::read(&path)
        .with_context(|| format!("{} is missing; `cargo xtask wasm` makes it", path.display()))?;
    let compressed = gzip_bytes(&wasm)?;
    println!(
        "{}: {} raw, {} with gzip, limit {}",
        tools::WASM_FILE,
        megabytes(wasm.len()),
        megabytes(compressed),
        megabytes(LIMIT_BYTES)
    );
    if compressed > LIMIT_BYTES {
        bail!(
            "the wasm is {} over its budget",
            megabytes(compressed - LIMIT_BYTES)
        );
    }
    Ok(())
}

/// Length after gzip at its best level, which is what static servers send.
fn gzip_bytes(content: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?.len())
}

fn megabytes(bytes: usize) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_compresses() -> Result<()> {
        assert!(gzip_bytes(&[7; 10_000])? < 100);
        assert_eq!(megabytes(4_500_000), "4.50 MB");
        Ok(())
    }
}
