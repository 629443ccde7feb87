//! The run matrix: the training configurations, the evaluation scenes, and the tables of results.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use toml::Table;
use vmad_data::{Generator, Scenes, Split, Workshop};
use vmad_train::{Plan, World, merge_tables, modernise, remove_key};

/// A file such as models/reproduce.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Matrix {
    /// The training configuration that all runs have in common, or a plan with it, as a path from where the
    /// command runs.
    pub base: PathBuf,
    /// The run of the plan.
    pub base_run: Option<String>,
    /// Dotted keys to remove from the base, such as `model.evidence`; a variant may set them again.
    #[serde(default)]
    pub without: Vec<String>,
    /// Changes of the base for all runs.
    #[serde(default)]
    pub common: Table,
    /// The evaluation scenes.
    pub evaluation: Evaluation,
    /// The configurations.
    #[serde(rename = "variant")]
    pub variants: Vec<Variant>,
    /// The tables of results.
    #[serde(rename = "table")]
    pub tables: Vec<TableSpec>,
}

/// Scenes that no run learns from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Evaluation {
    /// The generator.
    pub world: World,
    /// The products, in the world that has a choice of them.
    #[serde(default)]
    pub split: ProductSplit,
    /// Seed of the scenes.
    pub seed: u64,
    /// Number of scenes.
    pub count: u64,
    /// Side of a scene, pixels.
    pub size: u32,
    /// From 0 to 1.
    pub difficulty: f32,
    /// Number of scenes for the speed measurement.
    pub timed: usize,
}

/// A split of the catalogue's products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ProductSplit {
    Train,
    #[default]
    Unseen,
}

/// A configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variant {
    /// Its name, also that of its folders.
    pub name: String,
    /// Its changes of the base.
    #[serde(default)]
    pub set: Table,
}

/// A table of the paper.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableSpec {
    /// Its heading.
    pub title: String,
    /// A note on the paper's figures.
    #[serde(default)]
    pub note: String,
    /// Its rows.
    #[serde(rename = "row")]
    pub rows: Vec<RowSpec>,
}

/// A row of a table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RowSpec {
    /// Its name for people.
    pub label: String,
    /// The variant whose figures stand in it.
    pub variant: String,
    /// The paper's figures.
    #[serde(default)]
    pub paper: Paper,
}

/// The paper's figures that can be read; metrics in per cent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paper {
    pub tokens: Option<f64>,
    pub tokens_per_second: Option<f64>,
    pub image_auroc: Option<f64>,
    pub pixel_auroc: Option<f64>,
    pub pro: Option<f64>,
}

/// A variant under a seed.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub variant: String,
    pub seed: u64,
    /// Its whole training configuration.
    pub config: String,
}

impl Run {
    /// Name of its folder.
    pub fn name(&self) -> String {
        run_name(&self.variant, self.seed)
    }
}

/// Name of a run's folder.
pub(super) fn run_name(variant: &str, seed: u64) -> String {
    format!("{variant}-{seed}")
}

impl Matrix {
    /// Reads and checks a matrix.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let mut matrix: Self = toml::from_str(text)?;
        let sets = matrix.variants.iter_mut().map(|variant| &mut variant.set);
        for changes in sets.chain([&mut matrix.common]) {
            modernise(changes).map_err(anyhow::Error::msg)?;
        }
        let Evaluation {
            count,
            timed,
            size,
            difficulty,
            ..
        } = matrix.evaluation;
        if count == 0 || timed == 0 {
            bail!("evaluation.count and evaluation.timed must be positive");
        }
        if !(32..=2048).contains(&size) || !(0.0..=1.0).contains(&difficulty) {
            bail!("evaluation.size must be 32 to 2048, evaluation.difficulty 0 to 1");
        }
        let mut names = BTreeSet::new();
        for Variant { name, .. } in &matrix.variants {
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if name.is_empty() || !name.chars().all(is_plain) {
                bail!("variant {name:?}: a name has letters a to z, digits and _ only");
            }
            if !names.insert(name.as_str()) {
                bail!("variant {name}: there are two of this name");
            }
        }
        if names.is_empty() {
            bail!("there is no variant");
        }
        for row in matrix.tables.iter().flat_map(|table| &table.rows) {
            if !names.contains(row.variant.as_str()) {
                bail!("row {:?}: there is no variant {}", row.label, row.variant);
            }
        }
        Ok(matrix)
    }

    /// All runs, ordered by seed, so that the variants of a seed can be compared early.
    pub fn runs(&self, n_seeds: u64, steps: Option<u64>) -> Result<Vec<Run>> {
        let context = || self.base.display().to_string();
        let text = std::fs::read_to_string(&self.base).with_context(context)?;
        let base = match &self.base_run {
            Some(run) => Plan::table_of(&text, run).map_err(anyhow::Error::msg),
            None => toml::from_str(&text).map_err(anyhow::Error::new),
        };
        let mut base: Table = base.with_context(context)?;
        modernise(&mut base).map_err(anyhow::Error::msg)?;
        let mut runs = Vec::new();
        for seed in 1..=n_seeds {
            for variant in &self.variants {
                let config = self.config(&base, variant, seed, steps);
                let config = config.with_context(|| format!("variant {}", variant.name))?;
                runs.push(Run {
                    variant: variant.name.clone(),
                    seed,
                    config,
                });
            }
        }
        Ok(runs)
    }

    fn config(
        &self,
        base: &Table,
        variant: &Variant,
        seed: u64,
        steps: Option<u64>,
    ) -> Result<String> {
        let mut config = base.clone();
        for key in &self.without {
            remove_key(&mut config, key)
                .with_context(|| format!("without: the base has no {key}"))?;
        }
        merge_tables(&mut config, &self.common);
        merge_tables(&mut config, &variant.set);
        // Seeds differ in weights and order; the scenes stay those of the base.
        let scenes_seed = match config.get("data").and_then(|data| data.get("seed")) {
            Some(seed) => seed.clone(),
            None => config.get("seed").cloned().context("it has no seed")?,
        };
        if scenes_seed.as_integer() == i64::try_from(self.evaluation.seed).ok() {
            bail!(
                "evaluation.seed and the seed of the training scenes are both {scenes_seed}; what \
                 is measured on must not be learned from"
            );
        }
        let mut own = Table::new();
        own.insert("name".to_owned(), variant.name.clone().into());
        own.insert("seed".to_owned(), i64::try_from(seed)?.into());
        if let Some(steps) = steps {
            own.insert("steps".to_owned(), i64::try_from(steps)?.into());
        }
        let data = Table::from_iter([("seed".to_owned(), scenes_seed)]);
        own.insert("data".to_owned(), data.into());
        merge_tables(&mut config, &own);
        Ok(toml::to_string(&config)?)
    }
}

impl Evaluation {
    /// The generator of the scenes.
    pub fn scenes(&self) -> Box<dyn Scenes> {
        let split = match self.split {
            ProductSplit::Train => Split::Train,
            ProductSplit::Unseen => Split::Unseen,
        };
        match self.world {
            World::Catalogue => Box::new(
                Generator::new(self.seed, split, self.size).with_difficulty(self.difficulty),
            ),
            World::Workshop => {
                Box::new(Workshop::new(self.seed, self.size).with_difficulty(self.difficulty))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use vmad_train::TrainConfig;

    use super::*;

    fn table(text: &str) -> Table {
        toml::from_str(text).expect("a test's TOML parses")
    }

    const MATRIX: &str = "
        base = 'base.toml'
        without = ['model.evidence']
        [common]
        batch = 2
        [evaluation]
        world = 'catalogue'
        seed = 99
        count = 4
        size = 64
        difficulty = 0.5
        timed = 1
        [[variant]]
        name = 'ltc'
        [[variant]]
        name = 'mlp'
        set.model.projector = { kind = 'mlp2x_gelu', grid = 4 }
        [[table]]
        title = 'Table IV'
        row = [{ label = 'LTC', variant = 'ltc', paper = { pro = 91.2 } }]
    ";

    #[test]
    fn matrices_are_checked() {
        let matrix = Matrix::parse(MATRIX).expect("it is valid");
        assert_eq!(matrix.evaluation.split, ProductSplit::Unseen);
        assert_eq!(matrix.tables[0].rows[0].paper.pro, Some(91.2));
        for (from, to, named) in [
            ("variant = 'ltc'", "variant = 'lct'", "no variant lct"),
            ("name = 'mlp'", "name = 'ltc'", "two of this name"),
            ("name = 'mlp'", "name = '../mlp'", "letters a to z"),
            ("count = 4", "count = 0", "evaluation.count"),
            ("size = 64", "size = 16", "evaluation.size"),
            ("batch = 2", "batch = 2\n[comon]", "comon"),
        ] {
            let text = MATRIX.replacen(from, to, 1);
            assert_ne!(text, MATRIX, "{from}");
            let error = Matrix::parse(&text).err().map(|e| format!("{e:#}"));
            let error = error.unwrap_or_default();
            assert!(error.contains(named), "{named:?} in {error:?}");
        }
    }

    /// Every configuration of the repository's matrix is valid.
    #[test]
    fn the_paper_s_matrix_is_sound() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut matrix = Matrix::read(&root.join("models/reproduce.toml"))?;
        matrix.base = root.join(&matrix.base);
        let folder = tempfile::tempdir()?;
        let mut n_visual = BTreeSet::new();
        for run in matrix.runs(2, None)? {
            let path = folder.path().join("config.toml");
            std::fs::write(&path, &run.config)?;
            let config = TrainConfig::read(&path).with_context(|| run.name())?;
            assert_eq!((config.name, config.seed), (run.variant, run.seed));
            n_visual.insert(config.model.projector.n_visual());
        }
        assert_eq!(n_visual, BTreeSet::from([64, 256]));
        Ok(())
    }

    #[test]
    fn a_run_is_base_common_variant_and_seed() -> Result<()> {
        let matrix = Matrix::parse(MATRIX)?;
        let base = table(
            "name = 'b'\nseed = 7\nsteps = 9\nbatch = 1\n\
             [data]\npool = 3\n[model.projector]\nkind = 'ltc'\nstride = 2\n\
             [model.evidence]\nd_hidden = 8",
        );
        let config = |variant: usize, steps| {
            let text = matrix.config(&base, &matrix.variants[variant], 5, steps)?;
            Ok::<Table, anyhow::Error>(table(&text))
        };
        let expected = "name = 'ltc'\nseed = 5\nsteps = 9\nbatch = 2\n\
                        [data]\npool = 3\nseed = 7\n\
                        [model.projector]\nkind = 'ltc'\nstride = 2";
        assert_eq!(config(0, None)?, table(expected));
        let mlp = config(1, Some(4))?;
        assert_eq!(mlp["steps"].as_integer(), Some(4));
        let projector = table("kind = 'mlp2x_gelu'\ngrid = 4");
        assert_eq!(mlp["model"]["projector"].as_table(), Some(&projector));

        let mut seen = base.clone();
        merge_tables(&mut seen, &table("[data]\nseed = 99"));
        let error = |base| {
            let error = matrix.config(base, &matrix.variants[0], 5, None).err();
            error.map(|e| e.to_string()).unwrap_or_default()
        };
        assert!(error(&seen).contains("99"));
        assert!(error(&table("seed = 7")).contains("no model.evidence"));
        Ok(())
    }
}
