//! The arguments that select a data set and its photographs.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use vmad_data::{CategorySplit, Dataset, Layout, OnBadImage, PhotoLoader, Record, Subset};

use crate::text::plain;

/// Help text for the argument DATA.
pub(crate) const DATA_HELP: &str = "\
DATA is a folder with a data set in one of these layouts, which is detected:
  coco   annotations.json with masks, sidecar.json with names; `vmad synth` writes it
  mvtec  CATEGORY/{train,test,ground_truth}/TYPE/, the whole of MVTec AD or one category
  visa   OBJECT/Data/{Images,Masks}/ as VisA is published
  wfdd   mvtec with the fabrics of WFDD
If a layout has training photographs, the default is all others; --part train selects them.
docs/datasets.md explains the layouts, and the file that --split reads.";

/// A clap parser for an enum with `ALL`, `name` and `parse`.
macro_rules! named {
    ($type:ident) => {
        PossibleValuesParser::new($type::ALL.map(|value| value.name()))
            .try_map(|name| $type::parse(&name).ok_or("no such name"))
    };
}

/// Selects photographs of a data set.
#[derive(Debug, Args)]
pub(crate) struct DatasetArgs {
    /// Layout of the folder [default: detected]
    #[arg(long, value_parser = named!(Layout))]
    layout: Option<Layout>,
    /// TOML or JSON file that divides the categories; needs --part
    #[arg(long, value_name = "FILE", requires = "part")]
    split: Option<PathBuf>,
    /// Use only this part of the split, or of the layout's own division
    #[arg(long, value_parser = named!(Subset))]
    part: Option<Subset>,
    /// What to do with a photograph or mask that cannot be read
    #[arg(long, value_name = "DO", default_value = "fail", value_parser = named!(OnBadImage))]
    pub on_bad_image: OnBadImage,
    /// Use only the first N photographs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}

/// The selected photographs.
pub(crate) struct OpenDataset {
    /// One or more.
    pub records: Vec<Record>,
    /// Reads their files.
    pub loader: PhotoLoader,
}

impl DatasetArgs {
    /// Reads the data set and prints how many photographs are selected.
    pub fn open(&self, data: &Path) -> Result<OpenDataset> {
        let dataset = vmad_data::read_dataset(data, self.layout)?;
        let mut chosen = self.choose(&dataset)?;
        if let Some(limit) = self.limit {
            chosen.truncate(limit as usize);
        }
        if chosen.is_empty() {
            bail!(
                "{}: none of {} photographs matches --split and --part",
                data.display(),
                dataset.records.len()
            );
        }
        eprintln!(
            "{}",
            plain(&format!(
                "Using {} of {} photographs of {} ({}).",
                chosen.len(),
                dataset.records.len(),
                data.display(),
                dataset.layout.name()
            ))
        );
        Ok(OpenDataset {
            records: chosen.into_iter().cloned().collect(),
            loader: PhotoLoader::new(self.on_bad_image),
        })
    }

    fn choose<'a>(&self, dataset: &'a Dataset) -> Result<Vec<&'a Record>> {
        let records = dataset.records.iter();
        Ok(match (&self.split, self.part) {
            (Some(file), Some(part)) => CategorySplit::read(file)?.select(dataset, part)?,
            (_, Some(part)) => records.filter(|r| r.part == Some(part)).collect(),
            (_, None) => records.filter(|r| r.part != Some(Subset::Train)).collect(),
        })
    }
}

impl OpenDataset {
    /// Prints which photographs were skipped. Fails if none was read.
    pub fn finish(&self) -> Result<()> {
        let Some(summary) = self.loader.summary() else {
            return Ok(());
        };
        eprintln!("{}", plain(&summary));
        if self.loader.skipped().len() >= self.records.len() {
            bail!("none of {} photographs could be read", self.records.len());
        }
        Ok(())
    }
}
