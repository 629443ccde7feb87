//! Versions that are written down in more than one place, or must fit a program.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::tools;

/// Checks them all.
pub fn run(root: &Path) -> Result<()> {
    println!("wasm-bindgen {}", wasm_bindgen(root)?);

    let workspace = workspace_version(root)?;
    let package = npm_version(root)?;
    if workspace != package {
        bail!("Cargo.toml has version {workspace}, package.json has {package}");
    }
    println!("vmad-web {workspace}");
    Ok(())
}

/// The version of wasm-bindgen in Cargo.lock, the only place that states it.
///
/// # Errors
/// When `wasm-bindgen-cli-support`, which writes the JavaScript, has another version.
pub fn wasm_bindgen(root: &Path) -> Result<String> {
    let lock = tools::read_toml(&root.join("Cargo.lock"))?;
    let [library, support] =
        ["wasm-bindgen", "wasm-bindgen-cli-support"].map(|name| locked_version(&lock, name));
    let (library, support) = (library?, support?);
    if library != support {
        bail!(
            "Cargo.lock has wasm-bindgen {library} and wasm-bindgen-cli-support {support}: \
             `cargo update wasm-bindgen-cli-support --precise {library}` makes them equal"
        );
    }
    Ok(library)
}

fn locked_version(lock: &toml::Table, name: &str) -> Result<String> {
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let mut versions = packages
        .into_iter()
        .flatten()
        .filter(|package| package.get("name").and_then(toml::Value::as_str) == Some(name))
        .filter_map(|package| package.get("version")?.as_str());
    let version = versions
        .next()
        .with_context(|| format!("Cargo.lock holds no {name}"))?;
    if let Some(second) = versions.next() {
        bail!("Cargo.lock holds {name} twice, {version} and {second}");
    }
    Ok(version.to_owned())
}

fn workspace_version(root: &Path) -> Result<String> {
    let manifest = tools::read_toml(&root.join("Cargo.toml"))?;
    let version = (|| {
        manifest
            .get("workspace")?
            .get("package")?
            .get("version")?
            .as_str()
    })();
    Ok(version
        .context("Cargo.toml has no workspace.package.version")?
        .to_owned())
}

fn npm_version(root: &Path) -> Result<String> {
    let text = std::fs::read_to_string(root.join("package.json")).context("package.json")?;
    let package: serde_json::Value = serde_json::from_str(&text).context("package.json")?;
    Ok(package["version"]
        .as_str()
        .context("package.json has no version")?
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(packages: &[(&str, &str)]) -> Result<toml::Table> {
        let text: String = packages
            .iter()
            .map(|(name, version)| {
                format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
            })
            .collect();
        Ok(text.parse()?)
    }

    #[test]
    fn a_locked_version_is_found_once() -> Result<()> {
        let one = lock(&[
            ("a", "1.0.0"),
            ("wasm-bindgen", "0.2.99"),
            ("wasm-bindgen-x", "3.0.0"),
        ])?;
        assert_eq!(locked_version(&one, "wasm-bindgen")?, "0.2.99");
        assert!(locked_version(&one, "b").is_err());
        let two = lock(&[("a", "1.0.0"), ("a", "2.0.0")])?;
        assert!(locked_version(&two, "a").is_err());
        Ok(())
    }
}
