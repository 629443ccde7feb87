//! The workspace's own chores: `cargo xtask <chore>`.

mod budget;
mod contributors;
mod functions;
mod snip;
mod tidy;
mod tools;
mod versions;
mod wasm;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Usage: cargo xtask <chore>

  wasm [--bench] [--profile NAME] [--no-opt]
             build vmad-web for the browser into www/lib/wasm, or vmad-bench into target/vmad-bench;
             does nothing when that is up to date
  budget     print the compressed size of the shipped wasm and check it against the limit
  contributors
             print which crates that wasm's code comes from, before wasm-opt
  tidy       check what no compiler checks: dependency edges, file lengths, leftovers, file sizes
  versions   check that versions that must agree do
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let mut arguments = arguments.iter().map(String::as_str);
    let Some(chore) = arguments.next() else {
        bail!("which chore?\n\n{HELP}");
    };
    let root = tools::workspace_root()?;
    match chore {
        "wasm" => wasm::run(&root, &wasm::Options::parse(arguments)?),
        "budget" => no_more(arguments).and_then(|()| budget::run(&root)),
        "contributors" => no_more(arguments).and_then(|()| contributors::run(&root)),
        "tidy" => no_more(arguments).and_then(|()| tidy::run(&root)),
        "versions" => no_more(arguments).and_then(|()| versions::run(&root)),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("there is no chore {other:?}\n\n{HELP}"),
    }
}

fn no_more<'a>(mut arguments: impl Iterator<Item = &'a str>) -> Result<()> {
    match arguments.next() {
        Some(extra) => bail!("{extra:?} is one argument too many\n\n{HELP}"),
        None => Ok(()),
    }
}
