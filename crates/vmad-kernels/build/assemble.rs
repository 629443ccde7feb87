//! A shader's source: its file, the files that it includes, and for each feature the files that replace some of them.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};

/// Features of adapters, named as the fields of `Features`: a file `x_f16.wgsl` replaces `x.wgsl` where there is f16.
pub const FEATURES: &[&str] = &["subgroups", "packed", "f16"];

/// One file.
pub struct Part {
    path: PathBuf,
    pub text: String,
}

impl Part {
    /// The text without comments, empty lines and superfluous spaces, which a browser would have to fetch.
    pub fn minified(&self) -> String {
        let lines = self.text.lines().map(minified);
        let lines = lines.filter(|line| !line.is_empty());
        lines.map(|line| line + "\n").collect()
    }
}

/// A line without its comment, and without the spaces that separate no two tokens.
fn minified(line: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    // Two operators could become a third one, as in `a - -b`.
    let is_operator = |c: char| "+-*/%&|^<>=!~".contains(c);
    let code = line.split("//").next().unwrap_or_default();
    let mut text = String::new();
    for word in code.split_whitespace() {
        if let (Some(before), Some(after)) = (text.chars().last(), word.chars().next())
            && (is_word(before) && is_word(after) || is_operator(before) && is_operator(after))
        {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// A shader followed by the files it includes.
pub struct Assembled {
    pub parts: Vec<Part>,
    /// The features whose files it contains.
    pub features: Vec<&'static str>,
}

impl Assembled {
    /// A shader with the file `last` appended, for each set of features that changes it, the largest set first.
    pub fn variants(folder: &Path, name: &str, last: Option<&str>) -> Result<Vec<Self>, String> {
        let mut variants = Vec::new();
        for set in (0..1 << FEATURES.len()).rev() {
            let wanted: Vec<&'static str> = FEATURES
                .iter()
                .enumerate()
                .filter(|(i, _)| set >> i & 1 == 1)
                .map(|(_, feature)| *feature)
                .collect();
            let mut assembled = Self {
                parts: Vec::new(),
                features: Vec::new(),
            };
            assembled.append_with_includes(folder, &format!("{name}.wgsl"), &wanted)?;
            if let Some(last) = last {
                assembled.append_with_includes(folder, last, &wanted)?;
            }
            if assembled.features.len() == wanted.len() {
                variants.push(assembled);
            }
        }
        variants.sort_by_key(|assembled| Reverse(assembled.features.len()));
        Ok(variants)
    }

    fn append_with_includes(
        &mut self,
        folder: &Path,
        file: &str,
        features: &[&'static str],
    ) -> Result<(), String> {
        let text = self.append_for(folder, file, features)?;
        for include in text
            .lines()
            .filter_map(|line| line.strip_prefix("//#include "))
        {
            self.append_for(folder, include.trim(), features)?;
        }
        Ok(())
    }

    /// Appends the file, or what replaces it under the first of the features that has a replacement.
    fn append_for(
        &mut self,
        folder: &Path,
        file: &str,
        features: &[&'static str],
    ) -> Result<String, String> {
        let stem = file.trim_end_matches(".wgsl");
        let replacement = features
            .iter()
            .map(|feature| (*feature, folder.join(format!("{stem}_{feature}.wgsl"))))
            .find(|(_, path)| path.exists());
        let Some((feature, path)) = replacement else {
            return self.append(folder.join(file));
        };
        if !self.features.contains(&feature) {
            self.features.push(feature);
        }
        self.append(path)
    }

    fn append(&mut self, path: PathBuf) -> Result<String, String> {
        let mut text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        if text.contains("{{") || text.contains("}}") {
            return Err(format!(
                "{}: doubled braces are placeholders of burn's template engine",
                path.display()
            ));
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
        self.parts.push(Part {
            path,
            text: text.clone(),
        });
        Ok(text)
    }

    /// Replaces a line; `false` where no file contains it.
    pub fn replace(&mut self, line: &str, by: &str) -> bool {
        let part = self.parts.iter_mut().find(|part| part.text.contains(line));
        if let Some(part) = part {
            part.text = part.text.replace(line, by);
            return true;
        }
        false
    }

    /// Whether it contains files of a feature.
    pub fn uses(&self, feature: &str) -> bool {
        self.features.contains(&feature)
    }

    /// The file and line that a line of the assembled text comes from.
    pub fn origin(&self, line: u32) -> String {
        let mut first = 1;
        for part in &self.parts {
            let behind = first + part.text.lines().count() as u32;
            if line < behind {
                return format!("{}:{}", part.path.display(), line - first + 1);
            }
            first = behind;
        }
        String::new()
    }
}
