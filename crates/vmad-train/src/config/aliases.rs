//! Words of older configurations. Files that were written before a rename are still read; everything that
//! is written has the new words.

use toml::{Table, Value};

/// Old and new key, as dotted paths.
const KEYS: [(&str, &str); 6] = [
    ("dssl", "ablation.dssl"),
    ("lora", "ablation.lora"),
    ("start.fresh", "start.reinitialise"),
    ("start.fresh_tokenizer", "start.new_tokenizer"),
    ("optimiser.rates", "optimiser.rate_factors"),
    ("data.variants", "data.views_per_scene"),
];

/// Old and new value of `stage`.
const STAGES: [(&str, &str); 3] = [("see", "vision"), ("talk", "language"), ("speak", "joint")];

/// Replaces old keys and stage names by today's.
///
/// # Errors
/// A key that is given under its old and its new name.
pub fn modernise(config: &mut Table) -> Result<(), String> {
    for (old, new) in KEYS {
        if let Some(value) = remove(config, old)
            && insert(config, new, value).is_none()
        {
            return Err(format!(
                "{old} is the old name of {new}, and both are there"
            ));
        }
    }
    if let Some(Value::String(stage)) = config.get_mut("stage")
        && let Some((_, new)) = STAGES.iter().find(|(old, _)| *old == stage.as_str())
    {
        *stage = (*new).to_owned();
    }
    Ok(())
}

/// Today's name of a dotted key.
pub(super) fn current_key(key: &str) -> String {
    for (old, new) in KEYS {
        if key == old {
            return new.to_owned();
        }
        if let Some(rest) = key.strip_prefix(old)
            && rest.starts_with('.')
        {
            return format!("{new}{rest}");
        }
    }
    key.to_owned()
}

fn remove(table: &mut Table, key: &str) -> Option<Value> {
    match key.split_once('.') {
        Some((first, rest)) => remove(table.get_mut(first)?.as_table_mut()?, rest),
        None => table.remove(key),
    }
}

/// `None` where the key is taken, or a part of its path is no table.
fn insert(table: &mut Table, key: &str, value: Value) -> Option<()> {
    match key.split_once('.') {
        Some((first, rest)) => {
            let inner = table
                .entry(first)
                .or_insert_with(|| Value::Table(Table::new()));
            insert(inner.as_table_mut()?, rest, value)
        }
        None if table.contains_key(key) => None,
        None => {
            table.insert(key.to_owned(), value);
            Some(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_words_become_todays() {
        let old = "stage = 'speak'\n[start]\npackage = 'p'\nfresh = ['a']\nfresh_tokenizer = true\n\
                   [optimiser]\nrates = { 'a.*' = 0.5 }\n[data]\nvariants = 2\n\
                   [dssl]\nn_boxes = 2\n[lora]\nrank = 4";
        let new = "stage = 'joint'\n[start]\npackage = 'p'\nreinitialise = ['a']\nnew_tokenizer = true\n\
                   [optimiser]\nrate_factors = { 'a.*' = 0.5 }\n[data]\nviews_per_scene = 2\n\
                   [ablation.dssl]\nn_boxes = 2\n[ablation.lora]\nrank = 4";
        let parse = |text: &str| toml::from_str::<Table>(text).expect("a test's TOML parses");
        let mut config = parse(old);
        assert_eq!(modernise(&mut config), Ok(()));
        assert_eq!(config, parse(new));
        assert_eq!(modernise(&mut config), Ok(()), "new words stay");
        assert_eq!(config, parse(new));
        for (old, new) in STAGES {
            let mut config = parse(&format!("stage = '{old}'"));
            assert_eq!(modernise(&mut config), Ok(()));
            assert_eq!(config["stage"].as_str(), Some(new));
        }
    }

    #[test]
    fn a_key_under_both_names_is_named() {
        let mut config =
            toml::from_str("[start]\nfresh = []\nreinitialise = []").expect("a test's TOML parses");
        let error = modernise(&mut config).err().unwrap_or_default();
        assert!(error.contains("start.fresh"), "{error}");
    }

    #[test]
    fn keys_are_translated() {
        for (key, expected) in [
            ("dssl", "ablation.dssl"),
            ("dssl.weight", "ablation.dssl.weight"),
            ("dsslx", "dsslx"),
            ("optimiser.rates", "optimiser.rate_factors"),
            ("model.evidence", "model.evidence"),
        ] {
            assert_eq!(current_key(key), expected);
        }
    }
}
