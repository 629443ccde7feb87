//! Which categories, and which photographs of them, are for training, validation and test.

use super::Dataset;
use super::folder::read_text;
use super::record::{Record, Subset};
use crate::error::DataError;
use crate::files::write_whole;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// A share of the training categories' photographs that is kept for validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holdout {
    /// Which ones. Equal seeds choose equal photographs, whatever others the data set has.
    pub seed: u64,
    /// How many of them, above 0 and below 1.
    pub share: f64,
}

/// A division of a data set's categories.
///
/// Invariant: no category is in two parts or twice in one; the share of a holdout lies between 0
/// and 1.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Lists")]
pub struct CategorySplit {
    train: Vec<String>,
    val: Vec<String>,
    test: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holdout: Option<Holdout>,
}

/// The file's form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lists {
    #[serde(default)]
    train: Vec<String>,
    #[serde(default)]
    val: Vec<String>,
    #[serde(default)]
    test: Vec<String>,
    holdout: Option<Holdout>,
}

impl TryFrom<Lists> for CategorySplit {
    type Error = DataError;

    fn try_from(lists: Lists) -> Result<Self, DataError> {
        let split = Self {
            train: lists.train,
            val: lists.val,
            test: lists.test,
            holdout: lists.holdout,
        };
        let mut seen = BTreeSet::new();
        if let Some(twice) = split.names().find(|name| !seen.insert(*name)) {
            return Err(DataError::Split {
                what: format!("category {twice:?} is named twice"),
            });
        }
        match split.holdout {
            Some(Holdout { share, .. }) if !(share > 0.0 && share < 1.0) => Err(DataError::Split {
                what: format!("the holdout's share is {share}; it must lie between 0 and 1"),
            }),
            _ => Ok(split),
        }
    }
}

impl CategorySplit {
    /// Divides by name.
    ///
    /// # Errors
    /// [`DataError::Split`] for a name that is there twice, or a share outside of 0..1.
    pub fn new(
        train: Vec<String>,
        val: Vec<String>,
        test: Vec<String>,
        holdout: Option<Holdout>,
    ) -> Result<Self, DataError> {
        Lists {
            train,
            val,
            test,
            holdout,
        }
        .try_into()
    }

    /// Draws `n_train` and, from the others, `n_test` categories. The order of the names has no
    /// influence.
    ///
    /// # Errors
    /// [`DataError::Split`] where there are too few.
    pub fn draw<'a>(
        categories: impl IntoIterator<Item = &'a str>,
        n_train: usize,
        n_test: usize,
        seed: u64,
    ) -> Result<Self, DataError> {
        let names: BTreeSet<&str> = categories.into_iter().collect();
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let wanted = n_train.checked_add(n_test);
        if wanted.is_none_or(|wanted| wanted > names.len()) {
            return Err(DataError::Split {
                what: format!(
                    "{n_train} and {n_test} categories are asked for, {} are there",
                    names.len()
                ),
            });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Fisher and Yates; written out, because a library may change its order of draws.
        for last in (1..names.len()).rev() {
            let other = rng.next_u64() % (last as u64 + 1);
            names.swap(last, other as usize);
        }
        let mut test = names.split_off(n_train);
        test.truncate(n_test);
        names.sort();
        test.sort();
        Self::new(names, Vec::new(), test, None)
    }

    /// Reads a file: JSON if its name ends so, otherwise TOML.
    ///
    /// # Errors
    /// The file's, with what is wrong.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let bytes = read_text(path)?;
        let parsed = match is_json(path) {
            true => serde_json::from_slice(&bytes).map_err(|e| e.to_string()),
            false => toml::from_slice(&bytes).map_err(|e| e.to_string()),
        };
        parsed.map_err(|what| DataError::Invalid {
            path: path.to_owned(),
            what,
        })
    }

    /// Writes what [`CategorySplit::read`] reads.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, path: &Path) -> Result<(), DataError> {
        let text = match is_json(path) {
            true => serde_json::to_string_pretty(self).map_err(|e| e.to_string()),
            false => toml::to_string(self).map_err(|e| e.to_string()),
        };
        let text = text.map_err(|what| DataError::Split { what })?;
        write_whole(path, text.as_bytes()).map_err(super::folder::io(path))
    }

    /// The categories of a part.
    pub fn categories(&self, part: Subset) -> &[String] {
        match part {
            Subset::Train => &self.train,
            Subset::Val => &self.val,
            Subset::Test => &self.test,
        }
    }

    /// What is kept of the training categories for validation.
    pub fn holdout(&self) -> Option<Holdout> {
        self.holdout
    }

    /// Keeps a share of the training categories' photographs for validation.
    ///
    /// # Errors
    /// [`DataError::Split`] for a share outside of 0..1.
    pub fn with_holdout(self, holdout: Holdout) -> Result<Self, DataError> {
        Self::new(self.train, self.val, self.test, Some(holdout))
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.train.iter().chain(&self.val).chain(&self.test)
    }

    /// The photographs of a part, in the data set's order. Categories that the split does not name
    /// are in no part. Photographs that the layout itself has for training are never test.
    ///
    /// # Errors
    /// [`DataError::NoSuchCategory`] for a name that the data set does not have, in any part.
    pub fn select<'a>(
        &self,
        dataset: &'a Dataset,
        part: Subset,
    ) -> Result<Vec<&'a Record>, DataError> {
        let known = dataset.categories();
        if let Some(name) = self.names().find(|name| !known.contains(name.as_str())) {
            let closeness = |other: &&&str| strsim::jaro_winkler(name, other);
            let nearest = known
                .iter()
                .max_by(|a, b| closeness(a).total_cmp(&closeness(b)));
            return Err(DataError::NoSuchCategory {
                name: name.clone(),
                nearest: nearest.map(|name| (*name).to_owned()).unwrap_or_default(),
            });
        }
        let records = dataset.records.iter();
        Ok(records
            .filter(|record| self.part_of(dataset, record) == Some(part))
            .collect())
    }

    fn part_of(&self, dataset: &Dataset, record: &Record) -> Option<Subset> {
        let names = |part| self.categories(part).contains(&record.category);
        match Subset::ALL.into_iter().find(|part| names(*part))? {
            Subset::Train if self.holdout.is_some_and(|h| h.holds(dataset, record)) => {
                Some(Subset::Val)
            }
            Subset::Test if record.part == Some(Subset::Train) => None,
            part => Some(part),
        }
    }
}

fn is_json(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("json"))
}

impl Holdout {
    /// True for a photograph of the holdout. A hash of the seed and of its path in the data set
    /// decides.
    fn holds(self, dataset: &Dataset, record: &Record) -> bool {
        let path = record
            .path
            .strip_prefix(&dataset.dir)
            .unwrap_or(&record.path);
        let parts = path.components().map(|part| part.as_os_str());
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut eat = |byte: u8| {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        };
        self.seed.to_le_bytes().into_iter().for_each(&mut eat);
        for part in parts {
            part.as_encoded_bytes().iter().copied().for_each(&mut eat);
            eat(b'/');
        }
        // FNV-1a mixes its upper bits badly; ChaCha does the rest.
        let draw = ChaCha8Rng::seed_from_u64(hash).next_u32();
        f64::from(draw) < self.share * (f64::from(u32::MAX) + 1.0)
    }
}
