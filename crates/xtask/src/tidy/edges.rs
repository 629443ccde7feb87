//! Allowed dependencies between crates.

use std::path::Path;

use anyhow::{Context, Result};

use crate::tools;

/// A crate depends only on crates before it in this list.
const ORDER: &[&str] = &[
    "vmad-quant",
    "vmad-package",
    "vmad-prep",
    "vmad-kernels",
    "vmad-model",
    "vmad-engine",
    "vmad-data",
    "vmad-train",
    "vmad-eval",
    "vmad-convert",
    "vmad-web",
    "vmad-bench",
    "vmad-cli",
    "xtask",
];

/// Dependencies by prefix of their name, and the crates that may have them.
const RESERVED: &[(&str, &[&str])] = &[
    ("cubecl", &["vmad-kernels"]),
    ("wgpu", &["vmad-kernels"]),
    ("naga", &["vmad-kernels"]),
    ("burn-", &["vmad-kernels"]),
    (
        "burn",
        &[
            "vmad-kernels",
            "vmad-model",
            "vmad-engine",
            "vmad-train",
            "vmad-web",
            "vmad-bench",
            "vmad-cli",
        ],
    ),
    ("anyhow", &["vmad-cli", "xtask"]),
    ("clap", &["vmad-cli"]),
    // `vmad-kernels` queries the browser's adapter for limits that wgpu does not report.
    ("wasm-bindgen-cli-support", &["xtask"]),
    ("wasm-bindgen", &["vmad-kernels", "vmad-web", "vmad-bench"]),
    ("js-sys", &["vmad-kernels", "vmad-web"]),
    ("web-sys", &["vmad-web"]),
    // Native crates: the crates of the browser must not depend on them, although they come earlier.
    (
        "vmad-data",
        &["vmad-train", "vmad-eval", "vmad-convert", "vmad-cli"],
    ),
    ("vmad-train", &["vmad-eval", "vmad-convert", "vmad-cli"]),
    ("vmad-eval", &["vmad-convert", "vmad-cli"]),
    ("vmad-convert", &["vmad-cli"]),
];

/// Checks the manifest of every crate.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let folder = root.join("crates");
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path().join("Cargo.toml");
        if path.exists() {
            findings.extend(check_manifest(&tools::read_toml(&path)?)?);
        }
    }
    findings.sort();
    Ok(findings)
}

fn check_manifest(manifest: &toml::Table) -> Result<Vec<String>> {
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name")?.as_str())
        .context("a manifest has no package.name")?;
    let Some(place) = ORDER.iter().position(|known| *known == name) else {
        return Ok(vec![format!(
            "{name}: this crate has no place in the order of crates"
        )]);
    };
    let below = &ORDER[..place];
    let mut findings = Vec::new();
    for dependency in dependencies(manifest) {
        if ORDER.contains(&dependency) && !below.contains(&dependency) {
            findings.push(format!(
                "{name}: must not depend on {dependency}, which comes later in the order of crates"
            ));
        }
        let rule = RESERVED
            .iter()
            .find(|(start, _)| dependency.starts_with(start));
        if let Some((_, allowed)) = rule
            && !allowed.contains(&name)
        {
            let allowed = allowed.join(", ");
            findings.push(format!(
                "{name}: must not depend on {dependency}; only {allowed} may"
            ));
        }
    }
    Ok(findings)
}

/// Names of all dependencies: normal, development and build, for all targets.
fn dependencies(manifest: &toml::Table) -> Vec<&str> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = targets
        .into_iter()
        .flat_map(toml::Table::values)
        .filter_map(toml::Value::as_table)
        .chain([manifest]);
    tables
        .flat_map(|table| KINDS.map(|kind| table.get(kind)))
        .flatten()
        .filter_map(toml::Value::as_table)
        .flat_map(|table| {
            table.iter().map(|(key, value)| {
                value
                    .get("package")
                    .and_then(toml::Value::as_str)
                    .unwrap_or(key)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, rest: &str) -> Result<usize> {
        let manifest = format!("[package]\nname = \"{name}\"\n{rest}").parse()?;
        Ok(check_manifest(&manifest)?.len())
    }

    #[test]
    fn edges_point_down() -> Result<()> {
        for (name, rest, expected) in [
            (
                "vmad-model",
                "[dependencies]\nvmad-quant.workspace = true\nburn = \"1\"",
                0,
            ),
            (
                "vmad-quant",
                "[dependencies]\nvmad-model.workspace = true",
                1,
            ),
            (
                "vmad-quant",
                "[dev-dependencies]\nvmad-package.workspace = true",
                1,
            ),
            (
                "vmad-quant",
                "[target.'cfg(unix)'.dependencies]\nvmad-prep.workspace = true",
                1,
            ),
            (
                "vmad-quant",
                "[dependencies]\nq = { package = \"vmad-prep\", path = \"..\" }",
                1,
            ),
            (
                "vmad-quant",
                "[dependencies]\nvmad-quant.workspace = true",
                1,
            ),
            ("vmad-novel", "", 1),
        ] {
            assert_eq!(findings(name, rest)?, expected, "{name}: {rest}");
        }
        Ok(())
    }

    #[test]
    fn some_dependencies_are_reserved() -> Result<()> {
        for (name, dependency, expected) in [
            ("vmad-kernels", "wgpu", 0),
            ("vmad-model", "wgpu", 1),
            ("vmad-model", "burn", 0),
            ("vmad-model", "burn-cubecl", 1),
            ("vmad-prep", "burn", 1),
            ("vmad-engine", "anyhow", 1),
            ("vmad-web", "vmad-convert", 1),
            ("vmad-web", "vmad-engine", 0),
            ("vmad-web", "wasm-bindgen-futures", 0),
            ("vmad-engine", "web-sys", 1),
            ("vmad-engine", "web-time", 0),
        ] {
            let rest = format!("[dependencies]\n{dependency} = \"1\"");
            assert_eq!(findings(name, &rest)?, expected, "{name} and {dependency}");
        }
        Ok(())
    }
}
