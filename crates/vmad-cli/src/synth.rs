//! `vmad synth`.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use vmad_data::{Generator, Split, write_dataset};

use crate::args;
use crate::files::{is_vacant, read_at_most, write_whole};
use crate::interrupt::Stop;
use crate::progress;

const HELP: &str = "Example:
  vmad synth /tmp/unseen --seed 1 --count 400 --split unseen

Writes OUT/images/000000.png …, OUT/annotations.json (COCO instances, one mask a defect),
OUT/sidecar.json (object, category, what is normal, questions and answers), OUT/mmad.json (questions
with choices in MMAD's layout) and OUT/recipe.json (this command's settings). Half of the scenes are
without a defect. The same seed, split, size and difficulty give the same bytes.";

/// Generate inspection scenes with masks, questions and answers
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct SynthArgs {
    /// Folder to write; new or empty
    out: PathBuf,
    /// Everything follows from it
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Number of scenes
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    count: u64,
    /// Which products: the 16 of training or the 8 that training never sees
    #[arg(long, value_enum, default_value = "train")]
    split: SplitArg,
    /// Side of a scene in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(32..=2048))]
    size: u32,
    /// From 0 (strong defects, clean pictures) to 1 (faint defects, poor light)
    #[arg(long, value_name = "X", default_value = "0.5", value_parser = args::share)]
    difficulty: f32,
    /// Write into a folder that holds something; scenes of an earlier run are removed
    #[arg(long)]
    force: bool,
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

pub(crate) fn run(args: SynthArgs) -> Result<()> {
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
    let generator =
        Generator::new(args.seed, args.split.into(), args.size).with_difficulty(args.difficulty);
    let bar = progress::count(args.count, "scenes");
    let result = write_dataset(&args.out, &generator, args.count, &mut |done, _| {
        bar.set_position(done);
        if stop.is_asked() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish_and_clear();
    result?;
    let recipe = Recipe {
        seed: args.seed,
        split: Split::from(args.split).name().to_owned(),
        count: args.count,
        size: args.size,
        difficulty: args.difficulty,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let json = serde_json::to_vec_pretty(&recipe).context("encoding the recipe")?;
    write_whole(&args.out.join(RECIPE), &json)?;
    eprintln!("{} scenes in {}", args.count, args.out.display());
    Ok(())
}

/// File name of a generated data set's recipe.
const RECIPE: &str = "recipe.json";
const MAX_RECIPE_BYTES: u64 = 64 << 10;

/// What a generated data set follows from.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Recipe {
    seed: u64,
    split: String,
    count: u64,
    size: u32,
    difficulty: f32,
    /// Of the program that wrote it.
    version: String,
}

impl std::fmt::Display for Recipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "vmad {} synth --seed {} --split {} --count {} --size {} --difficulty {}",
            self.version, self.seed, self.split, self.count, self.size, self.difficulty
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

/// Removes what an earlier run wrote, and nothing else: pictures whose names are numbers.
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
