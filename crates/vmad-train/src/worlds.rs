//! Which scenes a run learns from: generators and data sets on disk in a mixture, and how hard the
//! generators' scenes are.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vmad_data::{
    Category, CategorySplit, DefectKind, Generator, Layout, Record, Sample, Scenes, Split, Subset,
    Wanted, Workshop, read_dataset,
};

use crate::TrainError;
use crate::config::{BadImage, FolderConfig, TrainConfig, World};

/// A photograph of a data set is kept at most so many times as large as SAM's input.
const MARGIN: u32 = 2;
/// Of a data set's photographs every tenth is held out.
const HOLD_OUT: usize = 10;
/// Photographs of a folder that are tried for one scene before the run gives up.
const TRIES: usize = 20;

/// The sources of a run's scenes.
pub struct Worlds {
    config: TrainConfig,
    sources: Vec<(Source, f32)>,
    skipped: Mutex<BTreeMap<String, String>>,
}

enum Source {
    Generator(World),
    Folder(Vec<Record>),
}

/// What the photographs of a data set are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Those that runs learn from.
    Train,
    /// Those held out.
    HeldOut,
}

impl Worlds {
    /// The sources of `config`.
    ///
    /// # Errors
    /// A data set that cannot be read, or has nothing to learn from.
    pub fn new(config: &TrainConfig, purpose: Purpose) -> Result<Self, TrainError> {
        let mut sources = Vec::new();
        for (world, share) in &config.data.worlds {
            sources.push((Source::Generator(*world), *share));
        }
        for folder in &config.data.folders {
            let records = records_of(folder, purpose)?;
            sources.push((Source::Folder(records), folder.share));
        }
        Ok(Self {
            config: config.clone(),
            sources,
            skipped: Mutex::default(),
        })
    }

    /// Scene `index` of the run, generated with `size` pixels a side. Difficulty rises from the
    /// pool's first scene to its last.
    ///
    /// # Errors
    /// A photograph that cannot be read, unless these are skipped; too many of them in any case.
    pub fn scene(&self, index: usize, size: u32) -> Result<Sample, TrainError> {
        let data = &self.config.data;
        let share = index as f32 / data.pool as f32;
        let difficulty =
            data.difficulty_start + (data.difficulty_end - data.difficulty_start) * share;
        let seed = self.config.data_seed();
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed_0003);
        rng.set_stream(index as u64);
        let source = self.source(&mut rng);
        let wanted = data.defective.map(|share| {
            let kind = DefectKind::ALL[rng.random_range(0..DefectKind::ALL.len())];
            rng.random_bool(f64::from(share)).then_some(kind)
        });
        let index = index as u64;
        Ok(match source {
            Source::Generator(World::Catalogue) => {
                let world = Generator::new(seed, Split::Train, size).with_difficulty(difficulty);
                let categories = Category::of(Split::Train);
                match wanted {
                    Some(kind) => world.sample_of(
                        categories[rng.random_range(0..categories.len())],
                        kind.map_or(Wanted::Normal, Wanted::Defect),
                        index,
                    ),
                    None => world.sample(index),
                }
            }
            Source::Generator(World::Workshop) => {
                let world = Workshop::new(seed, size).with_difficulty(difficulty);
                match wanted {
                    Some(kind) => world.sample_of(kind, index),
                    None => world.sample(index),
                }
            }
            Source::Folder(records) => self.photograph(records, MARGIN * size, &mut rng)?,
        })
    }

    /// One of the sources, drawn by their shares.
    fn source(&self, rng: &mut impl Rng) -> &Source {
        let total: f32 = self.sources.iter().map(|(_, share)| share).sum();
        let mut at = rng.random_range(0.0..total);
        for (source, share) in &self.sources {
            if at < *share {
                return source;
            }
            at -= share;
        }
        // Rounding may leave a little of the last share.
        &self.sources[self.sources.len() - 1].0
    }

    /// A photograph of a data set.
    fn photograph(
        &self,
        records: &[Record],
        longest_side: u32,
        rng: &mut impl Rng,
    ) -> Result<Sample, TrainError> {
        let mut last = None;
        for _ in 0..TRIES {
            let record = &records[rng.random_range(0..records.len())];
            let error = match record.sample(longest_side) {
                Ok(Some(sample)) => return Ok(sample),
                // Without a mask there is nothing to learn.
                Ok(None) => continue,
                Err(error) => error,
            };
            if self.config.data.on_bad_image == BadImage::Fail {
                return Err(error.into());
            }
            let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
            skipped.insert(record.path.display().to_string(), error.to_string());
            last = Some(error);
        }
        Err(last.map_or(TrainError::NoScene { tries: TRIES }, TrainError::from))
    }

    /// Photographs that were left out, and why.
    pub fn skipped(&self) -> Vec<(String, String)> {
        let skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = |(path, why): (&String, &String)| (path.clone(), why.clone());
        skipped.iter().map(copy).collect()
    }

    /// Classes of [`Self::object_class`].
    pub const N_OBJECTS: usize = Category::ALL.len() + 1;

    /// A number for what a scene shows: the product of the catalogue, or one class for all else.
    pub fn object_class(sample: &Sample) -> usize {
        Category::parse(&sample.category).map_or(Category::ALL.len(), |category| category as usize)
    }
}

/// The photographs of a folder in a subset.
fn records_of(folder: &FolderConfig, purpose: Purpose) -> Result<Vec<Record>, TrainError> {
    let invalid = |message: String| TrainError::Config {
        path: folder.path.clone(),
        message,
    };
    let layout = match &folder.layout {
        Some(name) => Some(
            Layout::parse(name)
                .ok_or_else(|| invalid(format!("data.folders: there is no layout {name:?}")))?,
        ),
        None => None,
    };
    let dataset = read_dataset(&folder.path, layout)?;
    let chosen: Vec<&Record> = match &folder.split {
        Some(file) => CategorySplit::read(file)?.select(&dataset, Subset::Train)?,
        None => dataset.records.iter().collect(),
    };
    let is_held_out = |i: usize| i % HOLD_OUT == HOLD_OUT - 1;
    let wanted = purpose == Purpose::HeldOut;
    let numbered = chosen.iter().enumerate();
    let mut records: Vec<Record> = numbered
        .filter(|(i, _)| is_held_out(*i) == wanted)
        .map(|(_, record)| (*record).clone())
        .collect();
    // Of a handful none can be held out; then the same ones show at least how the run goes.
    if records.is_empty() {
        records = chosen.into_iter().cloned().collect();
    }
    if records.is_empty() {
        return Err(invalid("has no photographs to learn from".to_owned()));
    }
    Ok(records)
}
