//! Lengths, sizes and leftovers.

use std::path::Path;

use anyhow::{Context, Result};

/// Limit of a source file; a longer one has more than one subject.
const MAX_CODE_LINES: usize = 500;
/// Limit of a file below `tests/`, since every clone fetches all of them.
const MAX_TEST_FILE_BYTES: u64 = 2 << 20;
/// Limits of folders: the package for tests and the shipped one.
const MAX_FOLDER_BYTES: &[(&str, u64)] = &[("models/nano/", 1_000_000), ("models/tiny/", 16 << 20)];

/// Sources in which the number of lines of code is limited.
const COUNTED: &[&str] = &["rs", "ts"];
/// Extensions of the files that are searched for leftovers.
const TEXT: &[&str] = &[
    "rs", "ts", "js", "mjs", "wgsl", "py", "css", "html", "md", "toml", "json", "sh", "yml",
];
/// Markers of unfinished work, in halves so that this file does not contain them.
const LEFTOVERS: &[(&str, &str)] = &[
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X"),
    ("HA", "CK"),
    ("todo", "!("),
    ("unimplemented", "!("),
    ("dbg", "!("),
];
/// Files written by programs.
const GENERATED: &[&str] = &["Cargo.lock", "package-lock.json"];

/// Checks every listed file.
pub fn check(root: &Path, files: &[String]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut folder_bytes = vec![0; MAX_FOLDER_BYTES.len()];
    for file in files {
        let path = root.join(file);
        let bytes = path.metadata().with_context(|| file.clone())?.len();
        if file.starts_with("tests/") && bytes > MAX_TEST_FILE_BYTES {
            findings.push(format!(
                "{file}: {bytes} bytes, the limit is {MAX_TEST_FILE_BYTES}"
            ));
        }
        for ((folder, _), sum) in MAX_FOLDER_BYTES.iter().zip(&mut folder_bytes) {
            if file.starts_with(folder) {
                *sum += bytes;
            }
        }
        // Fixtures and packages hold data, not prose.
        let is_data = file.starts_with("tests/fixtures/") || file.starts_with("models/");
        let extension = Path::new(file)
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        if GENERATED.contains(&file.as_str()) || is_data || !TEXT.contains(&extension) {
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(|| file.clone())?;
        findings.extend(leftovers(file, &text));
        let lines = code_lines(&text);
        if COUNTED.contains(&extension) && lines > MAX_CODE_LINES {
            findings.push(format!(
                "{file}: {lines} lines of code, the limit is {MAX_CODE_LINES}"
            ));
        }
    }
    for ((folder, limit), sum) in MAX_FOLDER_BYTES.iter().zip(folder_bytes) {
        if sum > *limit {
            findings.push(format!("{folder}: {sum} bytes, the limit is {limit}"));
        }
    }
    Ok(findings)
}

fn leftovers(file: &str, text: &str) -> Vec<String> {
    let words: Vec<String> = LEFTOVERS.iter().map(|(a, b)| format!("{a}{b}")).collect();
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(word) = words.iter().find(|word| has_word(line, word)) {
            findings.push(format!("{file}:{}: unfinished ({word})", index + 1));
        }
    }
    findings
}

/// True if `line` contains `word` without a letter, digit or `_` next to it.
pub fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let ends_in_letter = is_part(word.chars().next_back());
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !(is_part(before) || ends_in_letter && is_part(after))
    })
}

/// Lines that hold code.
fn code_lines(text: &str) -> usize {
    are_code(text)
        .into_iter()
        .filter(|is_code| *is_code)
        .count()
}

/// For each line whether it holds code: it is neither blank nor only a comment. A block comment
/// counts as such where it begins a line, which is how they are written here.
pub fn are_code(text: &str) -> Vec<bool> {
    let mut in_comment = false;
    let is_code = |line: &str| {
        if in_comment || line.starts_with("/*") {
            in_comment = !line.contains("*/");
            return false;
        }
        !line.is_empty() && !line.starts_with("//")
    };
    text.lines().map(str::trim).map(is_code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blanks_are_no_code() {
        for (text, expected) in [
            ("", 0),
            ("a\n\n// b\nc // d\n", 2),
            ("/* a\n b\n c */\nd\n", 1),
            ("/** a */\nb\n/* c */\n", 1),
            ("//! a\n/// b\n#[c]\nd\n", 2),
        ] {
            assert_eq!(code_lines(text), expected, "{text:?}");
        }
    }

    #[test]
    fn leftovers_are_whole_words() {
        let [(a, b), ..] = LEFTOVERS else { return };
        for (line, expected) in [
            (format!("// {a}{b}: more"), 1),
            (format!("{a}{b}"), 1),
            (format!("ME{a}{b}LOGY"), 0),
            (format!("{a}{b}_LIST"), 0),
            ("todo".to_owned(), 0),
            (format!("{}{}", "todo", "!()"), 1),
        ] {
            assert_eq!(leftovers("file", &line).len(), expected, "{line}");
        }
    }
}
