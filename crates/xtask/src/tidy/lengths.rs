//! Lengths of functions.

use std::path::Path;

use anyhow::{Context, Result};

use super::files::are_code;
use super::tokens;

/// A function should have about 60 lines, which fit on a screen. Signature and braces count, comments and
/// blank lines do not.
const MAX_FUNCTION_LINES: usize = 64;

/// Functions that may be longer, with the reason. The list only shrinks: an entry whose function has
/// become shorter is a finding.
const LONGER: &[(&str, &str, &str)] = &[
    (
        "crates/vmad-data/src/finish_defect.rs",
        "finish_defect",
        "one pass over the pixels of a defect",
    ),
    (
        "crates/vmad-data/src/generator.rs",
        "add_defects",
        "one scene, in the order of its random draws, which its seed fixes",
    ),
    (
        "crates/vmad-data/src/render.rs",
        "render",
        "a table: one arm for each case",
    ),
    (
        "crates/vmad-data/src/studio/defects/lines.rs",
        "cut",
        "one scene, in the order of its random draws, which its seed fixes",
    ),
    (
        "crates/vmad-data/src/subject.rs",
        "questions",
        "one entry for each subtask of MMAD",
    ),
    (
        "crates/vmad-data/src/words.rs",
        "phrases",
        "a table: one arm for each case",
    ),
    (
        "crates/vmad-data/src/workshop.rs",
        "add_defects",
        "one scene, in the order of its random draws, which its seed fixes",
    ),
    (
        "crates/vmad-data/src/workshop/feature.rs",
        "apply",
        "a table: one arm for each case",
    ),
    (
        "crates/vmad-data/src/workshop/form.rs",
        "draw",
        "a table: one arm for each case",
    ),
    (
        "crates/vmad-data/src/workshop/outline.rs",
        "distance",
        "a table: one arm for each case",
    ),
    (
        "crates/vmad-data/src/workshop/pattern.rs",
        "at",
        "a table: one arm for each case",
    ),
    (
        "crates/vmad-data/src/workshop/place_features.rs",
        "put",
        "a table: one arm for each case",
    ),
    (
        "crates/vmad-data/src/workshop/stage.rs",
        "several",
        "one scene, in the order of its random draws, which its seed fixes",
    ),
    (
        "crates/vmad-data/src/workshop/stage.rs",
        "surface",
        "one scene, in the order of its random draws, which its seed fixes",
    ),
    (
        "crates/vmad-eval/src/answer_parser.rs",
        "parse",
        "a table: the words of each size and severity",
    ),
];

/// Looks at the functions of every crate, tests aside.
pub fn check(root: &Path, files: &[String]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut n_used = vec![0; LONGER.len()];
    for file in files {
        let is_source =
            file.starts_with("crates/") && file.contains("/src/") && file.ends_with(".rs");
        // Files of tests are modules behind `#[cfg(test)]`.
        let is_test = file.contains("/tests/") || file.ends_with("/tests.rs");
        if !is_source || is_test {
            continue;
        }
        let text = std::fs::read_to_string(root.join(file)).with_context(|| file.clone())?;
        for (line, name, n_lines) in long_functions(&text) {
            let is_allowed =
                |(path, function, _): &(&str, &str, &str)| file == path && name == *function;
            match LONGER.iter().position(is_allowed) {
                Some(entry) => n_used[entry] += 1,
                None => findings.push(format!(
                    "{file}:{line}: fn {name} has {n_lines} lines of code, the limit is {MAX_FUNCTION_LINES}"
                )),
            }
        }
    }
    for ((file, name, _), n_used) in LONGER.iter().zip(n_used) {
        if n_used == 0 {
            findings.push(format!(
                "{file}: fn {name} is not over the limit any more: take it out of tidy/lengths.rs"
            ));
        }
    }
    Ok(findings)
}

/// Line, name and lines of code of each function that is too long.
fn long_functions(text: &str) -> Vec<(usize, String, usize)> {
    let all = tokens::tokens(text);
    let are_code = are_code(text);
    let functions = tokens::functions(&tokens::without_tests(&all));
    let measured = functions.iter().map(|function| {
        let lines = &are_code[function.first_line - 1..function.last_line];
        let n_lines = lines.iter().filter(|is_code| **is_code).count();
        (function.first_line, function.name.to_owned(), n_lines)
    });
    measured
        .filter(|(.., n_lines)| *n_lines > MAX_FUNCTION_LINES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_outside_of_tests_counts() {
        let body = "    let a = 1;\n".repeat(MAX_FUNCTION_LINES - 2);
        let longer = "    let a = 1;\n".repeat(MAX_FUNCTION_LINES - 1);
        for (source, expected) in [
            (format!("fn f() {{\n{body}}}\n"), 0),
            (format!("fn f() {{\n{body}    // why\n\n}}\n"), 0),
            (format!("fn f() {{\n{longer}}}\n"), 1),
            (format!("#[test]\nfn f() {{\n{longer}}}\n"), 0),
            (
                format!("#[cfg(test)]\nmod tests {{\nfn f() {{\n{longer}}}\n}}\n"),
                0,
            ),
        ] {
            assert_eq!(long_functions(&source).len(), expected, "{source}");
        }
    }
}
