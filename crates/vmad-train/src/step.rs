//! One optimiser step: a batch of dialogues forward, the losses, gradients.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use half::f16;
use vmad_model::config::ClipConfig;
use vmad_model::llama::KvCache;
use vmad_model::nn::Linear;
use vmad_model::{Vmad, VmadConfig};

use crate::TrainError;
use crate::config::{LossConfig, TrainConfig};
use crate::conversation::Dialogue;
use crate::loss::{bce, cross_entropy, dice, weighted_cross_entropy};
use crate::samples::{NORMAL_PATCH, Prepared};

/// Weight of the object beside the defect kinds in the tokens' loss.
const OBJECT_SHARE: f64 = 0.3;

/// The model with the heads that only training has.
#[derive(Module, Debug)]
pub struct Trainee {
    /// What is shipped.
    pub model: Vmad,
    /// CLIP patch features to patch classes.
    pub patch_head: Linear,
    /// Visual tokens to patch classes.
    pub token_head: Linear,
    /// The mean visual token to the category.
    pub object_head: Linear,
}

/// The losses of a step, for the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Losses {
    /// Weighted sum.
    pub total: f32,
    /// Cross-entropy of the text.
    pub text: f32,
    /// Binary cross-entropy of the masks.
    pub bce: f32,
    /// DICE of the masks.
    pub dice: f32,
    /// Cross-entropy of the patches.
    pub patch: f32,
    /// Cross-entropy of the visual tokens.
    pub token: f32,
}

impl Losses {
    /// With `share` of `other` added.
    pub(crate) fn plus(self, other: &Self, share: f32) -> Self {
        Self {
            total: self.total + share * other.total,
            text: self.text + share * other.text,
            bce: self.bce + share * other.bce,
            dice: self.dice + share * other.dice,
            patch: self.patch + share * other.patch,
            token: self.token + share * other.token,
        }
    }
}

/// The parts of a step's loss, on the device.
pub struct LossParts {
    text: Tensor<1>,
    bce: Tensor<1>,
    dice: Tensor<1>,
    patch: Tensor<1>,
    token: Tensor<1>,
}

impl LossParts {
    /// The objective, equations (6) and (7).
    #[must_use]
    pub fn total(&self, weights: &LossConfig) -> Tensor<1> {
        self.text.clone() * weights.text
            + self.bce.clone() * weights.bce
            + self.dice.clone() * weights.dice
            + self.patch.clone() * weights.patch
            + self.token.clone() * weights.token
    }

    /// Reads the parts back.
    ///
    /// # Errors
    /// The device's.
    pub fn read(&self, weights: &LossConfig) -> Result<Losses, TrainError> {
        let read = |t: &Tensor<1>| -> Result<f32, TrainError> {
            t.clone()
                .into_data()
                .iter::<f32>()
                .next()
                .ok_or_else(|| TrainError::Readback("an empty loss".to_owned()))
        };
        Ok(Losses {
            total: read(&self.total(weights))?,
            text: read(&self.text)?,
            bce: read(&self.bce)?,
            dice: read(&self.dice)?,
            patch: read(&self.patch)?,
            token: read(&self.token)?,
        })
    }
}

impl Trainee {
    /// # Errors
    /// The model's.
    pub fn losses(
        &self,
        run: &TrainConfig,
        batch: &[(&Prepared, Dialogue)],
        device: &Device,
    ) -> Result<LossParts, TrainError> {
        let config = &run.model;
        let n = batch.len();
        let side = config.clip.image_size;
        let clip = stack(batch, |p| &p.clip, [n, 3, side, side], device);
        let side = config.sam.image_size;
        let sam = stack(batch, |p| &p.sam, [n, 3, side, side], device);
        let clip_prior = config.clip.similarity_prompt.then(|| {
            let side = config.clip.prior_side();
            let shape = [n, ClipConfig::PRIOR_CHANNELS, side, side];
            stack(batch, |p| &p.clip_prior, shape, device)
        });
        let side = config.sam.mask_side();
        let sam_prior = config
            .sam
            .similarity_prompt
            .then(|| stack(batch, |p| &p.sam_prior, [n, 1, side, side], device));

        let states = self.model.clip.hidden_states(clip, clip_prior);
        let patch = self.patch_loss(&states, batch, device);
        let visual = self.model.project(&states, config); // [n, n_visual, d_text]
        let token = self.token_loss(visual.clone(), batch, device);

        let (hidden, seg_hidden, targets) = self.speak(config, visual, batch, device)?;
        let text = cross_entropy(self.model.llm.logits(hidden), targets);

        let image = self.model.sam_encoder.forward(sam);
        let image = if run.train_sam_encoder {
            image
        } else {
            image.detach()
        };
        let logits = self
            .model
            .segment(seg_hidden, image, sam_prior)
            .reshape([n, side * side]);
        let shares: Vec<f32> = batch
            .iter()
            .flat_map(|(p, _)| p.mask.iter().map(|v| f32::from(*v) / 255.0))
            .collect();
        let has_target: Vec<f32> = batch
            .iter()
            .map(|(p, _)| {
                if p.mask.iter().any(|v| *v > 0) {
                    1.0
                } else {
                    0.0
                }
            })
            .collect();
        let target = Tensor::from_data(TensorData::new(shares, [n, side * side]), device);
        let has_target = Tensor::from_data(TensorData::new(has_target, [n]), device);
        let dice = dice(logits.clone(), target.clone(), has_target);
        Ok(LossParts {
            text,
            bce: bce(logits, target),
            dice,
            patch,
            token,
        })
    }

    /// Cross-entropy of the token head and of the object head, on tokens as the language model's
    /// first norm leaves them.
    fn token_loss(
        &self,
        visual: Tensor<3>,
        batch: &[(&Prepared, Dialogue)],
        device: &Device,
    ) -> Tensor<1> {
        const EPS: f64 = 1e-6;
        let [n, n_visual, d] = visual.dims();
        let power = visual.clone().square().mean_dim(2) + EPS;
        let tokens = visual / power.sqrt();
        let side = n_visual.isqrt();
        let classes = batch.iter().flat_map(|(p, _)| coarser(&p.patches, side));
        let kinds = balanced_cross_entropy(
            self.token_head
                .forward(tokens.clone().reshape([n * n_visual, d])),
            classes.collect(),
            device,
        );
        let objects = batch.iter().map(|(p, _)| p.category as i32).collect();
        let objects: Tensor<1, Int> = Tensor::from_data(TensorData::new(objects, [n]), device);
        let mean = tokens.mean_dim(1).reshape([n, d]);
        kinds + cross_entropy(self.object_head.forward(mean), objects) * OBJECT_SHARE
    }

    /// Cross-entropy of the patch head.
    fn patch_loss(
        &self,
        states: &[Tensor<3>],
        batch: &[(&Prepared, Dialogue)],
        device: &Device,
    ) -> Tensor<1> {
        let last = states[states.len() - 1].clone();
        let [n, n_tokens, d] = last.dims();
        let features = last
            .narrow(1, 1, n_tokens - 1)
            .reshape([n * (n_tokens - 1), d]);
        let classes = batch
            .iter()
            .flat_map(|(p, _)| p.patches.iter().map(|c| i32::from(*c)));
        let logits = self.patch_head.forward(features);
        balanced_cross_entropy(logits, classes.collect(), device)
    }

    /// Teacher-forces the dialogues: states that predict spoken tokens, states that predict
    /// `[SEG]`, and the spoken tokens.
    fn speak(
        &self,
        config: &VmadConfig,
        visual: Tensor<3>,
        batch: &[(&Prepared, Dialogue)],
        device: &Device,
    ) -> Result<(Tensor<2>, Tensor<2>, Tensor<1, Int>), TrainError> {
        let [n, n_visual, d] = visual.dims();
        let before = batch[0].1.sentinel();
        let longest = batch
            .iter()
            .map(|(_, d)| d.ids.len() - before - 1)
            .max()
            .unwrap_or(0);
        let mut after = Vec::with_capacity(n * longest);
        for (_, dialogue) in batch {
            let ids = &dialogue.ids[before + 1..];
            after.extend_from_slice(ids);
            after.extend(std::iter::repeat_n(0, longest - ids.len()));
        }
        let before_ids = &batch[0].1.ids[..before];
        let head = self
            .model
            .llm
            .embed(before_ids, device)?
            .unsqueeze::<3>()
            .repeat_dim(0, n);
        let tail = self
            .model
            .llm
            .embed(&after, device)?
            .reshape([n, longest, d]);
        let x = Tensor::cat(vec![head, visual, tail], 1);
        let [_, length, _] = x.dims();
        let mut cache = KvCache::new(&config.llm);
        let hidden = self
            .model
            .llm
            .forward(x, &mut cache)?
            .reshape([n * length, d]);

        // A token at input j stands at j + n_visual − 1, and the place before predicts it.
        let mut rows = Vec::new();
        let mut targets = Vec::new();
        let mut seg_rows = Vec::new();
        for (b, (_, dialogue)) in batch.iter().enumerate() {
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
        Ok((hidden.select(0, ints(rows)), seg_hidden, ints(targets)))
    }
}

/// Cross-entropy in which the defective patches weigh as much as all others together.
fn balanced_cross_entropy(logits: Tensor<2>, classes: Vec<i32>, device: &Device) -> Tensor<1> {
    let normal = i32::from(NORMAL_PATCH);
    let m = classes.len();
    let defective = classes.iter().filter(|c| **c != normal).count();
    let weight_normal = 1.0 / (m - defective).max(1) as f32;
    let weight_defective = 1.0 / defective.max(1) as f32;
    let weigh = |c: &i32| {
        if *c == normal {
            weight_normal
        } else {
            weight_defective
        }
    };
    let weights: Vec<f32> = classes.iter().map(weigh).collect();
    let targets: Tensor<1, Int> = Tensor::from_data(TensorData::new(classes, [m]), device);
    let weights = Tensor::from_data(TensorData::new(weights, [m]), device);
    weighted_cross_entropy(logits, targets, weights)
}

/// Classes of a square of patches brought to `side`²: of each region the defect's, if it has one.
fn coarser(patches: &[u8], side: usize) -> Vec<i32> {
    let grid = patches.len().isqrt();
    let mut classes = vec![NORMAL_PATCH; side * side];
    for (i, class) in patches.iter().enumerate() {
        let (row, column) = (i / grid * side / grid, i % grid * side / grid);
        let kept = &mut classes[row * side + column];
        *kept = (*kept).max(*class);
    }
    classes.into_iter().map(i32::from).collect()
}

fn stack(
    batch: &[(&Prepared, Dialogue)],
    part: impl Fn(&Prepared) -> &Vec<f16>,
    shape: [usize; 4],
    device: &Device,
) -> Tensor<4> {
    let values: Vec<f32> = batch
        .iter()
        .flat_map(|(p, _)| part(p).iter().map(|v| v.to_f32()))
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
