//! The training loop: draw a batch, step, report, save, resume. What a step computes depends on the stage.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::module::{Module, ParamId};
use burn::optim::{GradientsAccumulator, ModuleOptimizer};
use burn::tensor::Device;
use vmad_model::{Builder, RandomWeights, Vmad};
use vmad_package::Manifest;
use vmad_prep::Tokenizer;

use crate::TrainError;
use crate::batch::Batch;
use crate::batch_statistics::with_batch_statistics;
use crate::checkpoint::{Progress, RunFolder};
use crate::config::{Tasks, TrainConfig};
use crate::corpus::corpus;
use crate::dialogue::{Dialogue, DialogueBuilder};
use crate::dssl::{DsslHeads, Memory};
use crate::export::{ExportOptions, export};
use crate::features::{Encoders, FeatureStore};
use crate::heads::TrainHeads;
use crate::lora::Lora;
use crate::loss_parts::Losses;
use crate::micro_batches::in_parallel;
use crate::optimiser::{RateGroups, optimiser};
use crate::package_weights::PackageWeights;
use crate::pool::{Pool, ViewId};
use crate::stage::{frozen, stage_of};
use crate::start::StartWeights;
use crate::tokenizer::train_tokenizer;
use crate::train_model::TrainModel;
use crate::validation::{HeldOut, Preview, preview};
use crate::view::View;

/// Losses of a step.
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
    train_model: Option<TrainModel>,
    optimiser: ModuleOptimizer,
    groups: RateGroups,
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
        let package = match &config.start {
            Some(start) if progress.is_none() => Some(PackageWeights::read(&start.package)?),
            _ => None,
        };
        let tokenizer_json = match progress.is_some() {
            true => kept_tokenizer(&folder, &config)?,
            false => new_tokenizer(&folder, &config, package.as_ref())?,
        };
        let tokenizer = Tokenizer::from_json(&tokenizer_json)?;
        let (train_model, names) = build_model(&config, package, &device)?;
        let (mut optimiser, groups) = optimiser(&config.optimiser, &names)?;
        let mut train_model = train_model;
        if let Some(progress) = &progress {
            (train_model, optimiser) = folder.load(progress, train_model, optimiser)?;
        }
        let progress = progress.unwrap_or_default();
        let memory = match &config.ablation.dssl {
            Some(dssl) => Some(folder.load_memory(&progress, dssl)?),
            None => None,
        };
        let pool = Arc::new(Pool::new(&config)?);
        Ok(Self {
            features: FeatureStore::of_run(&config, &folder, &names, &train_model)?,
            memory,
            folder,
            device,
            train_model: Some(train_model),
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

    /// A function that renders the pool's scenes, for another thread. Scenes whose features are kept are left
    /// out.
    pub fn render_ahead(&self) -> impl FnOnce() + Send + 'static {
        let pool = Arc::clone(&self.pool);
        let n_variants = self.config.data.views_per_scene;
        let kept = self.features.as_ref().map(|f| f.kept(n_variants));
        move || pool.render_ahead(|scene| kept.as_ref().is_some_and(|kept| kept(scene)))
    }

    /// Takes one step.
    ///
    /// # Errors
    /// A loss that is not finite, or the model's.
    pub fn step(&mut self) -> Result<StepReport, TrainError> {
        let step = self.progress.step;
        let Some(train_model) = self.train_model.take() else {
            return Err(TrainError::Readback("an earlier step failed".to_owned()));
        };
        let ids = self.pool.view_ids(step);
        let views = self.views(&ids, &train_model)?;
        let views: Vec<&View> = views.iter().map(Arc::as_ref).collect();
        let dialogues = self.dialogues(step, &views, &self.config.tasks)?;
        let scenes: Vec<u64> = ids.iter().map(|id| id.scene as u64).collect();
        let descriptions = self.descriptions(&views)?;
        let counts = |memory| {
            let counts = self
                .config
                .ablation
                .dssl
                .as_ref()
                .is_some_and(|d| d.counts_at(step));
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
        let parts = in_parallel(&self.config, &self.device, &train_model, &batch)?;
        let mut losses = Losses::default();
        let mut gradients = GradientsAccumulator::new();
        let mut observations = Vec::new();
        for part in parts {
            losses = losses.plus(&part.losses, 1.0 / self.config.micro_batches as f32);
            gradients.accumulate(&train_model, part.gradients);
            observations.extend(part.observations);
        }
        let gradients = gradients.grads();
        if !losses.total.is_finite() {
            self.train_model = Some(train_model);
            return Err(TrainError::NotFinite {
                step,
                loss: losses.total,
            });
        }
        if let Some(memory) = &mut self.memory {
            observations.into_iter().for_each(|seen| memory.push(seen));
        }
        let learning_rate = self.config.optimiser.learning_rate(step, self.config.steps);
        let rates = self.groups.rates(learning_rate);
        let rates = rates.map_err(|message| TrainError::Config {
            path: self.folder.path("run.toml"),
            message,
        })?;
        self.train_model = Some(self.optimiser.step(rates, train_model, gradients));
        self.progress.step = step + 1;
        Ok(StepReport {
            step: step + 1,
            losses,
            learning_rate,
        })
    }

    /// Sets the statistics of batch norms that learn.
    fn update_batch_statistics(&mut self) -> Result<(), TrainError> {
        let Some(train_model) = self.train_model.take() else {
            return Ok(());
        };
        let before = train_model.clone();
        let (config, names) = (&self.config, &self.names);
        let updated = with_batch_statistics(train_model, config, names, &self.pool, &self.device);
        let (train_model, result) = match updated {
            Ok(updated) => (updated, Ok(())),
            Err(error) => (before, Err(error)),
        };
        self.train_model = Some(train_model);
        result
    }

    /// The views, with features of frozen encoders where these are kept.
    fn views(
        &mut self,
        ids: &[ViewId],
        train_model: &TrainModel,
    ) -> Result<Vec<Arc<View>>, TrainError> {
        match &mut self.features {
            Some(features) => {
                let encoders = Encoders {
                    train_model: train_model.valid(),
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
            let text = &view.targets.text.normal_description;
            match self.config.ablation.dssl {
                Some(_) if !text.is_empty() => self.tokenizer.encode(text, false),
                _ => Ok(Vec::new()),
            }
        };
        Ok(views.iter().map(encode).collect::<Result<_, _>>()?)
    }

    /// The dialogues about the views of a step; none in a stage without dialogues.
    fn dialogues(
        &self,
        step: u64,
        views: &[&View],
        tasks: &Tasks,
    ) -> Result<Vec<Dialogue>, TrainError> {
        if !stage_of(&self.config).has_dialogues() {
            return Ok(Vec::new());
        }
        let builder = DialogueBuilder {
            tokenizer: &self.tokenizer,
            conversation: &self.config.conversation,
            templates: &self.config.templates,
            tasks,
        };
        let targets = views.iter().map(|view| &view.targets);
        self.pool.dialogues(step, targets, &builder)
    }

    /// The first `n` scenes that the run does not learn from; none in a stage without pictures.
    ///
    /// # Errors
    /// A data set that cannot be read.
    pub fn held_out(&self, n: usize) -> Result<Vec<HeldOut>, TrainError> {
        match stage_of(&self.config).has_pictures() {
            true => HeldOut::first(&self.config, n),
            false => Ok(Vec::new()),
        }
    }

    /// Photographs of data sets that were left out, and why.
    #[must_use]
    pub fn skipped(&self) -> Vec<(String, String)> {
        self.pool.skipped()
    }

    /// The model's predictions for held-out scenes.
    ///
    /// # Errors
    /// The model's.
    pub fn preview(&self, scenes: &[HeldOut]) -> Result<Vec<Preview>, TrainError> {
        let Some(train_model) = &self.train_model else {
            return Err(TrainError::Readback("an earlier step failed".to_owned()));
        };
        let views: Vec<&View> = scenes.iter().map(|scene| &scene.view).collect();
        let dialogues = self.dialogues(0, &views, &Tasks::segment_only())?;
        let device = self.device.clone().inner();
        preview(train_model, &self.config, scenes, &dialogues, &device)
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
        self.update_batch_statistics()?;
        match &self.train_model {
            Some(train_model) => self.folder.save(
                train_model,
                &self.optimiser,
                self.memory.as_ref(),
                &mut self.progress,
            ),
            None => Ok(()),
        }
    }

    /// Writes the current model as a package.
    ///
    /// # Errors
    /// The package writer's.
    pub fn export(&self, options: &ExportOptions, dir: &Path) -> Result<Manifest, TrainError> {
        let Some(train_model) = &self.train_model else {
            return Err(TrainError::Readback("an earlier step failed".to_owned()));
        };
        let mut model = train_model.model.valid();
        if let Some(lora) = &train_model.lora {
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

/// The tokenizer of a run that is resumed.
///
/// # Errors
/// `config` differs from the run's.
fn kept_tokenizer(folder: &RunFolder, config: &TrainConfig) -> Result<Vec<u8>, TrainError> {
    let kept = TrainConfig::read(&folder.path("run.toml"))?;
    if kept != *config {
        return Err(TrainError::Config {
            path: folder.path("run.toml"),
            message: "differs from the given configuration; a run keeps the one it started with"
                .to_owned(),
        });
    }
    let path = folder.path("tokenizer.json");
    std::fs::read(&path).map_err(|source| TrainError::Io { path, source })
}

/// The tokenizer of a new run: that of the package it starts from, or a new one.
fn new_tokenizer(
    folder: &RunFolder,
    config: &TrainConfig,
    package: Option<&PackageWeights>,
) -> Result<Vec<u8>, TrainError> {
    let is_new = config
        .start
        .as_ref()
        .is_none_or(|start| start.new_tokenizer);
    let json = match package.filter(|_| !is_new) {
        Some(package) => package.tokenizer_json.clone(),
        None => train_tokenizer(corpus(config)?.into_iter(), config.vocab_size)?,
    };
    let text = toml::to_string(config).map_err(|error| TrainError::Config {
        path: folder.path("run.toml"),
        message: error.to_string(),
    })?;
    folder.write("run.toml", text.as_bytes())?;
    folder.write("tokenizer.json", &json)?;
    Ok(json)
}

/// The model with its heads, and the names of the exported parameters. `package` gives the weights that it starts
/// from.
fn build_model(
    config: &TrainConfig,
    package: Option<PackageWeights>,
    device: &Device,
) -> Result<(TrainModel, Vec<(String, ParamId)>), TrainError> {
    let mut source = StartWeights::new(device, config, package)?;
    let (model, names) = Vmad::new(&config.model, &mut source)?;
    // Seeded anew, so that the heads do not depend on what the model drew.
    let mut source = RandomWeights::new(device, config.seed);
    let mut head_names = Vec::new();
    let mut builder = Builder::new(&mut source, &mut head_names);
    let heads = TrainHeads::new(&mut builder, &config.model)?.for_run(config);
    let dssl = match &config.ablation.dssl {
        Some(dssl) => Some(DsslHeads::new(
            &mut builder.at("dssl"),
            dssl,
            &config.model,
        )?),
        None => None,
    };
    let lora = match &config.ablation.lora {
        Some(lora) => Some(Lora::new(&mut builder, &config.model.llm, lora)?),
        None => None,
    };
    let model = frozen(config).apply(model, &names)?;
    let train_model = TrainModel {
        model,
        heads,
        dssl,
        lora,
    };
    Ok((train_model, names))
}
