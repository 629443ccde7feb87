//! Builds a crate for the browser: cargo, wasm-bindgen, wasm-opt, each only if its input changed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::snip::{self, Snipped};
use crate::{tools, versions};

const TARGET: &str = "wasm32-unknown-unknown";
/// The shipped module.
const SHIPPED: Module = Module {
    package: "vmad-web",
    folder: tools::WASM_FOLDER,
};
/// The module of `npm run bench`.
const BENCH: Module = Module {
    package: "vmad-bench",
    folder: "target/vmad-bench",
};
/// The optimiser in the npm package `binaryen`: a plain script, run with Node.
const WASM_OPT: &str = "node_modules/binaryen/bin/wasm-opt";

/// The features that rustc and `.cargo/config.toml` turn on. `--all-features` would let the
/// optimiser write forms that browsers refuse.
const WASM_FEATURES: &[&str] = &[
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// A crate and the folder of its module, relative to the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Module {
    package: &'static str,
    folder: &'static str,
}

impl Module {
    /// Base name of the module's files.
    fn name(self) -> String {
        self.package.replace('-', "_")
    }

    /// File name that wasm-bindgen gives the wasm.
    fn file(self) -> String {
        format!("{}_bg.wasm", self.name())
    }
}

/// Options of the command line.
pub struct Options {
    module: Module,
    profile: String,
    optimise: bool,
}

impl Options {
    /// Reads `[--bench] [--profile NAME] [--no-opt]`.
    pub fn parse<'a>(mut arguments: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut options = Self {
            module: SHIPPED,
            profile: "web".to_owned(),
            optimise: true,
        };
        while let Some(argument) = arguments.next() {
            match argument {
                "--profile" => {
                    arguments
                        .next()
                        .context("--profile needs a name")?
                        .clone_into(&mut options.profile);
                }
                "--bench" => options.module = BENCH,
                "--no-opt" => options.optimise = false,
                other => bail!("wasm takes no {other:?}"),
            }
        }
        Ok(options)
    }
}

/// Builds what is out of date.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let version = versions::wasm_bindgen(root)?;
    let Options {
        module, profile, ..
    } = options;
    let (package, folder, file) = (module.package, module.folder, module.file());
    let wasm = compile(root, *module, profile)?;
    let optimiser = Some(root.join(WASM_OPT)).filter(|path| options.optimise && path.exists());

    let stamp = stamp(&wasm, &version, optimiser.as_deref())?;
    let stamp_file = root.join(format!("target/{package}.stamp"));
    let output = root.join(folder);
    if output.join(&file).exists()
        && std::fs::read_to_string(&stamp_file).is_ok_and(|old| old == stamp)
    {
        println!("{folder} is up to date");
        return Ok(());
    }

    // The module is made beside its place, so that its place never holds half of one.
    let staging = output.with_extension("new");
    remove_folder(&staging)?;
    let snipped = snipped(&wasm, *module)?;
    bind(&snipped, *module, &staging)?;
    match &optimiser {
        Some(optimiser) => optimise(optimiser, &staging.join(&file))?,
        None if options.optimise => eprintln!(
            "{WASM_OPT} is missing (`npm ci` installs it): the wasm stays three times as large"
        ),
        None => {}
    }
    remove_folder(&output)?;
    std::fs::rename(&staging, &output)
        .with_context(|| format!("{} cannot be put into its place", output.display()))?;
    std::fs::write(&stamp_file, stamp)?;
    println!("{folder} is new");
    Ok(())
}

/// Runs cargo and returns the path of the wasm.
fn compile(root: &Path, module: Module, profile: &str) -> Result<PathBuf> {
    let package = module.package;
    let mut cargo = tools::cargo();
    cargo
        .current_dir(root)
        .args([
            "build",
            "--target",
            TARGET,
            "--package",
            package,
            "--lib",
            "--profile",
            profile,
        ])
        .arg("--message-format=json-render-diagnostics")
        // This would take the place of the flags in .cargo/config.toml, without which it fails.
        .env_remove("RUSTFLAGS")
        .stdout(Stdio::piped());
    let mut child = cargo.spawn().context("cargo could not be started")?;
    let messages = child.stdout.take().context("cargo has no output")?;
    let mut wasm = None;
    for line in BufReader::new(messages).lines() {
        wasm = wasm_of(module, &line?).or(wasm);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("cargo build of {package} for {TARGET} failed ({status})");
    }
    wasm.with_context(|| format!("cargo built no wasm of {package}: its library must be a cdylib"))
}

/// The wasm file that one of cargo's messages announces.
fn wasm_of(module: Module, message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let name = module.name();
    if message["reason"] != "compiler-artifact" || message["target"]["name"] != name.as_str() {
        return None;
    }
    message["filenames"]
        .as_array()?
        .iter()
        .filter_map(|file| file.as_str())
        .find(|file| file.ends_with(".wasm"))
        .map(PathBuf::from)
}

/// A hash of the inputs. It differs between compilers, which only costs a rebuild.
fn stamp(wasm: &Path, version: &str, optimiser: Option<&Path>) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    std::fs::read(wasm)
        .with_context(|| wasm.display().to_string())?
        .hash(&mut hasher);
    snip::UNREACHED.hash(&mut hasher);
    if let Some(optimiser) = optimiser {
        std::fs::metadata(optimiser)?.len().hash(&mut hasher);
        WASM_FEATURES.hash(&mut hasher);
    }
    Ok(format!("{version} {:016x}", hasher.finish()))
}

/// Writes the wasm without unreached functions beside the original and returns its path.
fn snipped(wasm: &Path, module: Module) -> Result<PathBuf> {
    let path = wasm.with_extension("snipped.wasm");
    let mut content = std::fs::read(wasm).with_context(|| wasm.display().to_string())?;
    let Snipped { n_bytes, absent } = snip::snip(&mut content)?;
    if module == SHIPPED && !absent.is_empty() {
        bail!("the wasm has no function of {absent:?}: remove it from snip::UNREACHED");
    }
    println!("snipped {:.2} MB of unreached code", n_bytes as f64 / 1e6);
    std::fs::write(&path, content).with_context(|| path.display().to_string())?;
    Ok(path)
}

/// Writes the module's JavaScript, its types and its wasm into `folder`, as `wasm-bindgen --target web` does.
fn bind(wasm: &Path, module: Module, folder: &Path) -> Result<()> {
    let mut bindgen = Bindgen::new();
    bindgen
        .web(true)?
        .typescript(true)
        .remove_producers_section(true)
        // Vite emits the .wasm only for a path that stands in the script.
        .omit_default_module_path(false)
        .out_name(&module.name())
        .input_path(wasm);
    bindgen
        .generate(folder)
        .with_context(|| format!("wasm-bindgen cannot read {}", wasm.display()))
}

/// Optimises a wasm that has names for size, and strips the names.
fn optimise(optimiser: &Path, wasm: &Path) -> Result<()> {
    println!("optimising {}, which takes a few minutes", wasm.display());
    let [sorted, smaller] = ["sorted", "small"].map(|extension| wasm.with_extension(extension));
    let pass = |options: &[&str], from: &Path, to: &Path| {
        tools::run(
            Command::new("node")
                .arg(optimiser)
                .args(WASM_FEATURES)
                .args(options)
                .arg(from)
                .arg("--output")
                .arg(to),
        )
    };
    // Functions with similar names have similar code, and gzip only finds repetitions nearby. The
    // optimiser's default order is by number of calls.
    let by_name = ["--debuginfo", "--reorder-functions-by-name"];
    pass(&by_name, wasm, &sorted)?;
    let small = ["-Oz", "--strip-debug", "--skip-pass=reorder-functions"];
    pass(&small, &sorted, &smaller)?;
    std::fs::remove_file(&sorted)?;
    Ok(std::fs::rename(&smaller, wasm)?)
}

fn remove_folder(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() -> Result<()> {
        let options = Options::parse(["--bench", "--no-opt", "--profile", "dev"].into_iter())?;
        assert!(!options.optimise);
        assert_eq!((options.module, options.profile.as_str()), (BENCH, "dev"));
        assert!(Options::parse(["--profile"].into_iter()).is_err());
        assert!(Options::parse(["--fast"].into_iter()).is_err());
        Ok(())
    }

    #[test]
    fn only_the_modules_wasm_is_taken() {
        let message = |name: &str, file: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"{name}"}},"filenames":["/a.rlib","{file}"]}}"#
            )
        };
        let found = |message: &str| wasm_of(SHIPPED, message);
        let wasm = found(&message("vmad_web", "/b/vmad_web.wasm"));
        assert_eq!(wasm, Some(PathBuf::from("/b/vmad_web.wasm")));
        assert_eq!(found(&message("vmad_web", "/b/libvmad_web.so")), None);
        assert_eq!(found(&message("other", "/b/other.wasm")), None);
        assert_eq!(found("no JSON"), None);
    }
}
