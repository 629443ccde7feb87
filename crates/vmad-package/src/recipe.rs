use serde::{Deserialize, Serialize};

use crate::Storage;

/// Which storage each tensor of a package gets: the first rule that matches
/// its name decides, and the default where none does.
///
/// ```
/// use vmad_package::{Recipe, Storage};
/// let recipe = Recipe::new(Storage::F16)
///     .rule("llm.embed_tokens.weight", Storage::Int8)
///     .rule("llm.*_proj.weight", Storage::Int4);
/// assert_eq!(recipe.storage_for("llm.layers.0.mlp.up_proj.weight", &[8, 4]), Storage::Int4);
/// assert_eq!(recipe.storage_for("llm.norm.weight", &[4]), Storage::F16);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Tried in this order.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Storage of a tensor that no rule matches.
    pub default: Storage,
}

/// One line of a [`Recipe`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A tensor name in which each `*` stands for any run of characters, dots included.
    pub pattern: String,
    /// Storage of the tensors that it matches.
    pub storage: Storage,
}

impl Recipe {
    /// A recipe without rules.
    pub fn new(default: Storage) -> Self {
        Self {
            rules: Vec::new(),
            default,
        }
    }

    /// Adds a rule after those that are there.
    #[must_use]
    pub fn rule(mut self, pattern: impl Into<String>, storage: Storage) -> Self {
        self.rules.push(Rule {
            pattern: pattern.into(),
            storage,
        });
        self
    }

    /// The storage of a tensor. Scalars and vectors are never quantised: where
    /// the recipe says so they are kept in `f32`, being few and sensitive.
    pub fn storage_for(&self, name: &str, shape: &[usize]) -> Storage {
        let rule = self
            .rules
            .iter()
            .find(|rule| name_matches(&rule.pattern, name));
        let storage = rule.map_or(self.default, |rule| rule.storage);
        if shape.len() < 2 && storage.is_quantised() {
            Storage::F32
        } else {
            storage
        }
    }
}

/// Whether `name` is of the form `pattern`, in which each `*` stands for any run of characters.
pub fn name_matches(pattern: &str, name: &str) -> bool {
    let Some((prefix, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(prefix) else {
        return false;
    };
    let (middle, suffix) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(mut name) = name.strip_suffix(suffix) else {
        return false;
    };
    // The earliest place for each part leaves the most room for those after it.
    for part in middle.split('*') {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("*", "", true),
            ("*", "a.b", true),
            ("a.*", "a.b.c", true),
            ("a.*", "b.a.c", false),
            ("*.weight", "a.weight", true),
            ("*.weight", "a.weights", false),
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.c", false),
            ("ab*ba", "aba", false),
            ("ab*ba", "abba", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("a*b*b*c", "a1b2c", false),
            ("a**c", "ac", true),
            ("*é*", "aéb", true),
        ] {
            assert_eq!(name_matches(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn first_match_decides_and_vectors_stay_float() {
        let recipe = Recipe::new(Storage::Int4)
            .rule("llm.lm_head.*", Storage::Int8)
            .rule("llm.*", Storage::F16);
        for (name, shape, expected) in [
            ("llm.lm_head.weight", vec![2, 2], Storage::Int8),
            ("llm.lm_head.bias", vec![2], Storage::F32),
            ("llm.norm.weight", vec![2], Storage::F16),
            ("clip.proj", vec![2, 2], Storage::Int4),
            ("clip.bias", vec![2], Storage::F32),
            ("clip.scalar", vec![], Storage::F32),
        ] {
            assert_eq!(recipe.storage_for(name, &shape), expected, "{name}");
        }
    }

    #[test]
    fn recipe_is_json() -> Result<(), serde_json::Error> {
        let recipe = Recipe::new(Storage::F16).rule("llm.*", Storage::Int4);
        let json = r#"{"rules":[{"pattern":"llm.*","storage":"int4"}],"default":"f16"}"#;
        assert_eq!(serde_json::to_string(&recipe)?, json);
        assert_eq!(serde_json::from_str::<Recipe>(json)?, recipe);
        assert!(serde_json::from_str::<Recipe>(r#"{"default":"int2"}"#).is_err());
        Ok(())
    }
}
