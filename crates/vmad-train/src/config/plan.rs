//! A plan: several runs in one file, each with what it changes of a template or of another run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::aliases::{current_key, modernise};
use super::training::TrainConfig;
use crate::TrainError;

/// A file such as `models/tiny/runs.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The runs in their order.
    pub runs: Vec<PlannedRun>,
}

/// A run of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRun {
    /// Its configuration.
    pub config: TrainConfig,
    /// Folder of the finished package; in the run's folder if absent.
    pub package: Option<PathBuf>,
    /// Scenes that set the package's thresholds; 0 for none.
    pub calibrate: u64,
}

/// The parsed file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    template: BTreeMap<String, Entry>,
    run: Vec<Entry>,
}

/// A template or a run: what it changes, and of what.
#[derive(Clone, Deserialize)]
struct Entry {
    /// A template, or a run of the plan.
    extends: Option<String>,
    /// Keys that are removed from what it extends, such as `model.evidence`.
    #[serde(default)]
    without: Vec<String>,
    /// As [`PlannedRun::package`]; not inherited.
    package: Option<PathBuf>,
    /// As [`PlannedRun::calibrate`]; not inherited.
    #[serde(default)]
    calibrate: u64,
    /// Keys of a [`TrainConfig`].
    #[serde(flatten)]
    changes: Table,
}

impl Entry {
    fn name(&self) -> &str {
        let name = self.changes.get("name").and_then(Value::as_str);
        name.unwrap_or_default()
    }
}

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// An unreadable file, a reference to nothing or in a circle, or a run that cannot be used.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(|source| TrainError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|message| TrainError::Config {
            path: path.to_owned(),
            message,
        })
    }

    /// Reads and checks the text of a plan.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file = File::parse(text)?;
        let runs = file.run.iter().map(|entry| {
            let config = TrainConfig::from_table(file.resolve(entry)?)?;
            Ok(PlannedRun {
                config,
                package: entry.package.clone(),
                calibrate: entry.calibrate,
            })
        });
        let named = file.run.iter().zip(runs);
        let named = named.map(|(entry, run)| {
            run.map_err(|message: String| format!("run {}: {message}", entry.name()))
        });
        Ok(Self {
            runs: named.collect::<Result<_, _>>()?,
        })
    }

    /// The run called `name`.
    ///
    /// # Errors
    /// There is none; the message lists those that there are.
    pub fn run(&self, name: &str) -> Result<&PlannedRun, String> {
        let run = self.runs.iter().find(|run| run.config.name == name);
        run.ok_or_else(|| {
            let names: Vec<&str> = self.runs.iter().map(|r| r.config.name.as_str()).collect();
            format!("there is no run {name}; there are {}", names.join(", "))
        })
    }

    /// The configuration of one run of a plan, as a table that can be changed further.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn table_of(text: &str, name: &str) -> Result<Table, String> {
        let file = File::parse(text)?;
        let entry = file.run.iter().find(|entry| entry.name() == name);
        file.resolve(entry.ok_or_else(|| format!("there is no run {name}"))?)
    }
}

impl File {
    fn parse(text: &str) -> Result<Self, String> {
        let mut file: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.run.is_empty() {
            return Err("there is no [[run]]".to_owned());
        }
        for (i, entry) in file.run.iter().enumerate() {
            let name = entry.name();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || !name.chars().all(is_plain) {
                return Err(format!(
                    "run {name:?}: a name has letters, digits, - and _ only"
                ));
            }
            let is_taken = file.run[..i].iter().any(|other| other.name() == name);
            if is_taken || file.template.contains_key(name) {
                return Err(format!("{name}: there are two of this name"));
            }
        }
        for entry in file.template.values_mut().chain(&mut file.run) {
            modernise(&mut entry.changes)?;
        }
        Ok(file)
    }

    /// What `entry` extends, with its changes.
    fn resolve(&self, entry: &Entry) -> Result<Table, String> {
        // From the entry up to what extends nothing.
        let mut chain = vec![entry];
        let mut last = entry;
        while let Some(name) = &last.extends {
            last = self
                .template
                .get(name)
                .or_else(|| self.run.iter().find(|run| run.name() == name))
                .ok_or_else(|| format!("extends = {name:?}: there is no such template or run"))?;
            if chain.iter().any(|seen| std::ptr::eq(*seen, last)) {
                return Err(format!("extends = {name:?} leads in a circle"));
            }
            chain.push(last);
        }
        let mut config = Table::new();
        for entry in chain.into_iter().rev() {
            for key in &entry.without {
                remove_key(&mut config, key)
                    .ok_or_else(|| format!("without: there is no {key} to remove"))?;
            }
            merge_tables(&mut config, &entry.changes);
        }
        Ok(config)
    }
}

/// Puts the values of `changes` into `table`. Tables are merged key by key, but one that names another
/// `kind` than the table it meets replaces it; everything else is replaced.
pub fn merge_tables(table: &mut Table, changes: &Table) {
    for (key, change) in changes {
        match (table.get_mut(key), change) {
            (Some(Value::Table(old)), Value::Table(new)) if has_same_kind(old, new) => {
                merge_tables(old, new);
            }
            _ => {
                table.insert(key.clone(), change.clone());
            }
        }
    }
}

/// Removes and returns the value under a dotted key, which may be an old one; `None` where there is none.
pub fn remove_key(table: &mut Table, key: &str) -> Option<Value> {
    fn remove(table: &mut Table, key: &str) -> Option<Value> {
        match key.split_once('.') {
            Some((first, rest)) => remove(table.get_mut(first)?.as_table_mut()?, rest),
            None => table.remove(key),
        }
    }
    remove(table, &current_key(key))
}

/// The kind of a component is text; `loss.kind` is a weight.
fn has_same_kind(old: &Table, new: &Table) -> bool {
    let kind = new.get("kind").filter(|kind| kind.is_str());
    kind.is_none_or(|kind| old.get("kind") == Some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        toml::from_str(text).expect("a test's TOML parses")
    }

    #[test]
    fn tables_are_merged() {
        for (base, change, expected) in [
            ("a = 1\nb = 2", "b = 3\nc = 4", "a = 1\nb = 3\nc = 4"),
            ("[t]\na = 1\nb = 2", "[t]\nb = 3", "[t]\na = 1\nb = 3"),
            ("t = 1", "[t]\nb = 3", "[t]\nb = 3"),
            ("l = [1, 2]", "l = [3]", "l = [3]"),
            (
                "[t]\nkind = 'x'\na = 1",
                "[t]\nkind = 'x'\nb = 2",
                "[t]\nkind = 'x'\na = 1\nb = 2",
            ),
            (
                "[t]\nkind = 'x'\na = 1",
                "[t]\nkind = 'y'\nb = 2",
                "[t]\nkind = 'y'\nb = 2",
            ),
            (
                "[t.u]\nkind = 'x'\na = 1",
                "[t.u]\na = 2",
                "[t.u]\nkind = 'x'\na = 2",
            ),
            (
                "[loss]\ntext = 1.0",
                "[loss]\nkind = 0.5",
                "[loss]\ntext = 1.0\nkind = 0.5",
            ),
        ] {
            let mut merged = table(base);
            merge_tables(&mut merged, &table(change));
            assert_eq!(merged, table(expected), "{base:?} with {change:?}");
        }
    }

    const PLAN: &str = "
        [template.base]
        batch = 4
        loss = { text = 1.0, patch = 0.5 }
        [template.large]
        extends = 'base'
        batch = 8
        [[run]]
        name = 'first'
        extends = 'large'
        package = 'out'
        seed = 1
        [[run]]
        name = 'second'
        extends = 'first'
        without = ['loss.patch']
        seed = 2
    ";

    #[test]
    fn a_run_has_what_it_extends_and_its_changes() {
        let of = |name| Plan::table_of(PLAN, name);
        let first = "name = 'first'\nseed = 1\nbatch = 8\nloss = { text = 1.0, patch = 0.5 }";
        assert_eq!(of("first"), Ok(table(first)));
        let second = "name = 'second'\nseed = 2\nbatch = 8\nloss = { text = 1.0 }";
        assert_eq!(of("second"), Ok(table(second)));
    }

    #[test]
    fn plans_are_checked() {
        for (from, to, named) in [
            ("extends = 'large'", "extends = 'larg'", "\"larg\""),
            ("extends = 'large'", "extends = 'second'", "circle"),
            ("name = 'second'", "name = 'first'", "two of this name"),
            ("name = 'second'", "name = '../second'", "letters"),
            ("['loss.patch']", "['loss.path']", "no loss.path"),
        ] {
            let text = PLAN.replacen(from, to, 1);
            assert_ne!(text, PLAN, "{from}");
            let error = Plan::table_of(&text, "first").and(Plan::table_of(&text, "second"));
            let error = error.err().unwrap_or_default();
            assert!(error.contains(named), "{named:?} in {error:?}");
        }
        let error = Plan::parse(PLAN).err().unwrap_or_default();
        assert!(error.starts_with("run first: "), "{error}");
    }
}
