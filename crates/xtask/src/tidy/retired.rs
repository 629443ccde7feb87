//! Names that the code no longer has, so that they do not come back with an old branch or habit.

use std::path::Path;

use anyhow::{Context, Result};

use super::files::has_word;
use super::tokens;

/// Where a retired name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// As a word of any text: names that are no words of English.
    Everywhere,
    /// As an identifier of Rust or TypeScript: names that a sentence may contain.
    Code,
    /// As a quoted string of a TOML file.
    TomlString,
}

use Place::{Code, Everywhere, TomlString};

/// The old name, where it is refused, and the name that took its place.
const RETIRED: &[(&str, Place, &str)] = &[
    // vmad-engine
    ("Brain", Code, "LanguageContext"),
    ("Ear", Code, "DecodeState"),
    ("Standing", Code, "LmOutput (engine), RunOutcome (training)"),
    ("Spoken", Code, "GeneratedAnswer"),
    ("told", Code, "seg_conditioning"),
    ("Sight", Code, "ImageFeatures"),
    ("Seen", Code, "EncodedPhoto"),
    ("Pace", Code, "CallContext"),
    ("SetAside", Everywhere, "SuspendedSession"),
    ("breathe", Code, "yield_and_check"),
    ("choose_knowing", Everywhere, "select_device_with_hint"),
    ("Specimen", Code, "CalibrationPhoto"),
    ("specimen", Code, "calibration photo"),
    ("specimens", Code, "calibration photos"),
    // vmad-kernels and vmad-model
    ("settle", Code, "select_features, or what is done"),
    ("settled", Code, "with_batch_statistics, or what is done"),
    ("Rehearsal", Everywhere, "PipelinePrecompile"),
    ("rehearsal", Everywhere, "precompile pass"),
    ("Asking", Code, "PipelinePrecompile"),
    ("Stepping", Code, "DecodeStep, or Conv2dOptions"),
    ("LinearEnd", Everywhere, "Epilogue"),
    ("QuantOps", Everywhere, "LinearOps"),
    // vmad-prep
    ("SamFrame", Everywhere, "PhotoFrame"),
    ("ClipFit", Everywhere, "ClipMode"),
    // vmad-train
    ("Trainee", Everywhere, "TrainModel"),
    ("Told", Code, "SceneText"),
    ("ToldDefect", Everywhere, "DefectText"),
    ("Interviewer", Everywhere, "DialogueBuilder"),
    ("Glance", Code, "Preview"),
    ("Said", Code, "LmForward (training), ParsedAnswer (command)"),
    ("see", TomlString, "vision"),
    ("talk", TomlString, "language"),
    ("speak", TomlString, "joint"),
    // vmad-data
    ("spoil", Code, "finish_defect"),
    ("Easel", Everywhere, "DefectCanvas"),
    ("Dress", Code, "place_features"),
    // vmad-cli
    ("Eye", Code, "Backbone"),
    ("Heard", Code, "Event"),
    ("News", Code, "StepPrinter"),
    ("Kept", Code, "EvalTables"),
    ("Workplace", Code, "Runner"),
];

/// Files and folders that got another name.
const RETIRED_FILES: &[(&str, &str)] = &[
    ("crates/vmad-engine/src/ahead.rs", "lookahead.rs"),
    ("crates/vmad-engine/src/choose.rs", "score_choices.rs"),
    ("crates/vmad-engine/src/pace.rs", "call_context.rs"),
    ("crates/vmad-engine/src/sight.rs", "image_features.rs"),
    ("crates/vmad-engine/src/speech.rs", "generate.rs"),
    ("crates/vmad-engine/src/words.rs", "text_filter.rs"),
    ("crates/vmad-kernels/src/trial.rs", "autotune.rs"),
    ("crates/vmad-kernels/src/rehearsal.rs", "webgpu_shim/"),
    (
        "crates/vmad-data/src/spoil.rs",
        "a name for what it finishes",
    ),
    ("scripts/race", "bench/compare"),
];

/// Texts that tell what was, and this list.
const HISTORY: &[&str] = &["CHANGELOG.md", "crates/xtask/src/tidy/retired.rs"];

/// Files that still read an old name: the tables of aliases.
const ALIASES: &[(&str, &[&str])] = &[];

/// Looks at every listed text.
pub fn check(root: &Path, files: &[String]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for file in files {
        if let Some((_, new)) = RETIRED_FILES.iter().find(|(old, _)| is_below(file, old)) {
            findings.push(format!(
                "{file}: this name is retired, the new one is {new}"
            ));
        }
        let Some(language) = Language::of(file) else {
            continue;
        };
        let text = std::fs::read_to_string(root.join(file)).with_context(|| file.clone())?;
        for (line, old, new) in retired_words(language, &text) {
            if !may_read(file, old) {
                findings.push(format!(
                    "{file}:{line}: {old} is retired, the new name is {new}"
                ));
            }
        }
    }
    Ok(findings)
}

fn is_below(file: &str, path: &str) -> bool {
    file.strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn may_read(file: &str, word: &str) -> bool {
    ALIASES
        .iter()
        .any(|(path, words)| *path == file && words.contains(&word))
}

/// How a file is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Rust,
    /// TypeScript, JavaScript and WGSL, whose comments begin as Rust's.
    Script,
    Toml,
    Prose,
}

impl Language {
    /// `None`: the file is not searched.
    fn of(file: &str) -> Option<Self> {
        if HISTORY.contains(&file) || file.starts_with("tests/fixtures/") {
            return None;
        }
        match Path::new(file).extension()?.to_str()? {
            "rs" => Some(Self::Rust),
            "ts" | "js" | "mjs" | "wgsl" => Some(Self::Script),
            "toml" => Some(Self::Toml),
            "md" | "html" | "css" | "py" => Some(Self::Prose),
            _ => None,
        }
    }
}

/// Line, old and new name of each retired word.
fn retired_words(language: Language, text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for &(old, place, new) in RETIRED {
            let is_used = match place {
                Everywhere => has_word(line, old),
                Code => language == Language::Script && has_word(code_of(line), old),
                TomlString => language == Language::Toml && line.contains(&format!("\"{old}\"")),
            };
            if is_used {
                found.push((index + 1, old, new));
            }
        }
    }
    if language == Language::Rust {
        // The lexer leaves comments and strings out.
        for token in tokens::tokens(text) {
            let entry = RETIRED
                .iter()
                .find(|(old, place, _)| *place == Code && token.is_word(old));
            found.extend(entry.map(|&(old, _, new)| (token.line, old, new)));
        }
    }
    found
}

/// A line of a script without its comment, as far as a line tells.
fn code_of(line: &str) -> &str {
    let trimmed = line.trim_start();
    if trimmed.starts_with('*') || trimmed.starts_with("/*") {
        return "";
    }
    line.split("//").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_where_they_mean_the_old_thing() {
        for (language, text, expected) in [
            (Language::Rust, "// Told of a dent.\nlet told = 1;", vec![2]),
            (Language::Rust, "struct Told;\nlet a = \"Told\";", vec![1]),
            (
                Language::Rust,
                "struct Untold;\nlet retold = told_of;",
                vec![],
            ),
            (Language::Rust, "// the LinearEnd of a row", vec![1]),
            (
                Language::Script,
                "settle(); // settle\n * settle\n",
                vec![1],
            ),
            (Language::Toml, "# see\nstage = \"see\"", vec![2]),
            (Language::Prose, "We see a trial. Rehearsal", vec![1]),
        ] {
            let lines: Vec<usize> = retired_words(language, text)
                .iter()
                .map(|(line, ..)| *line)
                .collect();
            assert_eq!(lines, expected, "{text}");
        }
    }

    #[test]
    fn every_entry_has_a_new_name() {
        for (old, _, new) in RETIRED {
            assert!(!new.is_empty() && old != new, "{old}");
            assert!(
                !RETIRED.iter().any(|(other, ..)| other == new),
                "{new} is retired itself"
            );
        }
    }

    #[test]
    fn folders_are_refused_with_what_they_hold() {
        assert!(is_below("scripts/race/a.js", "scripts/race"));
        assert!(is_below("scripts/race", "scripts/race"));
        assert!(!is_below("scripts/race.mjs", "scripts/race"));
    }
}
