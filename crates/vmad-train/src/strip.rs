//! Makes a checkpoint that holds only what its run has learned, from a finished package.

use std::path::{Component, Path, PathBuf};

use vmad_package::{PackageWriter, Storage, TensorEntry, name_matches};

use crate::TrainError;
use crate::config::TrainConfig;
use crate::export::SHARD_BYTES;
use crate::package_weights::{BASE_FILE, Base, BasePackage, PackageWeights, weights_sha256};
use crate::stage::frozen;

/// The tensors that a run learns, and where the others come from.
#[derive(Clone, Debug, Default)]
pub struct StripOptions {
    /// Patterns of the tensors that the checkpoint holds.
    pub learned: Vec<String>,
    /// Patterns of other tensors, each with the package that holds them.
    pub bases: Vec<(String, PathBuf)>,
}

/// Counts of [`strip_checkpoint`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StripReport {
    /// Tensors in the checkpoint.
    pub n_learned: usize,
    /// Tensors that bases hold, with the same values.
    pub n_in_bases: usize,
    /// Tensors without values.
    pub n_absent: usize,
}

/// Names of the tensors that a run learns, LoRA's base weights among them.
///
/// # Errors
/// The model's sizes.
pub fn learned_names(run: &TrainConfig) -> Result<Vec<String>, TrainError> {
    let frozen = frozen(run).patterns;
    let lora = run.ablation.lora.is_some();
    let is_merged = |name: &str| {
        let ends = ["self_attn.q_proj.weight", "self_attn.v_proj.weight"];
        lora && name.starts_with("llm.") && ends.iter().any(|end| name.ends_with(end))
    };
    let names = vmad_model::Vmad::shapes(&run.model)?.into_iter();
    let names = names.map(|(name, _)| name);
    let is_frozen = |name: &String| frozen.iter().any(|pattern| name_matches(pattern, name));
    Ok(names
        .filter(|name| is_merged(name) || !is_frozen(name))
        .collect())
}

/// Writes the learned tensors of `package` to `out`, with a [`BASE_FILE`] for the others. A tensor that is neither
/// learned nor in a base becomes absent: no run can use it.
///
/// # Errors
/// A pattern without a tensor, a base that has other values than the package, a quantised package, or the file
/// system's.
pub fn strip_checkpoint(
    package: &Path,
    options: &StripOptions,
    out: &Path,
) -> Result<StripReport, TrainError> {
    let invalid = |message: String| TrainError::Package {
        path: package.to_owned(),
        message,
    };
    let source = PackageWeights::read(package)?;
    let mut bases = Vec::new();
    for (pattern, folder) in &options.bases {
        bases.push((pattern, PackageWeights::read(folder)?));
    }
    let meta = source.manifest.meta.clone();
    let mut writer = PackageWriter::new(meta, source.tokenizer_json.clone(), SHARD_BYTES)?;
    let (mut report, mut absent) = (StripReport::default(), Vec::new());
    for entry in source.manifest.tensors() {
        let name = &entry.name;
        let (values, shape) = &source.tensors[name];
        if options.learned.iter().any(|p| name_matches(p, name)) {
            check_storage(package, entry)?;
            writer.add(name, shape, values, entry.storage)?;
            report.n_learned += 1;
            continue;
        }
        let base = bases
            .iter()
            .find(|(pattern, _)| name_matches(pattern, name));
        match base {
            Some((_, base)) if !base.is_absent(name) => {
                if !has_values(base, name, values) {
                    let base = base.folder.display();
                    return Err(invalid(format!(
                        "{name} has other values than in the base {base}"
                    )));
                }
                report.n_in_bases += 1;
            }
            _ => absent.push(name.as_str()),
        }
    }
    check_patterns(package, &options.learned, &source)?;
    report.n_absent = absent.len();
    let names: Vec<&str> = source.manifest.tensors().iter().map(|t| &*t.name).collect();
    let describe = |(pattern, base): &(&String, PackageWeights)| {
        Ok(BasePackage {
            tensors: (*pattern).clone(),
            package: relative_path(out, &base.folder)?,
            weights_sha256: weights_sha256(&base.manifest),
        })
    };
    let base = Base {
        bases: bases
            .iter()
            .map(describe)
            .collect::<Result<_, TrainError>>()?,
        absent: patterns_of(&absent, &names),
    };
    write(writer, &base, out)?;
    Ok(report)
}

/// Fails for a pattern that matches no tensor.
fn check_patterns(
    package: &Path,
    patterns: &[String],
    source: &PackageWeights,
) -> Result<(), TrainError> {
    let is_unknown = |pattern: &&String| {
        let mut entries = source.manifest.tensors().iter();
        !entries.any(|entry| name_matches(pattern, &entry.name))
    };
    match patterns.iter().find(is_unknown) {
        None => Ok(()),
        Some(pattern) => Err(TrainError::Package {
            path: package.to_owned(),
            message: format!("no tensor is called {pattern:?}"),
        }),
    }
}

/// Fails for a quantised tensor: training resumes from floats.
fn check_storage(package: &Path, entry: &TensorEntry) -> Result<(), TrainError> {
    if matches!(entry.storage, Storage::F32 | Storage::F16) {
        return Ok(());
    }
    Err(TrainError::Package {
        path: package.to_owned(),
        message: format!(
            "{} is stored as {}; a checkpoint needs recipe.default = \"f16\" or \"f32\" without rules",
            entry.name, entry.storage
        ),
    })
}

/// Whether a base has a tensor of exactly these values, bit for bit.
fn has_values(base: &PackageWeights, name: &str, values: &[f32]) -> bool {
    let bits = |value: &f32| value.to_bits();
    let other = base.tensors.get(name);
    other.is_some_and(|(other, _)| other.iter().map(bits).eq(values.iter().map(bits)))
}

fn write(writer: PackageWriter, base: &Base, out: &Path) -> Result<(), TrainError> {
    let io = |source| TrainError::Io {
        path: out.to_owned(),
        source,
    };
    std::fs::create_dir_all(out).map_err(io)?;
    // First, since without it the checkpoint would pass for a whole package.
    let mut json = serde_json::to_vec_pretty(base).map_err(|error| io(error.into()))?;
    json.push(b'\n');
    vmad_data::write_whole(&out.join(BASE_FILE), &json).map_err(io)?;
    writer.finish(&mut |file, content| vmad_data::write_whole(&out.join(file), content))?;
    Ok(())
}

/// The names, with `part.*` in place of all of a part's.
fn patterns_of(absent: &[&str], all: &[&str]) -> Vec<String> {
    let mut patterns: Vec<String> = Vec::new();
    for name in absent {
        let part = name.split_once('.').map_or(*name, |(part, _)| part);
        let is_of_part = |other: &&&str| other.split('.').next() == Some(part);
        let n_absent = absent.iter().filter(is_of_part).count();
        let pattern = match n_absent == all.iter().filter(is_of_part).count() {
            true => format!("{part}.*"),
            false => (*name).to_owned(),
        };
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    patterns
}

/// The path to `to` from the folder `from`, which need not be there yet.
fn relative_path(from: &Path, to: &Path) -> Result<PathBuf, TrainError> {
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|source| TrainError::Io {
            path: path.to_owned(),
            source,
        })
    };
    let (from, to) = (absolute(from)?, absolute(to)?);
    let (from, to): (Vec<Component>, Vec<Component>) =
        (from.components().collect(), to.components().collect());
    let n_shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(Component::ParentDir, from.len() - n_shared);
    Ok(up.chain(to[n_shared..].iter().copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_absent_whole_are_one_pattern() {
        let all = ["a.x", "a.y", "b.x", "b.y", "c"];
        assert_eq!(patterns_of(&["a.x", "a.y", "b.y"], &all), ["a.*", "b.y"]);
        assert_eq!(patterns_of(&[], &all), [""; 0]);
    }

    #[test]
    fn paths_are_relative_to_the_checkpoint() {
        for (from, to, expected) in [
            ("/m/c/place", "/m/c/talk", "../talk"),
            (
                "/m/c/place",
                "/runs/talk/package",
                "../../../runs/talk/package",
            ),
        ] {
            let path = relative_path(Path::new(from), Path::new(to));
            assert_eq!(path.ok(), Some(PathBuf::from(expected)));
        }
    }
}
