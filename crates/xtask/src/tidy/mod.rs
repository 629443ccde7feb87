//! Checks of this repository that no compiler makes.

mod cycles;
mod edges;
mod files;
mod lengths;
mod modules;
mod retired;
mod tokens;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Runs every check. Fails if there are findings.
pub fn run(root: &Path) -> Result<()> {
    let files = listed_files(root)?;
    let mut findings = edges::check(root)?;
    findings.extend(files::check(root, &files)?);
    findings.extend(cycles::check(root, &files)?);
    findings.extend(lengths::check(root, &files)?);
    findings.extend(retired::check(root, &files)?);
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    println!("tidy: {} files", files.len());
    Ok(())
}

/// All tracked files and untracked files that git does not ignore, relative to the root.
fn listed_files(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .current_dir(root)
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .context("git could not be started; it knows which files belong here")?;
    if !output.status.success() {
        bail!(
            "git ls-files: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let list = String::from_utf8(output.stdout).context("a file name is no UTF-8")?;
    Ok(list
        .split_terminator('\0')
        .filter(|file| root.join(file).is_file()) // A file may be listed and already deleted.
        .map(ToOwned::to_owned)
        .collect())
}
