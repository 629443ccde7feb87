//! Paths of the workspace, and helpers to run programs and read files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Folder of the workspace's `Cargo.toml`.
pub fn workspace_root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here
        .ancestors()
        .nth(2)
        .context("crates/xtask has no workspace above it")?;
    Ok(root.to_owned())
}

/// Folder of the generated module and its wasm, relative to the root.
pub const WASM_FOLDER: &str = "www/lib/wasm";
/// File name of the shipped wasm in [`WASM_FOLDER`].
pub const WASM_FILE: &str = "vmad_web_bg.wasm";
/// The cargo that runs this task.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a program to its end. Fails if the program fails.
pub fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("{name} could not be started"))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}

/// Reads a TOML file.
pub fn read_toml(path: &Path) -> Result<toml::Table> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    text.parse()
        .with_context(|| format!("{} is no TOML", path.display()))
}
