//! One step: a batch of views forward, the parts of the loss.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use vmad_model::clip::taps;
use vmad_model::config::ClipConfig;
use vmad_model::llama::KvCache;
use vmad_model::{Vmad, VmadConfig};

use crate::TrainError;
use crate::config::{Stage, TrainConfig};
use crate::conversation::Dialogue;
use crate::heads::Heads;
use crate::loss::{bce, cross_entropy, dice};
use crate::losses::{LossParts, Part};
use crate::samples::{ClipSide, SamSide, Truth, View};

/// The model with the heads that only training has.
#[derive(Module, Debug)]
pub struct Trainee {
    /// What is shipped.
    pub model: Vmad,
    /// What is thrown away.
    pub heads: Heads,
}

/// Views and what is said about them. [`Stage::See`] needs no dialogues.
pub struct Batch<'a> {
    /// The views.
    pub views: &'a [&'a View],
    /// One for each view, or none.
    pub dialogues: &'a [Dialogue],
}

impl Trainee {
    /// # Errors
    /// The model's.
    pub fn losses(
        &self,
        run: &TrainConfig,
        batch: &Batch,
        device: &Device,
    ) -> Result<LossParts, TrainError> {
        let config = &run.model;
        let views = batch.views;
        let truths: Vec<&Truth> = views.iter().map(|view| &view.truth).collect();
        let mut parts = LossParts::default();

        let taps = self.clip_taps(config, views, device);
        if run.loss.patch != 0.0 {
            let last = taps[taps.len() - 1].clone();
            parts.set(Part::Patch, self.heads.patch_loss(last, &truths));
        }
        let seg_hidden = match run.stage {
            Stage::See => Tensor::zeros([views.len(), config.llm.d_model], device),
            Stage::Speak => {
                let visual = self.model.projector.forward(&taps); // [n, n_visual, d_text]
                if run.loss.token != 0.0 {
                    let loss = self.heads.token_loss(visual.clone(), &truths);
                    parts.set(Part::Token, loss);
                }
                let said = self.speak(config, visual, batch.dialogues, device)?;
                let logits = self.model.llm.logits(said.hidden);
                parts.set(Part::Text, cross_entropy(logits, said.targets));
                said.seg_hidden
            }
        };
        if run.loss.bce != 0.0 || run.loss.dice != 0.0 {
            let logits = self.mask_logits(config, seg_hidden, views, device);
            let (target, has_target) = mask_targets(&truths, device);
            parts.set(Part::Bce, bce(logits.clone(), target.clone()));
            parts.set(Part::Dice, dice(logits, target, has_target));
        }
        Ok(parts)
    }

    /// CLIP's taps, each `[n, grid², d_vision]`.
    pub fn clip_taps(
        &self,
        config: &VmadConfig,
        views: &[&View],
        device: &Device,
    ) -> Vec<Tensor<3>> {
        let (n, clip) = (views.len(), &config.clip);
        let mut pixels = Vec::new();
        let mut priors = Vec::new();
        let mut kept = vec![Vec::new(); clip.taps.len()];
        for view in views {
            match &view.clip {
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
        let prior = clip
            .similarity_prompt
            .then(|| image(priors, ClipConfig::PRIOR_CHANNELS, clip.prior_side()));
        let pixels = image(pixels, 3, clip.image_size);
        taps(&self.model.clip.hidden_states(pixels, prior), clip)
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

    /// Mask logits, `[n, mask_side²]`.
    fn mask_logits(
        &self,
        config: &VmadConfig,
        seg_hidden: Tensor<2>,
        views: &[&View],
        device: &Device,
    ) -> Tensor<2> {
        let (n, side) = (views.len(), config.sam.mask_side());
        let prior = config.sam.similarity_prompt.then(|| {
            let values = views.iter().flat_map(|view| view.sam_prior.iter().copied());
            let data = TensorData::new(values.collect::<Vec<f32>>(), [n, 1, side, side]);
            Tensor::<4>::from_data(data, device)
        });
        let image = self.sam_embedding(config, views, device);
        self.model
            .segment(seg_hidden, image, prior)
            .reshape([n, side * side])
    }

    /// Teacher-forces the dialogues.
    fn speak(
        &self,
        config: &VmadConfig,
        visual: Tensor<3>,
        dialogues: &[Dialogue],
        device: &Device,
    ) -> Result<Said, TrainError> {
        let [n, n_visual, d] = visual.dims();
        let before = dialogues[0].sentinel();
        let longest = dialogues
            .iter()
            .map(|dialogue| dialogue.ids.len() - before - 1)
            .max()
            .unwrap_or(0);
        let mut after = Vec::with_capacity(n * longest);
        for dialogue in dialogues {
            let ids = &dialogue.ids[before + 1..];
            after.extend_from_slice(ids);
            after.extend(std::iter::repeat_n(0, longest - ids.len()));
        }
        let before_ids = &dialogues[0].ids[..before];
        let llm = &self.model.llm;
        let head = llm.embed(before_ids, device)?;
        let head = head.unsqueeze::<3>().repeat_dim(0, n);
        let tail = llm.embed(&after, device)?.reshape([n, longest, d]);
        let x = Tensor::cat(vec![head, visual, tail], 1);
        let [_, length, _] = x.dims();
        let mut cache = KvCache::new(&config.llm);
        let hidden = llm.forward(x, &mut cache)?.reshape([n * length, d]);

        // A token at input j stands at j + n_visual − 1, and the place before predicts it.
        let mut rows = Vec::new();
        let mut targets = Vec::new();
        let mut seg_rows = Vec::new();
        for (b, dialogue) in dialogues.iter().enumerate() {
            let row = |j: usize| (b * length + j + n_visual - 2) as i32;
            for j in &dialogue.spoken {
                rows.push(row(*j));
                targets.push(dialogue.ids[*j]);
            }
            seg_rows.push(row(dialogue.seg));
        }
        let ints = |values: Vec<i32>| {
            let len = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [len]), device)
        };
        let seg_hidden = hidden.clone().select(0, ints(seg_rows));
        Ok(Said {
            hidden: hidden.select(0, ints(rows)),
            seg_hidden,
            targets: ints(targets),
        })
    }
}

/// What the language model made of a batch of dialogues.
struct Said {
    /// States that predict spoken tokens, `[m, d_text]`.
    hidden: Tensor<2>,
    /// States that predict `[SEG]`, `[n, d_text]`.
    seg_hidden: Tensor<2>,
    /// The spoken tokens, `[m]`.
    targets: Tensor<1, Int>,
}

/// Masks `[n, mask_side²]` in 0..1, and 1 for each that holds anything, `[n]`.
fn mask_targets(truths: &[&Truth], device: &Device) -> (Tensor<2>, Tensor<1>) {
    let n = truths.len();
    let shares: Vec<f32> = truths
        .iter()
        .flat_map(|truth| truth.mask.iter().map(|v| f32::from(*v) / 255.0))
        .collect();
    let has_target: Vec<f32> = truths
        .iter()
        .map(|truth| f32::from(u8::from(truth.mask.iter().any(|v| *v > 0))))
        .collect();
    let n_cells = shares.len() / n.max(1);
    (
        Tensor::from_data(TensorData::new(shares, [n, n_cells]), device),
        Tensor::from_data(TensorData::new(has_target, [n]), device),
    )
}
