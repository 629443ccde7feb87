//! One step: a batch of views forward, the parts of the loss.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use vmad_data::DefectKind;
use vmad_model::config::{ClipConfig, SimilaritySource};
use vmad_model::evidence::Features;
use vmad_model::similarity::sam_prior;
use vmad_model::{Vmad, VmadConfig};
use vmad_prep::PhotoFrame;

use crate::TrainError;
use crate::config::{Stage, TrainConfig};
use crate::conversation::Dialogue;
use crate::dssl::{
    DsslConfig, DsslHeads, DsslImage, Extent, Maps, Memory, Observation, Patches, observe,
};
use crate::facts::Shown;
use crate::heads::{Heads, kind_loss, patch_loss};
use crate::lora::Lora;
use crate::loss::{bce, cross_entropy, dice};
use crate::losses::{LossParts, Part};
use crate::samples::{ClipSide, NORMAL_PATCH, SamSide, Truth, UNKNOWN_PATCH, View};

/// Tokens in place of a picture where the language model learns alone: few, since they cost as much as
/// words.
const FACT_TOKENS: usize = 4;

/// The model with the heads that only training has.
#[derive(Module, Debug)]
pub struct Trainee {
    /// What is shipped.
    pub model: Vmad,
    /// What is thrown away.
    pub heads: Heads,
    /// DSSL's heads, thrown away as well.
    pub dssl: Option<DsslHeads>,
    /// LoRA's factors, merged when the model is written out.
    pub lora: Option<Lora>,
}

/// Views and what is said about them. [`Stage::See`] needs no dialogues.
pub struct Batch<'a> {
    /// The views.
    pub views: &'a [&'a View],
    /// Which scene each view shows.
    pub scenes: &'a [u64],
    /// One for each view, or none.
    pub dialogues: &'a [Dialogue],
    /// Token ids of each view's description of the normal scene, for DSSL.
    pub descriptions: &'a [Vec<i32>],
    /// Seed of LoRA's dropout; none outside of training.
    pub dropout: Option<u64>,
    /// Pictures that DSSL compares the views with, and whether its loss counts already.
    pub memory: Option<(&'a Memory, bool)>,
}

impl<'a> Batch<'a> {
    /// Kinds of defect that the conversation about a view tolerates.
    fn tolerated(&self, view: usize) -> &[DefectKind] {
        let dialogue = self.dialogues.get(view);
        dialogue.map_or(&[], |dialogue| &dialogue.tolerated)
    }

    /// `n` views from `start` on, with what belongs to them.
    #[must_use]
    pub fn part(&self, start: usize, n: usize) -> Self {
        fn cut<T>(all: &[T], start: usize, n: usize) -> &[T] {
            let end = (start + n).min(all.len());
            all.get(start..end).unwrap_or_default()
        }
        Self {
            views: cut(self.views, start, n),
            scenes: cut(self.scenes, start, n),
            dialogues: cut(self.dialogues, start, n),
            descriptions: cut(self.descriptions, start, n),
            dropout: self.dropout.map(|seed| seed.wrapping_add(start as u64)),
            memory: self.memory,
        }
    }
}

/// What a step found.
#[derive(Default)]
pub struct Found {
    /// The parts of the loss.
    pub parts: LossParts,
    /// What DSSL's memory is to keep.
    pub observations: Vec<Observation>,
}

impl Trainee {
    /// # Errors
    /// The model's.
    pub fn losses(
        &self,
        run: &TrainConfig,
        batch: &Batch,
        device: &Device,
    ) -> Result<Found, TrainError> {
        let config = &run.model;
        let views = batch.views;
        let truths: Vec<&Truth> = views.iter().map(|view| &view.truth).collect();
        let mut found = Found::default();
        let parts = &mut found.parts;

        let Read {
            last_tap,
            visual,
            words,
            image,
            marked,
            masks,
            evidence,
            states,
        } = self.read(run, batch, run.learns_masks(), device)?;
        let patches: Vec<&[u8]> = truths.iter().map(|truth| &truth.patches[..]).collect();
        let mut classes = None;
        if run.learns_kinds() {
            let logits = self.heads.patch_classes(last_tap.clone());
            parts.set(Part::Patch, patch_loss(logits.clone(), &patches));
            classes = Some(logits);
        }
        if let Some(visual) = visual.filter(|_| run.learns_tokens()) {
            let logits = self.heads.token_classes(visual.clone());
            let loss = self.heads.token_loss(visual, logits.clone(), &truths);
            parts.set(Part::Token, loss);
            classes = Some(logits);
        }
        let classes = classes.filter(|_| run.loss.kind != 0.0);
        if let Some(loss) = classes.and_then(|logits| kind_loss(logits, &patches)) {
            parts.set(Part::Kind, loss);
        }
        if let Some((hidden, targets)) = words {
            let logits = self.model.llm.logits(hidden);
            parts.set(Part::Text, cross_entropy(logits, targets));
        }
        if let Some(evidence) = evidence.filter(|_| run.loss.evidence != 0.0) {
            let classes = marked
                .iter()
                .map(|i| truths[*i].only_class(batch.tolerated(*i)));
            let classes = classes.collect::<Vec<_>>();
            if let Some(loss) = self.heads.evidence_loss(evidence, &classes) {
                parts.set(Part::Evidence, loss);
            }
        }
        if let Some(states) = states.filter(|_| run.loss.criterion != 0.0) {
            let allowed = marked.iter().map(|i| allowed_class(batch.tolerated(*i)));
            let allowed = allowed.collect::<Vec<_>>();
            if let Some(loss) = self.heads.criterion_loss(states, &allowed) {
                parts.set(Part::Criterion, loss);
            }
        }
        let Some(image) = image else {
            return Ok(found);
        };
        if run.loss.cell != 0.0 {
            let loss = self.heads.cell_loss(image.clone(), &truths);
            parts.set(Part::Cell, loss);
        }
        if let Some(logits) = masks.filter(|_| run.learns_masks()) {
            let n_cells = config.sam.mask_side().pow(2);
            let target = |i: &usize| truths[*i].mask(batch.tolerated(*i), n_cells);
            let targets = marked.iter().map(target).collect::<Vec<_>>();
            let (target, has_target) = mask_targets(&targets, device);
            parts.set(Part::Bce, bce(logits.clone(), target.clone()));
            parts.set(Part::Dice, dice(logits, target, has_target));
        }
        if let (Some(heads), Some(dssl), Some(memory)) = (&self.dssl, &run.dssl, batch.memory) {
            let maps = Maps {
                sam: image,
                clip: last_tap,
            };
            self.compare(run, dssl, heads, &maps, batch, memory, &mut found)?;
        }
        Ok(found)
    }

    /// The model over a batch: CLIP, in [`Stage::Speak`] the projector and the language model, and
    /// SAM where `with_masks` or the run asks for it.
    fn read(
        &self,
        run: &TrainConfig,
        batch: &Batch,
        with_masks: bool,
        device: &Device,
    ) -> Result<Read, TrainError> {
        if run.stage == Stage::Talk {
            return self.talk(&run.model, batch, device);
        }
        let config = &run.model;
        let views = batch.views;
        let n = views.len();
        let speaks = run.stage == Stage::Speak;
        let tells = speaks && self.model.evidence.is_some();
        let with_masks = with_masks || tells;
        let sides: Vec<_> = batch.views.iter().map(|view| &view.clip).collect();
        let needs_clip = speaks
            || run.learns_kinds()
            || run.dssl.is_some()
            || config.sam_compares(SimilaritySource::Clip);
        let taps = match needs_clip {
            true => self.clip_taps(config, &sides, device),
            false => {
                let shape = [n, config.clip.grid().pow(2), config.clip.d_model];
                vec![Tensor::zeros(shape, device); config.clip.taps.len()]
            }
        };
        let needs_image = with_masks || run.loss.cell != 0.0 || self.dssl.is_some();
        let image = needs_image.then(|| self.sam_embedding(config, batch.views, device));
        let mut read = Read {
            last_tap: taps[taps.len() - 1].clone(),
            visual: None,
            words: None,
            image,
            marked: (0..n).collect(),
            masks: None,
            evidence: None,
            states: None,
        };
        let mut seg_hidden = Tensor::zeros([n, config.llm.d_model], device);
        if speaks {
            let visual = self.model.projector.forward(&taps); // [n, n_visual, d_text]
            let marked = batch
                .dialogues
                .iter()
                .any(|dialogue| dialogue.seg.is_some());
            let cut: Vec<Dialogue>;
            let dialogues = match tells && marked {
                true => {
                    cut = batch.dialogues.iter().map(Dialogue::up_to_seg).collect();
                    &cut[..]
                }
                false => batch.dialogues,
            };
            let said = self.speak(config, visual.clone(), dialogues, None, batch.dropout)?;
            seg_hidden = said.seg_hidden();
            read.marked.clone_from(&said.marked);
            read.states = (!said.marked.is_empty()).then(|| seg_hidden.clone());
            read.words = (!(tells && marked)).then(|| said.words());
            read.visual = Some(visual);
        }
        let mut told = None;
        if let Some(image) = read
            .image
            .clone()
            .filter(|_| with_masks && !read.marked.is_empty())
        {
            let marked = Marked::of(&read.marked, batch.views);
            let image = image.select(0, marked.rows(device));
            let prior = self.sam_prior(config, &taps, &marked);
            let logits = self.model.segment(seg_hidden, image.clone(), prior);
            if let Some(evidence) = self.model.evidence.as_ref().filter(|_| tells) {
                let features = Features {
                    taps: taps
                        .iter()
                        .map(|tap| tap.clone().select(0, marked.rows(device)))
                        .collect(),
                    image,
                    frames: marked.frames(),
                };
                let held = evidence.forward(logits.clone(), &features, config);
                let is_left =
                    |i: &usize| views[*i].truth.left(batch.tolerated(*i)).next().is_some();
                let verdicts: Vec<bool> = read.marked.iter().map(is_left).collect();
                told = Some(evidence.with_verdict(held.clone(), &verdicts));
                read.evidence = Some(held);
            }
            read.masks = Some(logits.flatten::<2>(1, 3));
        }
        if let (Some(visual), Some(told)) = (read.visual.clone(), &told) {
            let (dialogues, dropout) = (batch.dialogues, batch.dropout);
            let visual = crate::speak::shown(visual, dialogues);
            let said = self.speak(config, visual, dialogues, Some(told), dropout)?;
            read.words = Some(said.words());
        }
        Ok(read)
    }

    /// The language model alone, told of the scenes by what is known of them.
    fn talk(
        &self,
        config: &VmadConfig,
        batch: &Batch,
        device: &Device,
    ) -> Result<Read, TrainError> {
        let truths: Vec<&Truth> = batch.views.iter().map(|view| &view.truth).collect();
        let facts = self.heads.facts();
        let dialogues = batch.dialogues.iter().enumerate();
        let marked = dialogues.filter(|(_, dialogue)| dialogue.seg.is_some());
        let marked: Vec<usize> = marked.map(|(i, _)| i).collect();
        let shown: Vec<Shown> = (0..truths.len())
            .map(
                |i| match marked.contains(&i) && self.model.evidence.is_some() {
                    true => Shown::Object,
                    false => Shown::Classes,
                },
            )
            .collect();
        let visual = facts.tokens(&truths, &shown, FACT_TOKENS, device);
        let told = self.model.evidence.as_ref().filter(|_| !marked.is_empty());
        let told = told.map(|evidence| {
            let view = |i: &usize| (batch.views[*i], batch.tolerated(*i));
            let views: Vec<(&View, &[DefectKind])> = marked.iter().map(view).collect();
            let verdicts = views
                .iter()
                .map(|(view, kinds)| view.truth.left(kinds).next().is_some());
            let verdicts: Vec<bool> = verdicts.collect();
            evidence.with_verdict(facts.held(evidence, &views, device), &verdicts)
        });
        let said = self.speak(
            config,
            visual,
            batch.dialogues,
            told.as_ref(),
            batch.dropout,
        )?;
        Ok(Read {
            last_tap: Tensor::zeros([batch.views.len(), 1, config.clip.d_model], device),
            visual: None,
            words: Some(said.words()),
            image: None,
            states: (!marked.is_empty()).then(|| said.seg_hidden()),
            marked,
            masks: None,
            evidence: None,
        })
    }

    /// For each view whose conversation has a mask its probabilities `[n, mask_side²]`, and for all
    /// views the logits of the classes of CLIP's patches, SAM's cells or the visual tokens, `[n, cells, 16]`.
    ///
    /// # Errors
    /// The model's.
    pub fn glance(
        &self,
        run: &TrainConfig,
        batch: &Batch,
        device: &Device,
    ) -> Result<(Tensor<2>, Tensor<3>), TrainError> {
        let read = self.read(run, batch, true, device)?;
        let (Some(image), Some(masks)) = (read.image, read.masks) else {
            return Err(TrainError::Readback("no masks".to_owned()));
        };
        let classes = match read.visual {
            Some(visual) => self.heads.token_classes(visual),
            None if run.learns_kinds() => self.heads.patch_classes(read.last_tap),
            None => self.heads.cell_classes(image),
        };
        Ok((activation::sigmoid(masks), classes))
    }

    /// DSSL's loss, and what its memory is to keep.
    #[expect(
        clippy::too_many_arguments,
        reason = "internal; all of it is one step's state"
    )]
    fn compare(
        &self,
        run: &TrainConfig,
        dssl: &DsslConfig,
        heads: &DsslHeads,
        maps: &Maps,
        batch: &Batch,
        (memory, counts): (&Memory, bool),
        found: &mut Found,
    ) -> Result<(), TrainError> {
        let device = maps.sam.device();
        let image_of = |((view, scene), description): ((&&View, &u64), &Vec<i32>)| {
            let told = &view.truth.told;
            let class = dssl.class_of(&told.object);
            let patches = (counts && memory.is_ready(&class, *scene) && !view.crops.is_empty())
                .then(|| {
                    let sides: Vec<_> = view.crops.iter().map(|(_, side)| side).collect();
                    let taps = self.clip_taps(&run.model, &sides, &device);
                    Patches {
                        boxes: view.crops.iter().map(|(patch, _)| *patch).collect(),
                        tokens: self.model.projector.forward(&taps),
                    }
                });
            DsslImage {
                image: *scene,
                class,
                is_abnormal: !told.defects.is_empty(),
                description: description.clone(),
                sam_extent: Extent::of_sam(&view.frame),
                clip_extent: Extent::of_clip(&view.frame),
                patches,
            }
        };
        let views = batch.views.iter().zip(batch.scenes);
        let images: Vec<DsslImage> = views.zip(batch.descriptions).map(image_of).collect();
        let embed = |ids: &[i32]| self.model.llm.embed(ids, &device);
        if let Some(loss) = heads.loss(dssl, memory, maps, &images, embed)? {
            found.parts.set(Part::Dssl, loss);
        }
        found.observations = observe(maps, &images)?;
        Ok(())
    }

    /// CLIP's taps, each `[n, grid², d_vision]`.
    pub fn clip_taps(
        &self,
        config: &VmadConfig,
        sides: &[&ClipSide],
        device: &Device,
    ) -> Vec<Tensor<3>> {
        let (n, clip) = (sides.len(), &config.clip);
        let mut pixels = Vec::new();
        let mut priors = Vec::new();
        let mut kept = vec![Vec::new(); clip.taps.len()];
        for side in sides {
            match side {
                ClipSide::Pixels {
                    pixels: values,
                    prior,
                } => {
                    pixels.extend_from_slice(values);
                    priors.extend_from_slice(prior);
                }
                ClipSide::Taps(taps) => {
                    for (all, tap) in kept.iter_mut().zip(taps) {
                        all.extend(tap.iter().map(|value| value.to_f32()));
                    }
                }
            }
        }
        if pixels.is_empty() {
            let shape = [n, clip.grid().pow(2), clip.d_model];
            let tensor = |values| Tensor::from_data(TensorData::new(values, shape), device);
            return kept.into_iter().map(tensor).collect();
        }
        let image = |values, channels: usize, side: usize| {
            let shape = [n, channels, side, side];
            Tensor::<4>::from_data(TensorData::new(values, shape), device)
        };
        let prior = (!priors.is_empty())
            .then(|| image(priors, ClipConfig::PRIOR_CHANNELS, clip.prior_side()));
        let pixels = image(pixels, 3, clip.image_size);
        self.model.clip.forward(pixels, prior).taps
    }

    /// SAM's image embedding, `[n, d_out, grid, grid]`.
    pub fn sam_embedding(
        &self,
        config: &VmadConfig,
        views: &[&View],
        device: &Device,
    ) -> Tensor<4> {
        let (n, sam) = (views.len(), &config.sam);
        let mut pixels = Vec::new();
        let mut kept = Vec::new();
        for view in views {
            match &view.sam {
                SamSide::Pixels(values) => pixels.extend_from_slice(values),
                SamSide::Embedding(values) => kept.extend(values.iter().map(|v| v.to_f32())),
            }
        }
        let image = |values, channels: usize, side: usize| {
            let shape = [n, channels, side, side];
            Tensor::<4>::from_data(TensorData::new(values, shape), device)
        };
        if pixels.is_empty() {
            return image(kept, sam.d_out, sam.grid());
        }
        let pixels = image(pixels, 3, sam.image_size);
        self.model.sam_encoder.forward(pixels)
    }

    /// The similarity prior of the marked views, `[marked, 1, mask_side, mask_side]`, where the
    /// model takes one.
    fn sam_prior(
        &self,
        config: &VmadConfig,
        taps: &[Tensor<3>],
        marked: &Marked,
    ) -> Option<Tensor<4>> {
        if !config.sam.similarity_prompt {
            return None;
        }
        let compared = &taps[config.similarity_tap()];
        let device = compared.device();
        let (n, side) = (marked.views.len(), config.sam.mask_side());
        Some(match config.sam.similarity_source {
            SimilaritySource::Pixels => {
                let values = marked.views.iter().flat_map(|view| &view.sam_prior);
                let values = values.copied().collect::<Vec<f32>>();
                Tensor::from_data(TensorData::new(values, [n, 1, side, side]), &device)
            }
            SimilaritySource::Clip => {
                let tap = compared.clone().select(0, marked.rows(&device));
                sam_prior(tap, config, &marked.frames())
            }
        })
    }
}

/// What the model made of a batch.
struct Read {
    /// CLIP's last tap, `[n, grid², d_vision]`.
    last_tap: Tensor<3>,
    /// The visual tokens, `[n, n_visual, d_text]`.
    visual: Option<Tensor<3>>,
    /// States that predict spoken tokens, `[m, d_text]`, and the tokens, `[m]`.
    words: Option<(Tensor<2>, Tensor<1, Int>)>,
    /// SAM's embedding, `[n, d_out, grid, grid]`.
    image: Option<Tensor<4>>,
    /// Views that have a mask.
    marked: Vec<usize>,
    /// Their logits, `[marked, mask_side²]`.
    masks: Option<Tensor<2>>,
    /// What these masks hold, `[marked, d_text]`.
    evidence: Option<Tensor<2>>,
    /// The states that prompt them, `[marked, d_text]`.
    states: Option<Tensor<2>>,
}

/// The class of the kind that a criterion allows, or [`NORMAL_PATCH`]; unknown where it allows several.
fn allowed_class(tolerated: &[DefectKind]) -> u8 {
    match tolerated {
        [] => NORMAL_PATCH,
        [kind] => kind.id() as u8 + 1,
        _ => UNKNOWN_PATCH,
    }
}

/// Views that have a mask.
struct Marked<'a> {
    indices: &'a [usize],
    views: Vec<&'a View>,
}

impl<'a> Marked<'a> {
    fn of(indices: &'a [usize], views: &[&'a View]) -> Self {
        let views = indices.iter().map(|i| views[*i]).collect();
        Self { indices, views }
    }

    fn rows(&self, device: &Device) -> Tensor<1, Int> {
        ints(self.indices.iter().map(|i| *i as i32).collect(), device)
    }

    fn frames(&self) -> Vec<PhotoFrame> {
        self.views.iter().map(|view| view.frame).collect()
    }
}

pub(crate) fn ints(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}

/// Masks `[n, mask_side²]` in 0..1, and 1 for each that holds anything, `[n]`.
fn mask_targets(masks: &[Vec<u8>], device: &Device) -> (Tensor<2>, Tensor<1>) {
    let n = masks.len();
    let shares: Vec<f32> = masks
        .iter()
        .flat_map(|mask| mask.iter().map(|v| f32::from(*v) / 255.0))
        .collect();
    let has_target: Vec<f32> = masks
        .iter()
        .map(|mask| f32::from(u8::from(mask.iter().any(|v| *v > 0))))
        .collect();
    let n_cells = shares.len() / n.max(1);
    (
        Tensor::from_data(TensorData::new(shares, [n, n_cells]), device),
        Tensor::from_data(TensorData::new(has_target, [n]), device),
    )
}
