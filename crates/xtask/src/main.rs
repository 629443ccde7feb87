//! Tasks of the workspace: `cargo xtask <task>`.

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
Usage: cargo xtask <task>

  wasm [--bench] [--profile NAME] [--no-opt]
             build vmad-web for the browser into www/lib/wasm, or vmad-bench into target/vmad-bench;
             does nothing when that is up to date
  budget     print the compressed size of the shipped wasm and check it against the limit
  contributors
             print the share of each crate in that wasm's code, before wasm-opt
  tidy       check dependency edges, import cycles, lengths of files and functions, retired names,
             leftovers, file sizes
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
    let Some(task) = arguments.next() else {
        bail!("no task given\n\n{HELP}");
    };
    let root = tools::workspace_root()?;
    match task {
        "wasm" => wasm::run(&root, &wasm::Options::parse(arguments)?),
        "budget" => expect_no_more(arguments).and_then(|()| budget::run(&root)),
        "contributors" => expect_no_more(arguments).and_then(|()| contributors::run(&root)),
        "tidy" => expect_no_more(arguments).and_then(|()| tidy::run(&root)),
        "versions" => expect_no_more(arguments).and_then(|()| versions::run(&root)),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("there is no task {other:?}\n\n{HELP}"),
    }
}

fn expect_no_more<'a>(mut arguments: impl Iterator<Item = &'a str>) -> Result<()> {
    match arguments.next() {
        Some(extra) => bail!("unexpected argument {extra:?}\n\n{HELP}"),
        None => Ok(()),
    }
}
