//! Where things are, and how other programs are run.

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

/// Where the generated module and its wasm lie, relative to the root.
pub const WASM_FOLDER: &str = "www/lib/wasm";
/// File name of the shipped wasm in [`WASM_FOLDER`].
pub const WASM_FILE: &str = "vmad_web_bg.wasm";
/// Where tools are installed that must have one exact version, relative to the root.
pub const TOOLS_FOLDER: &str = "target/tools";

/// Path of an installed tool.
pub fn tool(root: &Path, name: &str) -> PathBuf {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    root.join(TOOLS_FOLDER).join("bin").join(file)
}

/// The cargo that runs this task.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs to the end and fails if the program did.
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

/// The first line of what `program --version` prints, or `None` where there is no such program.
pub fn version_line(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output
        .status
        .success()
        .then(|| text.lines().next().unwrap_or_default().to_owned())
}

/// Reads a TOML file.
pub fn read_toml(path: &Path) -> Result<toml::Table> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    text.parse()
        .with_context(|| format!("{} is no TOML", path.display()))
}
