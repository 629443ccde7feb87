//! How a package was made, generated from its run.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use vmad_package::Threshold;
use vmad_train::{ExportOptions, TrainConfig, weights_sha256};

use crate::files::read_manifest;

/// Description and provenance of a run's package. They hold no time and no path of this machine: the same run from
/// the same commit gives the same bytes.
pub(super) fn export_options(config: &TrainConfig, step: u64) -> ExportOptions {
    ExportOptions {
        description: format!("Trained on {}.", sources(config)),
        provenance: provenance(config, step, &commit()),
        threshold: Threshold {
            image: 0.5,
            pixel: 0.5,
            temperature: 1.0,
            source: "not calibrated".to_owned(),
        },
    }
}

fn provenance(config: &TrainConfig, step: u64, commit: &str) -> BTreeMap<String, String> {
    let data = &config.data;
    let mut shares: Vec<String> = data
        .worlds
        .iter()
        .map(|(world, share)| format!("{} {share}", world.name()))
        .collect();
    let folders = data.folders.iter();
    shares.extend(folders.map(|folder| format!("{} {}", name_of(&folder.path), folder.share)));
    let ablation = &config.ablation;
    let dssl = ablation.dssl.as_ref().filter(|dssl| dssl.weight > 0.0);
    let dssl = dssl.map(|dssl| format!("weight {}, {} boxes", dssl.weight, dssl.n_boxes));
    let lora = ablation.lora.as_ref();
    let lora = lora.map(|lora| format!("rank {}, alpha {}", lora.rank, lora.alpha));
    let entries = [
        ("software", format!("vmad {}", env!("CARGO_PKG_VERSION"))),
        ("commit", commit.to_owned()),
        ("runs", runs(config).join(", ")),
        ("start", start(config)),
        ("stage", config.stage.name().to_owned()),
        ("steps", format!("{step} of {}", config.steps)),
        ("batch", config.batch.to_string()),
        ("seed", config.seed.to_string()),
        (
            "data",
            format!(
                "{}; {} scenes, seed {}, difficulty {} to {}",
                shares.join(", "),
                data.pool,
                config.data_seed(),
                data.difficulty_start,
                data.difficulty_end
            ),
        ),
        ("dssl", dssl.unwrap_or_else(|| "no".to_owned())),
        ("lora", lora.unwrap_or_else(|| "no".to_owned())),
    ];
    entries
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

/// The kinds of pictures that the run learned from.
fn sources(config: &TrainConfig) -> String {
    let names: Vec<&str> = config.data.worlds.keys().map(|w| w.name()).collect();
    let folders: Vec<String> = config
        .data
        .folders
        .iter()
        .map(|folder| name_of(&folder.path))
        .collect();
    match (names.is_empty(), folders.is_empty()) {
        (false, true) => format!("generated scenes ({}) only", names.join(", ")),
        (true, _) => format!("photographs of {}", folders.join(", ")),
        (false, false) => format!(
            "generated scenes ({}) and photographs of {}",
            names.join(", "),
            folders.join(", ")
        ),
    }
}

/// The last part of a path.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The packages that the run started from, with the hashes of their weights, and what it initialised anew.
fn start(config: &TrainConfig) -> String {
    let Some(start) = &config.start else {
        return "random weights".to_owned();
    };
    let describe = |package: &Path| match read_manifest(package) {
        Ok(manifest) => {
            let hash = weights_sha256(&manifest).to_string();
            let short: String = hash.chars().take(12).collect();
            format!("{} (weights {short})", manifest.meta.name)
        }
        Err(_) => format!("{} (not there any more)", name_of(package)),
    };
    let mut parts = vec![describe(&start.package)];
    let others = start.parts.iter();
    parts.extend(others.map(|(pattern, package)| format!("{pattern} of {}", describe(package))));
    if !start.reinitialise.is_empty() {
        parts.push(format!("{} at random", start.reinitialise.join(" ")));
    }
    parts.join("; ")
}

/// The runs that led to this one, as their packages record them, and this one.
fn runs(config: &TrainConfig) -> Vec<String> {
    let mut runs: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        if !runs.iter().any(|run| run == name) {
            runs.push(name.to_owned());
        }
    };
    if let Some(start) = &config.start {
        let packages = start.parts.values().chain([&start.package]);
        for manifest in packages.filter_map(|package| read_manifest(package).ok()) {
            let meta = manifest.meta;
            let earlier = meta.provenance.get("runs");
            let earlier = earlier.map_or("", String::as_str).split(", ");
            earlier.filter(|name| !name.is_empty()).for_each(&mut add);
            add(&meta.name);
        }
    }
    add(&config.name);
    runs
}

/// The commit of the repository that the command runs in, with a mark where files have changed since; "unknown"
/// outside of a repository.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "HEAD"]) else {
        return "unknown".to_owned();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit}, with changes"),
    }
}

#[cfg(test)]
mod tests {
    use vmad_train::Plan;

    use super::*;

    #[test]
    fn a_package_says_how_its_run_was_made() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let plan = Plan::read(&root.join("models/tiny/runs.toml")).expect("the plan is valid");
        let mut config = plan.run("tiny").expect("there is one").config.clone();
        // Paths of a plan are relative to the repository.
        if let Some(start) = &mut config.start {
            start.package = root.join(&start.package);
            start
                .parts
                .values_mut()
                .for_each(|path| *path = root.join(&*path));
        }
        let made = provenance(&config, 1600, "abc");
        let check = |key: &str, expected: &str| {
            assert!(made[key].contains(expected), "{key}: {}", made[key]);
        };
        check("runs", "tiny-sam");
        check("runs", ", tiny");
        check("start", "tiny-talk-names (weights ");
        check("start", "clip.* of tiny-clip-whole2 (weights ");
        check("start", "ltc.* evidence.*norm.* evidence.fc* at random");
        check("data", "catalogue 0.5, workshop 0.5; 9000 scenes, seed 22");
        check("steps", "1600 of 1600");
        check("dssl", "no");
        check("lora", "no");
        check("commit", "abc");
        // The shipped package says the same, but for its commit and version.
        let shipped = read_manifest(&root.join("models/tiny"))
            .expect("it is valid")
            .meta;
        let export = export_options(&config, 1600);
        assert_eq!(shipped.description, export.description);
        for (key, value) in &made {
            if !["commit", "software"].contains(&key.as_str()) {
                assert_eq!(shipped.provenance.get(key), Some(value), "{key}");
            }
        }
    }
}
