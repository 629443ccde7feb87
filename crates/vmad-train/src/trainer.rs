//! The loop: draws a batch, steps, reports, saves, resumes.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::grad_clipping::GradientClippingConfig;
use burn::lr_scheduler::LrSchedulerConfig;
use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrSchedulerConfig};
use burn::module::{Module, ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamWConfig, AdjustLrFn, GradientsAccumulator, ModuleOptimizer, MuonConfig};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use vmad_model::{Builder, RandomWeights, Vmad};
use vmad_package::Manifest;
use vmad_prep::Tokenizer;

use crate::TrainError;
use crate::checkpoint::{Progress, RunFolder};
use crate::config::{Stage, Tasks, TrainConfig};
use crate::conversation::{Dialogue, Interviewer, PHRASES};
use crate::dssl::{DsslHeads, Memory};
use crate::export::{ExportOptions, export, weights_hash};
use crate::features::{Encoders, FeatureStore, Frozen};
use crate::freeze::Freeze;
use crate::heads::Heads;
use crate::lora::Lora;
use crate::losses::Losses;
use crate::naming::{MODIFIERS, NOUNS};
use crate::parallel::side_by_side;
use crate::samples::{ClipSide, Pool, SamSide, View, ViewId};
use crate::start::{Start, StartWeights};
use crate::step::{Batch, Trainee};
use crate::tokenizer::train_tokenizer;
use crate::validation::{Glance, HeldOut, glance};
use crate::worlds::{Use, Worlds};

/// Scenes whose words the tokenizer is learned from.
const TOKENIZER_SCENES: usize = 1500;
/// Their side, pixels: nobody looks at them.
const TOKENIZER_SCENE_SIZE: u32 = 64;

/// Batches whose statistics batch norms are given.
const SETTLING_BATCHES: u64 = 4;

/// What happened in a step.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Steps taken so far.
    pub step: u64,
    /// The losses.
    pub losses: Losses,
    /// Learning rate of the step.
    pub learning_rate: f64,
}

/// A run in memory.
pub struct Trainer {
    config: TrainConfig,
    folder: RunFolder,
    device: Device,
    trainee: Option<Trainee>,
    optimiser: ModuleOptimizer,
    /// Parameters with a learning rate of their own, as a multiple of the run's.
    groups: Vec<(ParamGroup, f64)>,
    names: Vec<(String, ParamId)>,
    tokenizer: Tokenizer,
    tokenizer_json: Vec<u8>,
    pool: Arc<Pool>,
    features: Option<FeatureStore>,
    memory: Option<Memory>,
    progress: Progress,
    started: Instant,
}

impl Trainer {
    /// Starts a run in `dir`, or resumes the one that is there.
    ///
    /// `device` carries gradients ([`Device::autodiff`]).
    ///
    /// # Errors
    /// A configuration that differs from the run's, a damaged checkpoint, or the file system's.
    pub fn open(config: TrainConfig, dir: &Path, device: Device) -> Result<Self, TrainError> {
        let folder = RunFolder::new(dir)?;
        let progress = folder.progress()?;
        let text = toml::to_string(&config).map_err(|error| TrainError::Config {
            path: folder.path("run.toml"),
            message: error.to_string(),
        })?;
        let start = match &config.start {
            Some(start) if progress.is_none() => {
                Some((Start::read(&start.package, &device)?, start))
            }
            _ => None,
        };
        let tokenizer_json = if progress.is_some() {
            let path = folder.path("run.toml");
            let kept = std::fs::read_to_string(&path).map_err(|source| TrainError::Io {
                path: path.clone(),
                source,
            })?;
            if kept != text {
                return Err(TrainError::Config {
                    path,
                    message: "differs from the given configuration; a run keeps the one it \
                              started with"
                        .to_owned(),
                });
            }
            let path = folder.path("tokenizer.json");
            std::fs::read(&path).map_err(|source| TrainError::Io { path, source })?
        } else {
            let json = match &start {
                Some((start, how)) if !how.fresh_tokenizer => start.tokenizer_json.clone(),
                _ => train_tokenizer(corpus(&config)?.into_iter(), config.vocab_size)?,
            };
            folder.write("run.toml", text.as_bytes())?;
            folder.write("tokenizer.json", &json)?;
            json
        };
        let tokenizer = Tokenizer::from_json(&tokenizer_json)?;
        let mut source = StartWeights::new(&device, config.seed, start)?;
        let (model, names) = Vmad::new(&config.model, &mut source)?;
        let mut source = RandomWeights::new(&device, config.seed);
        let mut head_names = Vec::new();
        let mut builder = Builder::new(&mut source, &mut head_names);
        let heads = Heads::new(&mut builder, &config.model)?.for_run(&config);
        let dssl = match &config.dssl {
            Some(dssl) => Some(DsslHeads::new(
                &mut builder.at("dssl"),
                dssl,
                &config.model,
            )?),
            None => None,
        };
        let o = &config.optimiser;
        let clipping = GradientClippingConfig::Norm(o.clip_norm);
        let mut optimiser = AdamWConfig::new()
            .with_beta_2(o.beta_2)
            .with_epsilon(1e-8)
            .with_weight_decay(o.weight_decay)
            .with_grad_clipping(Some(clipping.clone()))
            .init();
        let named = |patterns: &[String]| {
            let patterns = patterns.to_vec();
            Freeze { patterns }.ids(&names)
        };
        let mut groups = Vec::new();
        for (pattern, rate) in &o.rates {
            let ids = named(std::slice::from_ref(pattern))?;
            groups.push((ParamGroup::from_ids(ids), *rate));
        }
        if let Some(muon) = &o.muon {
            let group = ParamGroup::from_ids(named(&muon.matrices)?);
            groups.push((group.clone(), muon.rate));
            let muon = MuonConfig::new()
                .with_weight_decay(Some(WeightDecayConfig::new(o.weight_decay)))
                .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
                .build();
            optimiser = optimiser.with_group(group, muon, Some(clipping.init()));
        }
        let mut lora_names = Vec::new();
        let mut builder = Builder::new(&mut source, &mut lora_names);
        let lora = match &config.lora {
            Some(lora) => Some(Lora::new(&mut builder, &config.model.llm, lora)?),
            None => None,
        };
        let model = config.frozen().apply(model, &names)?;
        let trainee = Trainee {
            model,
            heads,
            dssl,
            lora,
        };
        let (trainee, optimiser, progress) = match progress {
            Some(progress) => {
                let (trainee, optimiser) = folder.load(&progress, trainee, optimiser)?;
                (trainee, optimiser, progress)
            }
            None => (trainee, optimiser, Progress::default()),
        };
        let memory = match &config.dssl {
            Some(dssl) => Some(folder.load_memory(&progress, dssl)?),
            None => None,
        };
        let pool = Arc::new(Pool::new(&config)?);
        Ok(Self {
            features: features_of(&config, &folder, &names, &trainee)?,
            memory,
            folder,
            device,
            trainee: Some(trainee),
            optimiser,
            groups,
            names,
            tokenizer,
            tokenizer_json,
            pool,
            progress,
            started: Instant::now(),
            config,
        })
    }

    /// Steps taken so far.
    #[must_use]
    pub fn step_count(&self) -> u64 {
        self.progress.step
    }

    /// Renders the pool's scenes, for a thread of the caller's. Those whose features are kept are not
    /// looked at any more.
    pub fn render_ahead(&self) -> impl FnOnce() + Send + 'static {
        let pool = Arc::clone(&self.pool);
        let n_variants = self.config.data.variants;
        let kept = self.features.as_ref().map(|f| f.kept(n_variants));
        move || pool.render_ahead(|scene| kept.as_ref().is_some_and(|kept| kept(scene)))
    }

    /// Takes one step.
    ///
    /// # Errors
    /// A loss that is not finite, or the model's.
    pub fn step(&mut self) -> Result<StepReport, TrainError> {
        let step = self.progress.step;
        let Some(trainee) = self.trainee.take() else {
            return Err(TrainError::Readback("an earlier step failed".to_owned()));
        };
        let ids = self.pool.choose(step);
        let views = self.views(&ids, &trainee)?;
        let views: Vec<&View> = views.iter().map(Arc::as_ref).collect();
        let dialogues = self.dialogues(step, &views, &self.config.tasks)?;
        let scenes: Vec<u64> = ids.iter().map(|id| id.scene as u64).collect();
        let descriptions = self.descriptions(&views)?;
        let counts = |memory| {
            let counts = self.config.dssl.as_ref().is_some_and(|d| d.counts_at(step));
            (memory, counts)
        };
        let batch = Batch {
            views: &views,
            scenes: &scenes,
            dialogues: &dialogues,
            descriptions: &descriptions,
            dropout: Some(self.config.seed ^ step << 16),
            memory: self.memory.as_ref().map(counts),
        };
        let parts = side_by_side(&self.config, &self.device, &trainee, &batch)?;
        let mut losses = Losses::default();
        let mut gradients = GradientsAccumulator::new();
        let mut observations = Vec::new();
        for part in parts {
            losses = losses.plus(&part.losses, 1.0 / self.config.micro_batches as f32);
            gradients.accumulate(&trainee, part.gradients);
            observations.extend(part.observations);
        }
        let gradients = gradients.grads();
        if !losses.total.is_finite() {
            self.trainee = Some(trainee);
            return Err(TrainError::NotFinite {
                step,
                loss: losses.total,
            });
        }
        if let Some(memory) = &mut self.memory {
            observations.into_iter().for_each(|seen| memory.push(seen));
        }
        let learning_rate = self.config.learning_rate(step);
        let rates = self.rates(learning_rate)?;
        self.trainee = Some(self.optimiser.step(rates, trainee, gradients));
        self.progress.step = step + 1;
        Ok(StepReport {
            step: step + 1,
            losses,
            learning_rate,
        })
    }

    /// The learning rate of each group of parameters.
    fn rates(&self, learning_rate: f64) -> Result<ModuleLearningRate, TrainError> {
        let constant = |share: f64| LrSchedulerConfig::Constant(learning_rate * share);
        let mut rates = ModuleLrSchedulerConfig::new(constant(1.0));
        for (group, share) in &self.groups {
            rates = rates.with_group(group.clone(), constant(*share));
        }
        let mut rates = rates.init().map_err(|message| TrainError::Config {
            path: self.folder.path("run.toml"),
            message,
        })?;
        Ok(rates.step())
    }

    /// Sets the statistics of batch norms that learn, from views that no step has.
    fn settle(&mut self) -> Result<(), TrainError> {
        let frozen = self.config.frozen().ids(&self.names)?;
        let learns = |part: &str| {
            let mut of_stem = self.names.iter().filter(|(name, _)| {
                name.starts_with(part) && name.contains(".stem.") && name.contains(".norm.")
            });
            of_stem
                .clone()
                .any(|(name, _)| name.ends_with(".running_mean"))
                && of_stem.any(|(name, id)| name.ends_with(".weight") && !frozen.contains(id))
        };
        let (clip_learns, sam_learns) = (learns("clip."), learns("sam."));
        if !clip_learns && !sam_learns {
            return Ok(());
        }
        let (mut clip, mut sam) = (Vec::new(), Vec::new());
        for step in 0..SETTLING_BATCHES {
            for view in self.pool.views(&self.pool.choose(u64::MAX - step))? {
                if let ClipSide::Pixels { pixels, .. } = view.clip {
                    clip.extend(pixels);
                }
                if let SamSide::Pixels(pixels) = view.sam {
                    sam.extend(pixels);
                }
            }
        }
        let image = |pixels: Vec<f32>, side: usize| {
            let n = pixels.len() / (3 * side * side);
            Tensor::from_data(TensorData::new(pixels, [n, 3, side, side]), &self.device)
        };
        let Some(mut trainee) = self.trainee.take() else {
            return Ok(());
        };
        let (model, config) = (&mut trainee.model, &self.config.model);
        if clip_learns {
            let pixels = image(clip, config.clip.image_size);
            model.clip = model.clip.clone().with_batch_statistics(pixels);
        }
        if sam_learns {
            let pixels = image(sam, config.sam.image_size);
            model.sam_encoder = model.sam_encoder.clone().with_batch_statistics(pixels);
        }
        self.trainee = Some(trainee);
        Ok(())
    }

    /// Looks at scenes, through what is kept of them where encoders are frozen.
    fn views(&mut self, ids: &[ViewId], trainee: &Trainee) -> Result<Vec<Arc<View>>, TrainError> {
        match &mut self.features {
            Some(features) => {
                let encoders = Encoders {
                    trainee: trainee.valid(),
                    device: self.device.clone().inner(),
                };
                features.views(ids, &self.pool, &encoders, &self.config)
            }
            None => Ok(self.pool.views(ids)?.into_iter().map(Arc::new).collect()),
        }
    }

    /// Token ids of each view's description of the normal scene; empty without DSSL.
    fn descriptions(&self, views: &[&View]) -> Result<Vec<Vec<i32>>, TrainError> {
        let encode = |view: &&View| {
            let text = &view.truth.told.normal_description;
            match self.config.dssl {
                Some(_) if !text.is_empty() => self.tokenizer.encode(text, false),
                _ => Ok(Vec::new()),
            }
        };
        Ok(views.iter().map(encode).collect::<Result<_, _>>()?)
    }

    /// What is said about the views of a step; nothing where the stage has no words.
    fn dialogues(
        &self,
        step: u64,
        views: &[&View],
        tasks: &Tasks,
    ) -> Result<Vec<Dialogue>, TrainError> {
        if self.config.stage == Stage::See {
            return Ok(Vec::new());
        }
        let interviewer = Interviewer {
            tokenizer: &self.tokenizer,
            conversation: &self.config.conversation,
            templates: &self.config.templates,
            tasks,
        };
        let truths = views.iter().map(|view| &view.truth);
        self.pool.dialogues(step, truths, &interviewer)
    }

    /// Scenes that the run does not learn from, the first `n`.
    ///
    /// # Errors
    /// A data set that cannot be read.
    pub fn held_out(&self, n: usize) -> Result<Vec<HeldOut>, TrainError> {
        match self.config.stage {
            // There are no pictures to look at.
            Stage::Talk => Ok(Vec::new()),
            Stage::See | Stage::Speak => HeldOut::first(&self.config, n),
        }
    }

    /// Photographs of data sets that were left out, and why.
    #[must_use]
    pub fn skipped(&self) -> Vec<(String, String)> {
        self.pool.skipped()
    }

    /// What the model makes of held-out scenes as it stands.
    ///
    /// # Errors
    /// The model's.
    pub fn glance(&self, scenes: &[HeldOut]) -> Result<Vec<Glance>, TrainError> {
        let Some(trainee) = &self.trainee else {
            return Err(TrainError::Readback("an earlier step failed".to_owned()));
        };
        let tasks = Tasks {
            segment: 1.0,
            answer: 0.0,
            question: 0.0,
            second_turn: 0.0,
            normal_description: 0.0,
            criteria: 0.0,
            renamed: 0.0,
            invented: 0.0,
            places: 0.0,
            swapped: 0.0,
        };
        let views: Vec<&View> = scenes.iter().map(|scene| &scene.view).collect();
        let dialogues = self.dialogues(0, &views, &tasks)?;
        let device = self.device.clone().inner();
        glance(trainee, &self.config, scenes, &dialogues, &device)
    }

    /// Whether a checkpoint is due now.
    #[must_use]
    pub fn checkpoint_due(&self) -> bool {
        let step = self.progress.step;
        step.is_multiple_of(self.config.checkpoint_every) || step >= self.config.steps
    }

    /// Whether the run has taken all its steps.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.progress.step >= self.config.steps
    }

    /// Saves weights, optimiser state and progress.
    ///
    /// # Errors
    /// The file system's.
    pub fn save(&mut self) -> Result<(), TrainError> {
        self.progress.seconds += self.started.elapsed().as_secs_f64();
        self.started = Instant::now();
        self.settle()?;
        match &self.trainee {
            Some(trainee) => self.folder.save(
                trainee,
                &self.optimiser,
                self.memory.as_ref(),
                &mut self.progress,
            ),
            None => Ok(()),
        }
    }

    /// Writes the model as it stands as a package.
    ///
    /// # Errors
    /// The package writer's.
    pub fn export(&self, options: &ExportOptions, dir: &Path) -> Result<Manifest, TrainError> {
        let Some(trainee) = &self.trainee else {
            return Err(TrainError::Readback("an earlier step failed".to_owned()));
        };
        let mut model = trainee.model.valid();
        if let Some(lora) = &trainee.lora {
            model = lora.valid().merge(model, &self.names)?;
        }
        export(
            &model,
            &self.names,
            &self.config,
            &self.tokenizer_json,
            options,
            dir,
        )
    }

    /// The run's configuration.
    #[must_use]
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Seconds spent in all sessions of the run.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.progress.seconds + self.started.elapsed().as_secs_f64()
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        self.pool.stop();
    }
}

/// The store of frozen encoders' features, where a run has any.
fn features_of(
    config: &TrainConfig,
    folder: &RunFolder,
    names: &[(String, ParamId)],
    trainee: &Trainee,
) -> Result<Option<FeatureStore>, TrainError> {
    let ids = config.frozen().ids(names)?;
    let is_frozen = |part: &str| {
        let mut of_part = names.iter().filter(|(name, _)| name.starts_with(part));
        of_part.all(|(_, id)| ids.contains(id))
    };
    let frozen = Frozen {
        clip: is_frozen("clip."),
        sam: is_frozen("sam.image_encoder."),
    };
    // Features of looks that do not come again are not worth keeping.
    if config.data.variants == 0 || !(frozen.clip || frozen.sam) {
        return Ok(None);
    }
    let weights = weights_hash(&trainee.model, names, |name| {
        name.starts_with("clip.") || name.starts_with("sam.image_encoder.")
    });
    let parent = match &config.features {
        Some(folder) => folder.clone(),
        None => folder.path("features"),
    };
    Ok(Some(FeatureStore::new(config, &parent, frozen, &weights)))
}

/// What the tokenizer is learned from: the frame, the questions, and what is said about scenes of
/// the run's worlds. Nothing of the categories that training does not see is among it.
fn corpus(config: &TrainConfig) -> Result<Vec<String>, TrainError> {
    let frame = [
        config.conversation.system.clone(),
        format!(
            "{}: {}:",
            config.conversation.user, config.conversation.assistant
        ),
        config.templates.segment.clone(),
        config.templates.segment_answer.clone(),
        config.templates.queries.description.clone(),
        config.templates.queries.impact.clone(),
        config.templates.queries.suggestion.clone(),
        config.templates.answer_prefix.clone(),
    ];
    let phrases = PHRASES
        .iter()
        .chain(NOUNS.iter())
        .chain(&MODIFIERS)
        .map(|text| (*text).to_owned());
    let worlds = Worlds::new(config, Use::Learn)?;
    let n_scenes = TOKENIZER_SCENES.min(config.data.pool);
    let said = (0..n_scenes).into_par_iter().map(|index| {
        let sample = worlds.scene(index, TOKENIZER_SCENE_SIZE)?;
        let answers = sample.qa.into_iter().map(|qa| qa.answer);
        Ok(answers
            .chain([sample.object, sample.normal_description])
            .collect())
    });
    let said: Vec<Vec<String>> = said.collect::<Result<_, TrainError>>()?;
    let said = said.into_iter().flatten();
    Ok(frame.into_iter().chain(phrases).chain(said).collect())
}
