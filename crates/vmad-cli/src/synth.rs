//! `vmad synth`.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use vmad_data::{
    Composite, Generator, Scenes, Split, Studio, Workshop, read_photos, write_dataset,
};

use crate::args;
use crate::calibrate::folder_name;
use crate::files::{is_vacant, read_at_most, write_whole};
use crate::interrupt::Stop;
use crate::progress;

const HELP: &str = "Example:
  vmad synth /tmp/unseen --seed 1 --count 400 --split unseen
  vmad synth /tmp/random --world workshop --count 400
  vmad synth /tmp/studio --seed 5 --count 200 --world studio
  vmad synth /tmp/photos --seed 5 --count 200 --photos tests/photos

Writes OUT/images/000000.png …, OUT/annotations.json (COCO instances, one mask a defect),
OUT/sidecar.json (object, category, what is normal, questions and answers), OUT/mmad.json (questions
with choices in MMAD's layout) and OUT/recipe.json (this command's settings). Half of the scenes are
without a defect. The same world, seed, split, size and difficulty give the same bytes. The
photographs of --photos are listed in DIR/photos.json: file, name, object, normal_description, and
defects: false for one that is only shown as it is.";

/// Generate inspection scenes with masks, questions and answers
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct SynthArgs {
    /// Folder to write; new or empty
    out: PathBuf,
    /// Seed of all scenes
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Number of scenes
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    count: u64,
    /// Generator of the scenes
    #[arg(long, value_enum, default_value = "catalogue")]
    world: World,
    /// Products of the catalogue: the 16 of training, or the 8 that training does not use
    #[arg(long, value_enum)]
    split: Option<SplitArg>,
    /// Side of a scene in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(32..=2048))]
    size: u32,
    /// From 0 (strong defects, clean pictures) to 1 (faint defects, poor light); the studio has none
    #[arg(long, value_name = "X", default_value = "0.5", value_parser = args::share)]
    difficulty: f32,
    /// Instead of a world: photographs of this folder, half of them with painted defects
    #[arg(long, value_name = "DIR", conflicts_with_all = ["world", "split", "difficulty"])]
    photos: Option<PathBuf>,
    /// Write into a folder that is not empty; removes the scenes of an earlier run
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum World {
    /// 24 products, each with its own camera
    Catalogue,
    /// Random products in front of random cameras
    Workshop,
    /// Eight drawn products for tests, not used for training
    Studio,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SplitArg {
    /// The 16 categories of training
    Train,
    /// The 8 categories kept back for evaluation
    Unseen,
}

impl From<SplitArg> for Split {
    fn from(split: SplitArg) -> Self {
        match split {
            SplitArg::Train => Self::Train,
            SplitArg::Unseen => Self::Unseen,
        }
    }
}

impl SynthArgs {
    /// The options that determine the scenes, for the recipe. Of a folder only the name, since the rest
    /// depends on the machine.
    fn source(&self) -> String {
        if let Some(folder) = &self.photos {
            return format!("--photos {}", folder_name(folder));
        }
        let difficulty = self.difficulty;
        match self.world {
            World::Catalogue => {
                let split = Split::from(self.split.unwrap_or(SplitArg::Train)).name();
                format!("--split {split} --difficulty {difficulty}")
            }
            World::Workshop => format!("--world workshop --difficulty {difficulty}"),
            World::Studio => "--world studio".to_owned(),
        }
    }

    fn scenes(&self) -> Result<Box<dyn Scenes>> {
        if let Some(folder) = &self.photos {
            let photos = read_photos(folder)?;
            return Ok(Box::new(Composite::new(self.seed, self.size, photos)?));
        }
        if self.split.is_some() && self.world != World::Catalogue {
            bail!("--split selects products of the catalogue: remove it, or remove --world");
        }
        let split = self.split.unwrap_or(SplitArg::Train).into();
        Ok(match self.world {
            World::Catalogue => Box::new(
                Generator::new(self.seed, split, self.size).with_difficulty(self.difficulty),
            ),
            World::Workshop => {
                Box::new(Workshop::new(self.seed, self.size).with_difficulty(self.difficulty))
            }
            World::Studio => Box::new(Studio::new(self.seed, self.size)),
        })
    }
}

pub(crate) fn run(args: SynthArgs) -> Result<()> {
    let scenes = args.scenes()?;
    if !is_vacant(&args.out)? {
        if !args.force {
            bail!(
                "{} is not empty; --force writes into it",
                args.out.display()
            );
        }
        remove_scenes(&args.out.join("images"))?;
    }
    let stop = Stop::listen()?;
    let bar = progress::count(args.count, "scenes");
    let result = write_dataset(&args.out, scenes.as_ref(), args.count, &mut |done, _| {
        bar.set_position(done);
        if stop.is_requested() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish_and_clear();
    result?;
    let recipe = Recipe {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        source: args.source(),
        seed: args.seed,
        count: args.count,
        size: args.size,
    };
    let json = serde_json::to_vec_pretty(&recipe).context("encoding the recipe")?;
    write_whole(&args.out.join(RECIPE), &json)?;
    eprintln!("{} scenes in {}", args.count, args.out.display());
    Ok(())
}

/// File name of a generated data set's recipe.
const RECIPE: &str = "recipe.json";
const MAX_RECIPE_BYTES: u64 = 64 << 10;

/// The settings of a generated data set.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Recipe {
    /// Version of the program that wrote it.
    version: String,
    /// The options that determine the scenes.
    source: String,
    seed: u64,
    count: u64,
    size: u32,
}

impl std::fmt::Display for Recipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "vmad {} synth {} --seed {} --count {} --size {}",
            self.version, self.source, self.seed, self.count, self.size
        )
    }
}

/// The recipe of the data set in a folder, if it has one.
pub(crate) fn read_recipe(folder: &Path) -> Result<Option<Recipe>> {
    let path = folder.join(RECIPE);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = read_at_most(&path, MAX_RECIPE_BYTES)?;
    let recipe = serde_json::from_slice(&bytes);
    Ok(Some(recipe.with_context(|| path.display().to_string())?))
}

/// Removes the scenes of an earlier run only: PNG files whose names are numbers.
fn remove_scenes(images: &Path) -> Result<()> {
    if !images.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(images).with_context(|| images.display().to_string())? {
        let path = entry.with_context(|| images.display().to_string())?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_number = stem.len() >= 6 && stem.bytes().all(|b| b.is_ascii_digit());
        if is_number && path.extension().is_some_and(|extension| extension == "png") {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}
