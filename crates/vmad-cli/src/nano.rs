//! `vmad nano`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use vmad_package::MANIFEST_FILE;

use crate::files::{install_package, is_vacant};
use crate::text::size;

const HELP: &str = "Example:
  vmad nano models/nano

The package has every part of the model and every kind of storage in under 1 MB. Its weights are
random, so its answers mean nothing. The same seed gives the same bytes.";

/// Write the test model: random weights
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct NanoArgs {
    /// Folder to write: new, empty, or with a package, which is replaced
    out: PathBuf,
    /// Seed of the weights
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
}

/// Small, so that even this package has several shards.
const SHARD_BYTES: u64 = 192 << 10;

pub(crate) fn run(args: NanoArgs) -> Result<()> {
    let holds_package = args.out.join(MANIFEST_FILE).is_file();
    if !is_vacant(&args.out)? && !holds_package {
        bail!("{} is not empty and holds no package", args.out.display());
    }
    let package =
        vmad_engine::nano::package(args.seed, SHARD_BYTES).context("building the package")?;
    install_package(&args.out, package.files())?;
    let bytes: usize = package.files().map(|(_, bytes)| bytes.len()).sum();
    eprintln!("{} in {}", size(bytes as u64), args.out.display());
    Ok(())
}
