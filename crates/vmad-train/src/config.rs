//! One TOML file per run; it is kept with the result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vmad_model::config::{ConvNorm, ProjectorConfig, SamEncoder};
use vmad_model::{Vmad, VmadConfig};
use vmad_package::{Conversation, Recipe, Templates, name_matches};

use crate::TrainError;
use crate::dssl::DsslConfig;
use crate::freeze::Freeze;
use crate::lora::LoraConfig;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Name of the package.
    pub name: String,
    /// Seed of weights, order and data.
    pub seed: u64,
    /// Optimiser steps of the run.
    pub steps: u64,
    /// Samples of a step.
    pub batch: usize,
    /// Parts of a step that are computed side by side, each in a thread of its own, and averaged.
    /// They are equally large, so that each sample counts the same.
    #[serde(default = "one")]
    pub micro_batches: usize,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// What the run teaches.
    #[serde(default)]
    pub stage: Stage,
    /// Patterns of the tensors that stay as they are. Encoders that are frozen whole run once for
    /// each view, and their features are kept.
    #[serde(default)]
    pub freeze: Freeze,
    /// LoRA on the language model, whose blocks then stay as they are themselves; without it they
    /// learn whole, unless they are frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
    /// Tokens of the vocabulary, special ones included.
    pub vocab_size: usize,
    /// Where features of frozen encoders are kept, for runs to share; in the run's folder if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<PathBuf>,
    /// Weights to start from, rather than from nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartConfig>,
    /// Optimiser.
    pub optimiser: OptimiserConfig,
    /// Weights of the losses.
    pub loss: LossConfig,
    /// DSSL (§8); none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dssl: Option<DsslConfig>,
    /// What the conversations are about.
    #[serde(default)]
    pub tasks: Tasks,
    /// The synthetic data.
    pub data: DataConfig,
    /// Conversation frame of the package.
    pub conversation: Conversation,
    /// Prompt templates of the package.
    #[serde(default = "Templates::paper")]
    pub templates: Templates,
    /// Storage of the exported tensors.
    pub recipe: Recipe,
    /// Sizes of the model.
    pub model: VmadConfig,
}

/// What a run teaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The encoders and the mask decoder, with no words: the defect kind of each CLIP patch through
    /// a head that is thrown away, and the mask for a prompt that does not depend on the picture.
    /// Ours: it stands in for the pre-training that the paper's encoders bring along.
    See,
    /// The language model alone, told of the scenes by what is known of them in place of pictures,
    /// through layers that are thrown away. Ours: it stands in for the pre-training that the paper's
    /// language model brings along; repeating a name, and reading what a token holds, take far more
    /// conversations than a run with pictures has time for.
    Talk,
    /// The whole model.
    #[default]
    Speak,
}

/// Where a run's weights come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartConfig {
    /// A package of the same sizes.
    pub package: PathBuf,
    /// Whether a tokenizer is learned anew, rather than taken over from the package. Embeddings then
    /// mean nothing, so `fresh` should name the language model's.
    #[serde(default)]
    pub fresh_tokenizer: bool,
    /// Patterns of tensor names that are drawn anew all the same.
    #[serde(default)]
    pub fresh: Vec<String>,
    /// Patterns of tensor names, and the package that gives these in place of [`Self::package`]: CLIP
    /// and SAM may each have had a run of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, PathBuf>,
}

/// AdamW with linear warm-up and cosine decay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimiserConfig {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Learning rate at the end, as a share of the peak.
    pub final_share: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Decay of the second moment; the first moment's is 0.9.
    #[serde(default = "beta_2")]
    pub beta_2: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Largest norm of a parameter's gradient.
    pub clip_norm: f32,
    /// Matrices that Muon trains in place of AdamW.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muon: Option<MuonConfig>,
    /// Learning rates of some parameters, as multiples of the run's, by patterns of their names. What
    /// has learned already, and is to change a little, wants less than what is new.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<String, f64>,
}

/// Muon (Jordan 2024), with the step length of Liu et al. 2025: each update is made orthogonal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MuonConfig {
    /// Patterns of the matrices' names: those of hidden layers, neither embeddings nor heads.
    pub matrices: Vec<String>,
    /// Its learning rate, as a multiple of AdamW's.
    pub rate: f64,
}

/// Weights of the losses, equations (6) and (7).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// Cross-entropy of the text.
    pub text: f64,
    /// Binary cross-entropy of the mask.
    pub bce: f64,
    /// DICE of the mask.
    pub dice: f64,
    /// Defect kind of each CLIP patch, by a linear head that is thrown away. Ours: it stands in for
    /// the pre-training that the paper's CLIP brings along.
    pub patch: f64,
    /// Defect kind of each visual token, and the object of them all, by linear heads that are thrown
    /// away. Ours: what the projector drops, no answer can name.
    #[serde(default)]
    pub token: f64,
    /// Kind of defect of each cell of SAM's embedding and of each defect as a whole, by a linear head
    /// that is thrown away. Ours: masks alone teach an encoder little of what it looks at.
    #[serde(default)]
    pub cell: f64,
    /// Kind of each defect, read by the same heads off all patches, or visual tokens, that it covers.
    /// Ours: a single patch of a scratch may be a patch of a crack, the whole of it is not.
    #[serde(default)]
    pub kind: f64,
    /// Whether the mask holds a defect and of which kind, read by a linear head that is thrown away
    /// off what [`vmad_model::evidence`] says of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub evidence: f64,
    /// Which kind of defect the user's criterion allows, read by a linear head that is thrown away off
    /// the state that prompts the mask. Ours: what the state does not say, no mask can follow.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub criterion: f64,
}

/// The synthetic data of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Side of the squares that are cut out of scenes to look at, as a share of the scene's; around a
    /// defect where there is one. Scenes are then rendered as much larger than SAM's input. Many small
    /// looks teach what a defect looks like in a fraction of the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<f32>,
    /// Share of the generators' scenes that have a defect; they decide for themselves if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defective: Option<f32>,
    /// Seed of the scenes, where it is not the run's: runs of different seeds then learn from the
    /// same scenes, in another order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Scenes in the pool; samples are drawn from it again and again.
    pub pool: usize,
    /// Scenes that the pool starts with.
    pub pool_start: usize,
    /// Scenes by which the pool grows at each step.
    pub pool_growth: usize,
    /// Difficulty at the first step, 0 to 1.
    pub difficulty_start: f32,
    /// Difficulty of the pool's last scenes.
    pub difficulty_end: f32,
    /// The generators that scenes come from, and their shares.
    #[serde(default = "catalogue")]
    pub worlds: BTreeMap<World, f32>,
    /// Data sets on disk to learn from beside the generators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<FolderConfig>,
    /// What to do with a photograph or mask that cannot be read.
    #[serde(default)]
    pub on_bad_image: BadImage,
    /// Whether each look at a scene is turned, mirrored and lit otherwise.
    #[serde(default)]
    pub augment: bool,
    /// Different looks at a scene; 0 makes every look a new one. Frozen encoders run once a look.
    #[serde(default)]
    pub variants: u64,
}

/// What the conversations are about: the shares of the paper's three tasks (§5), and how they are
/// varied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tasks {
    /// Task 1, a mask and no words.
    pub segment: f32,
    /// Task 2, a mask and an answer.
    pub answer: f32,
    /// Task 3, a question of its own and no mask.
    pub question: f32,
    /// Share of conversations of tasks 1 and 2 with a second turn.
    pub second_turn: f32,
    /// Share of conversations that describe the normal scene.
    pub normal_description: f32,
    /// Share of conversations whose description of the normal scene allows some kinds of defect,
    /// or forbids some.
    pub criteria: f32,
    /// Share of conversations in which the object has another name, so that the answer learns to
    /// repeat the question's word.
    pub renamed: f32,
    /// Share of these names that are words of no language. A name that is known can be recalled; one
    /// that is not has to be repeated piece by piece, as a user's will.
    #[serde(skip_serializing_if = "is_zero")]
    pub invented: f32,
    /// Share of second turns that ask for the place, beside those of the even choice.
    #[serde(skip_serializing_if = "is_zero")]
    pub places: f32,
    /// Share of conversations with a mask whose words are told over the visual tokens of another
    /// photograph, so that they learn to go by the mask and the verdict; only where the model has `evidence`.
    #[serde(skip_serializing_if = "is_zero")]
    pub swapped: f32,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            segment: 2.0,
            answer: 2.0,
            question: 1.0,
            second_turn: 0.5,
            normal_description: 0.3,
            criteria: 0.0,
            renamed: 0.0,
            invented: 0.0,
            places: 0.0,
            swapped: 0.0,
        }
    }
}

/// A data set on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// Its folder.
    pub path: PathBuf,
    /// `coco`, `mvtec`, `visa` or `wfdd`; recognised if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
    /// A file that divides the categories; the run learns from those for training. Without one it
    /// learns from all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<PathBuf>,
    /// Its share among the worlds and folders.
    pub share: f32,
}

/// What to do with a photograph or mask that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadImage {
    /// The run ends; its last checkpoint stands.
    #[default]
    Fail,
    /// Another one is taken in its place; it is named and counted.
    Skip,
}

/// A generator of scenes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum World {
    /// [`vmad_data::Generator`]: the 16 products of the training split.
    Catalogue,
    /// [`vmad_data::Workshop`]: surfaces and parts that are drawn anew for each scene.
    Workshop,
}

impl TrainConfig {
    /// Reads a run's configuration.
    ///
    /// # Errors
    /// An unreadable file, or one that is no configuration.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(|source| TrainError::Io {
            path: path.to_owned(),
            source,
        })?;
        let config: Self = toml::from_str(&text).map_err(|error| TrainError::Config {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        let invalid = |message: &str| TrainError::Config {
            path: path.to_owned(),
            message: message.to_owned(),
        };
        config.model.validate()?;
        if config.batch == 0 || config.steps == 0 || config.checkpoint_every == 0 {
            return Err(invalid(
                "batch, steps and checkpoint_every must be positive",
            ));
        }
        if config.micro_batches == 0 || !config.batch.is_multiple_of(config.micro_batches) {
            return Err(invalid("batch must be a multiple of micro_batches"));
        }
        let is_share = |share: f32| (0.0..=1.0).contains(&share);
        if !config
            .data
            .crop
            .is_none_or(|share| is_share(share) && share >= 0.05)
        {
            return Err(invalid("data.crop must be a share from 0.05 to 1"));
        }
        if !config.data.defective.is_none_or(is_share) {
            return Err(invalid("data.defective must be a share from 0 to 1"));
        }
        let muon = config.optimiser.muon.as_ref();
        if muon.is_some_and(|muon| !muon.rate.is_finite() || muon.rate <= 0.0) {
            return Err(invalid("optimiser.muon.rate must be positive"));
        }
        if !config
            .optimiser
            .rates
            .values()
            .all(|rate| rate.is_finite() && *rate > 0.0)
        {
            return Err(invalid("optimiser.rates must be positive"));
        }
        let mut groups: Vec<Vec<&String>> =
            config.optimiser.rates.keys().map(|p| vec![p]).collect();
        groups.extend(muon.map(|muon| muon.matrices.iter().collect()));
        for (name, shape) in Vmad::shapes(&config.model)? {
            let is_named = |group: &[&String]| group.iter().any(|p| name_matches(p, &name));
            let is_muons = muon.is_some() && groups.last().is_some_and(|group| is_named(group));
            if is_muons && shape.len() != 2 {
                return Err(invalid(&format!(
                    "optimiser.muon.matrices name {name}, which is no matrix"
                )));
            }
            if groups.iter().filter(|group| is_named(group)).count() > 1 {
                return Err(invalid(&format!(
                    "optimiser.rates and optimiser.muon give {name} two learning rates"
                )));
            }
        }
        if config.data.pool == 0 || config.data.pool_start == 0 {
            return Err(invalid("data.pool and data.pool_start must be positive"));
        }
        let folders = config.data.folders.iter().map(|folder| folder.share);
        if !is_mixture(config.data.worlds.values().copied().chain(folders)) {
            return Err(invalid(
                "data.worlds and data.folders need shares of at least 0 whose sum is positive",
            ));
        }
        let tasks = &config.tasks;
        if !is_mixture([tasks.segment, tasks.answer, tasks.question].into_iter()) {
            return Err(invalid(
                "tasks needs shares of at least 0 whose sum is positive",
            ));
        }
        let has_evidence = config.model.evidence.is_some() && config.stage == Stage::Speak;
        if config.loss.evidence != 0.0 && !has_evidence {
            return Err(invalid(
                "loss.evidence needs model.evidence, and stage = \"speak\"",
            ));
        }
        if config.loss.criterion != 0.0 && config.stage == Stage::See {
            return Err(invalid(
                "loss.criterion needs a language model to learn, not stage = \"see\"",
            ));
        }
        let losses = &config.loss;
        let others = [
            losses.bce,
            losses.dice,
            losses.patch,
            losses.token,
            losses.cell,
            losses.kind,
            losses.evidence,
        ];
        let has_others = others.iter().any(|weight| *weight != 0.0) || config.dssl.is_some();
        if config.stage == Stage::Talk && has_others {
            return Err(invalid(
                "stage = \"talk\" has no loss but loss.text and loss.criterion",
            ));
        }
        for (name, share) in [
            ("second_turn", tasks.second_turn),
            ("normal_description", tasks.normal_description),
            ("criteria", tasks.criteria),
            ("renamed", tasks.renamed),
            ("invented", tasks.invented),
            ("places", tasks.places),
            ("swapped", tasks.swapped),
        ] {
            if !is_share(share) {
                return Err(invalid(&format!(
                    "tasks.{name} must be a share from 0 to 1, not {share}"
                )));
            }
        }
        if let Some(lora) = &config.lora {
            lora.validate().map_err(|what| invalid(&what))?;
        }
        let has_statistics = matches!(
            &config.model.sam.encoder,
            SamEncoder::TinyVit(tiny) if tiny.norm == ConvNorm::Batch
        );
        if has_statistics && config.start.is_none() {
            return Err(invalid(
                "model.sam.encoder: norm = \"batch\" takes its statistics from public weights; a run \
                 that starts from nothing needs norm = \"layer\"",
            ));
        }
        if let Some(dssl) = &config.dssl {
            dssl.validate()
                .map_err(|what| invalid(&format!("dssl: {what}")))?;
        }
        if config.vocab_size != config.model.llm.vocab_size {
            return Err(invalid("vocab_size and model.llm.vocab_size must be equal"));
        }
        Ok(config)
    }

    /// What stays as it is: what the run names, under LoRA the language model's blocks, and what no
    /// loss reaches.
    #[must_use]
    pub fn frozen(&self) -> Freeze {
        const BLOCKS: [&str; 2] = ["llm.layers.*", "llm.norm.*"];
        let mut freeze = self.freeze.clone();
        if self.lora.is_some() {
            freeze.patterns.extend(BLOCKS.map(str::to_owned));
        }
        // burn keeps gradients' bookkeeping for what is tracked and never asked for, more with every
        // step. Of SAM's mask tokens only the first is.
        let others = (1..self.model.sam.n_mask_tokens)
            .map(|i| format!("sam.mask_decoder.output_hypernetworks_mlps.{i}.*"));
        freeze.patterns.extend(others);
        let projector = match self.model.projector {
            ProjectorConfig::Ltc(_) => "ltc.*",
            _ => "projector.*",
        };
        if self.stage == Stage::Talk {
            let mut idle = vec!["clip.*", projector, "seg.*", "sam.*"];
            if self.model.evidence.is_some() {
                // All but the place and the verdict.
                idle.extend(["evidence.*norm.*", "evidence.fc*"]);
            }
            freeze.patterns.extend(idle.into_iter().map(str::to_owned));
        }
        if self.stage == Stage::See && self.dssl.is_none() {
            let mut idle = vec!["llm.*", projector];
            if self.model.evidence.is_some() {
                idle.push("evidence.*");
            }
            if !self.learns_kinds() {
                idle.push("clip.*");
            }
            if !self.learns_masks() {
                idle.push("seg.*");
                idle.extend(match self.loss.cell == 0.0 {
                    true => &["sam.*"][..],
                    false => &["sam.prompt_encoder.*", "sam.mask_decoder.*"],
                });
            }
            freeze.patterns.extend(idle.into_iter().map(str::to_owned));
        }
        freeze
    }

    /// Whether anything is asked of CLIP's patches themselves.
    #[must_use]
    pub fn learns_kinds(&self) -> bool {
        let kind = match self.stage {
            Stage::See => self.loss.kind,
            // There the visual tokens learn it.
            Stage::Speak | Stage::Talk => 0.0,
        };
        self.loss.patch != 0.0 || kind != 0.0
    }

    /// Whether anything is asked of the visual tokens themselves.
    #[must_use]
    pub fn learns_tokens(&self) -> bool {
        self.stage == Stage::Speak && (self.loss.token != 0.0 || self.loss.kind != 0.0)
    }

    /// Whether masks are learned.
    #[must_use]
    pub fn learns_masks(&self) -> bool {
        self.loss.bce != 0.0 || self.loss.dice != 0.0
    }

    /// Seed of the scenes.
    #[must_use]
    pub fn data_seed(&self) -> u64 {
        self.data.seed.unwrap_or(self.seed)
    }

    /// Side of the generators' scenes, pixels.
    #[must_use]
    pub fn scene_size(&self) -> u32 {
        (self.model.sam.image_size as f32 / self.data.crop.unwrap_or(1.0)) as u32
    }

    /// Scenes that the pool holds at `step`.
    #[must_use]
    pub fn pool_at(&self, step: u64) -> usize {
        let grown = (self.data.pool_growth as u64).saturating_mul(step);
        let grown = usize::try_from(grown).unwrap_or(usize::MAX);
        self.data
            .pool_start
            .saturating_add(grown)
            .min(self.data.pool)
    }

    /// Learning rate of `step`: linear warm-up, then cosine.
    #[must_use]
    pub fn learning_rate(&self, step: u64) -> f64 {
        let o = &self.optimiser;
        if step < o.warmup_steps {
            return o.learning_rate * (step + 1) as f64 / o.warmup_steps as f64;
        }
        let span = self.steps.saturating_sub(o.warmup_steps).max(1);
        let done = ((step - o.warmup_steps) as f64 / span as f64).min(1.0);
        let cosine = (1.0 + (std::f64::consts::PI * done).cos()) / 2.0;
        o.learning_rate * (o.final_share + (1.0 - o.final_share) * cosine)
    }
}

/// Whether shares can be drawn by: none below 0, and some above.
fn is_mixture(shares: impl Iterator<Item = f32>) -> bool {
    let mut sum = 0.0;
    for share in shares {
        if !share.is_finite() || share < 0.0 {
            return false;
        }
        sum += share;
    }
    sum > 0.0
}

/// Whether a key says what its absence does.
fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn beta_2() -> f32 {
    0.95
}

fn catalogue() -> BTreeMap<World, f32> {
    BTreeMap::from([(World::Catalogue, 1.0)])
}

fn one() -> usize {
    1
}
